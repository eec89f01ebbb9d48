#pragma once

#include <pm/frontend.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "core/api/engine.h"
#include "google/protobuf/message_lite.h"

namespace pm::perf {

namespace method {
inline constexpr char allocate[] =
    "/payload.manager.services.v1.PayloadCatalogService/AllocatePayload";
inline constexpr char commit[] = "/payload.manager.services.v1.PayloadCatalogService/CommitPayload";
inline constexpr char erase[] = "/payload.manager.services.v1.PayloadCatalogService/Delete";
inline constexpr char list[] = "/payload.manager.services.v1.PayloadCatalogService/ListPayloads";
inline constexpr char lease[] = "/payload.manager.services.v1.PayloadDataService/AcquireReadLease";
inline constexpr char release[] = "/payload.manager.services.v1.PayloadDataService/ReleaseLease";
}  // namespace method

// Calls an engine's methods and waits for the answer, as a thread of this process would. For one
// thread.
class EngineCaller {
 public:
  // With `drives`, the caller writes the journal itself instead of waiting for its thread.
  EngineCaller(Engine& engine, bool drives) : engine_(engine), drives_(drives) {}

  // False when the call failed; error() has the words.
  bool call(const char* name, const google::protobuf::MessageLite& request,
            google::protobuf::MessageLite& response);
  const std::string& error() const { return error_; }

 private:
  enum State : std::uint32_t { pending, waiting, done };
  static void on_reply(void* data, const pm_reply_t* reply);
  void wait();

  Engine& engine_;
  const bool drives_;
  std::atomic<std::uint32_t> state_{pending};
  pm_status_t status_ = PM_OK;
  std::string request_;
  std::string reply_;
  std::string error_;
};

}  // namespace pm::perf
