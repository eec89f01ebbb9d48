#pragma once

#include <pm/frontend.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <pm/cpp/result.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/catalog/command.h"
#include "core/ledger/ledger.h"
#include "google/protobuf/message_lite.h"
#include "reasons.h"
#include "tier_table.h"

namespace pm::scrub {
class Scrubber;
}

namespace pm::api {

class Call;
class Delivery;
class PolicyDesk;
class RepositoryReader;
class StreamCall;
class StreamHub;
class Turns;
class WatchHub;

// The calls that wait, by id, so that they can be cancelled. [thread-safe]
class CallRegistry {
 public:
  // Never used again.
  std::uint64_t next_id() { return next_id_.fetch_add(1, std::memory_order_relaxed); }
  void add(Call* call);
  // The call, which was added before, streams, and is ready to be given credit and ended.
  void add_stream(StreamCall* call);
  void remove(std::uint64_t id);
  // Cancels the call if it still waits.
  void cancel(std::uint64_t id);
  // Gives credit to a streaming call that has not ended.
  void credit(std::uint64_t id, std::uint32_t replies);
  // Ends every streaming call, or one, as the host stops.
  void end_streams();
  void end_stream(std::uint64_t id);

 private:
  static constexpr std::size_t shard_count = 16;
  struct Shard {
    std::mutex mutex;
    std::unordered_map<std::uint64_t, Call*> calls;
    std::unordered_map<std::uint64_t, StreamCall*> streams;
  };
  // With a reference that the caller drops. Null: it has ended.
  StreamCall* find_stream(std::uint64_t id);
  std::array<Shard, shard_count> shards_;
  std::atomic<std::uint64_t> next_id_{1};
};

// What every method works with.
struct Services {
  ledger::Ledger& ledger;
  const TierTable& tiers;
  CallRegistry& calls;
  RepositoryReader& reader;
  Delivery& delivery;
  StreamHub& streams;
  Turns& lineage_turns;  // Of those who search lineage for cycles.
  WatchHub& watch;
  scrub::Scrubber& scrubber;
  PolicyDesk& policies;
  const HostFacts& host;
};

// One invocation of a method, as a frontend made it. Valid during the frontend's call().
struct Invocation {
  std::uint64_t id = 0;
  std::string_view method;
  std::string_view request;
  const pm_call_info_t* info = nullptr;
  pm_on_reply_t on_reply = nullptr;
  void* data = nullptr;
};

// The part of an invocation that may be kept after call() has returned.
Invocation kept(const Invocation& invocation);

// `done` is false for all but the last reply of a streaming call.
void reply_message(const Invocation& invocation, const google::protobuf::MessageLite& message,
                   bool done = true);
// The same with a message that is serialized already.
void reply_bytes(const Invocation& invocation, std::string_view bytes, bool done = true);
void reply_error(const Invocation& invocation, const Status& status, const ErrorFacts& facts);
void reply_error(const Invocation& invocation, catalog::Reason reason,
                 const ErrorFacts& facts = {});
void reply_error(const Invocation& invocation, RequestFault fault, const std::string& detail = {});

// A call that waits for the ledger. Lives until it has replied and nobody cancels it any more.
class Call {
 public:
  Call(const Services& services, const Invocation& invocation);
  virtual ~Call() = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  std::uint64_t id() const { return invocation_.id; }
  void retain() { references_.fetch_add(1, std::memory_order_relaxed); }
  void drop();
  virtual void cancel() = 0;

 protected:
  const Invocation& invocation() const { return invocation_; }
  const Services& services() const { return services_; }
  // Each exactly once; the call must not be touched after it.
  void finish(const google::protobuf::MessageLite& message);
  void finish(const Status& status, const ErrorFacts& facts);

 private:
  const Services services_;
  Invocation invocation_;
  std::atomic<int> references_{1};  // The one who will reply.
};

// The words for a reply that is not a success.
Status status_of(const catalog::Reply& reply);

// (principal, request id) and a hash of the request, when the client gave an id.
catalog::RequestKey request_key(const Invocation& invocation, const std::string& request_id);
// The same for a request with a map, whose entries a client may send in another order each time.
catalog::RequestKey request_key(const Invocation& invocation, const std::string& request_id,
                                const google::protobuf::MessageLite& request);

// The same for what ends with the session: a repeat from another one is a new request, since the
// first one's allocation or lease is gone.
catalog::RequestKey of_session(const catalog::RequestKey& key, const Invocation& invocation);

// A call of one command, whose ticket it is.
class CommandCall final : public Call, private ledger::ReplyHandler {
 public:
  // Builds the response from a successful reply; false with `status` when that fails.
  using Respond = void (*)(CommandCall& call, const catalog::Reply& reply);

  // Errors name `subject`, which is a "payload" or a "lease".
  CommandCall(const Services& services, const Invocation& invocation, Respond respond,
              const catalog::Id& subject, const char* subject_kind = "payload")
      : Call(services, invocation),
        respond_(respond),
        subject_(subject),
        subject_kind_(subject_kind) {}

  catalog::Ticket ticket() { return ledger::ticket_of(this); }
  void cancel() override;

  const TierTable& tiers() const { return services().tiers; }
  const catalog::Id& subject() const { return subject_; }
  // Before an error: takes back what the caller, who will not hear of it, cannot.
  void take_back(const catalog::Command& command) { services().ledger.submit(command); }
  PolicyDesk& policies() const { return services().policies; }
  using Call::finish;

 private:
  void on_reply(const catalog::Reply& reply) override;

  const Respond respond_;
  const catalog::Id subject_;
  const char* const subject_kind_;
};

// Makes the call of one command and submits it; `subject` is as in CommandCall.
template <typename Command>
void submit(const Services& services, const Invocation& invocation, Command& command,
            CommandCall::Respond respond, const catalog::Id& subject,
            const char* subject_kind = "payload") {
  auto* call = new CommandCall(services, invocation, respond, subject, subject_kind);
  command.ticket = call->ticket();
  services.ledger.submit(command);
}

}  // namespace pm::api
