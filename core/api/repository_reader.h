#pragma once

#include <pm/repository.h>

#include <cstdint>
#include <functional>
#include <pm/cpp/result.hpp>
#include <vector>

#include "core/ledger/ledger.h"
#include "core/mover/worker_pool.h"

namespace pm::api {

// Reads what lives in the repository alone (metadata, lineage, entries of streams): outside of the
// ledger's lock, on threads of its own, and only when what was written before is durable.
class RepositoryReader {
 public:
  RepositoryReader(const pm_repository_t* repository, ledger::Ledger& ledger);

  // Runs `job(true)` on one of the threads once everything up to `lsn` is durable; `job(false)`
  // when the host stops before that. [thread-safe]
  using Job = std::function<void(bool can_read)>;
  void after(std::uint64_t lsn, Job job);

  // Gets the values of a record, all fields in the order of the schema, valid during the call.
  // False ends a scan.
  using Visit = std::function<bool(const pm_value_t* values, std::uint32_t count)>;
  // NOT_FOUND: no such record. [worker]
  Status get(std::uint32_t kind, const std::vector<pm_value_t>& key, const Visit& visit) const;
  // Scans records that fulfil `conditions`, in the order of `order_field` (0: of the key), at most
  // `limit` (0: all). [worker]
  struct Scan {
    std::uint32_t kind = 0;
    std::vector<pm_condition_t> conditions;
    std::uint32_t order_field = 0;
    bool descending = false;
    std::uint64_t limit = 0;
  };
  Status scan(const Scan& scan, const Visit& visit) const;

  // Does what is queued, and ends the threads.
  void stop() { workers_.stop(); }

 private:
  const pm_repository_t* const repository_;
  ledger::Ledger& ledger_;
  mover::WorkerPool workers_;
};

// Values for keys and conditions; bytes and text must outlive them.
pm_value_t u64_value(std::uint32_t field, std::uint64_t value);
pm_value_t bytes_value(std::uint32_t field, const void* data, std::size_t length);
pm_condition_t condition(std::uint32_t comparison, const pm_value_t& value);

}  // namespace pm::api
