#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "records.h"
#include "subject.h"

namespace pm::contract {

struct Condition {
  std::uint32_t field = 0;
  std::uint32_t comparison = PM_EQUAL;
  Cell cell;
};

struct Scan {
  std::uint32_t kind = thing;
  std::vector<Condition> conditions;
  std::uint32_t order_field = 0;
  bool descending = false;
  std::uint64_t limit = 0;
};

struct Found {
  pm_status_t status = PM_OK;
  std::vector<Record> records;
};

// A repository that a rule has opened. Closes it at the end of its life.
class Store {
 public:
  // status() tells how the opening went.
  explicit Store(const Subject& subject, const pm_schema_t& schema = schema_1());
  ~Store() { close(); }
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  void close();

  pm_status_t status() const { return status_; }
  const std::string& error() const { return error_; }
  const pm_repository_state_t& state() const { return state_; }
  std::uint64_t next_sequence() const { return sequence_ + 1; }

  // The next batch; counts on when it is PM_OK.
  pm_status_t apply(const std::vector<Operation>& operations,
                    std::uint32_t durability = PM_DURABILITY_PROCESS);
  // A batch out of its turn.
  pm_status_t apply_as(std::uint64_t epoch, std::uint64_t sequence,
                       const std::vector<Operation>& operations,
                       std::uint32_t durability = PM_DURABILITY_PROCESS);

  // At most one record.
  Found get(std::uint32_t kind, const Record& key);

  Found scan(const Scan& scan);
  // Ends when `visit` says false.
  pm_status_t scan(const Scan& scan, const std::function<bool(const Record&)>& visit);

 private:
  const pm_repository_t* repository_ = nullptr;
  pm_repository_state_t state_{};
  pm_status_t status_ = PM_OK;
  std::string error_;
  std::uint64_t sequence_ = 0;
};

}  // namespace pm::contract
