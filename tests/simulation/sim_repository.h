#pragma once

#include <pm/repository.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "trouble.h"

namespace pm::simulation {

// The repository of the simulation: records in maps, which outlive the host. What was to survive
// the process only may be lost with the power, from some batch on. Knows one opening at a time.
class SimRepository {
 public:
  explicit SimRepository(Trouble& trouble);
  SimRepository(const SimRepository&) = delete;
  SimRepository& operator=(const SimRepository&) = delete;

  const pm_repository_t* abi() const { return &abi_; }

  // A new opening; batches of earlier ones are refused.
  pm_repository_state_t open(const pm_schema_t& schema);
  void cut_power();

  const std::string& violation() const { return violation_; }

 private:
  struct Value {
    std::uint32_t field = 0;
    std::uint32_t type = 0;
    std::uint64_t number = 0;
    std::string bytes;
  };
  struct Operation {
    std::uint32_t kind = 0;
    std::uint32_t type = 0;
    std::string key;
    std::vector<Value> values;
  };
  struct Batch {
    std::uint64_t sequence = 0;
    std::vector<Operation> operations;
  };
  using Records = std::map<std::string, std::vector<Value>>;
  struct State {
    std::map<std::uint32_t, Records> kinds;
    std::uint64_t sequence = 0;
  };

  pm_status_t apply(const pm_batch_t& batch);
  pm_status_t scan(std::uint32_t kind, pm_on_record_t on_record, void* data) const;
  Operation copy_of(const pm_operation_t& operation) const;
  static void apply_to(State& state, const Batch& batch);

  Trouble& trouble_;
  pm_repository_t abi_{};
  std::map<std::uint32_t, std::uint32_t> key_counts_;
  State state_;
  State synced_;                 // What survives a power cut in any case,
  std::vector<Batch> unsynced_;  // and what came after it.
  std::uint64_t epoch_ = 0;
  std::string violation_;
};

}  // namespace pm::simulation
