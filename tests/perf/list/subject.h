#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "payload/manager/catalog/v1/catalog.pb.h"

namespace pm::perf {

namespace wire = payload::manager::catalog::v1;

// What is filled with payloads and listed. Throws Failure when a call fails. For one thread.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual wire::ListPayloadsResponse list(const wire::ListPayloadsRequest& request) = 0;
  virtual wire::BatchAllocateResponse allocate(const wire::BatchAllocateRequest& request) = 0;
  virtual wire::BatchCommitResponse commit(const wire::BatchCommitRequest& request) = 0;
};

// With room for `payloads` of 4 KiB, in memory alone.
std::unique_ptr<Subject> engine_in_this_process(std::size_t payloads);
std::unique_ptr<Subject> host_over_grpc(std::size_t payloads);

}  // namespace pm::perf
