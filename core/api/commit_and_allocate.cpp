#include "commit_and_allocate.h"

#include <atomic>
#include <utility>

#include "ids.h"
#include "methods.h"
#include "payload/manager/catalog/v1/catalog.pb.h"
#include "policy_desk.h"

namespace pm::api {

namespace wire = payload::manager::catalog::v1;

namespace {

class CommitAndAllocateCall final : public Call {
 public:
  CommitAndAllocateCall(const Services& services, const Invocation& invocation,
                        const catalog::Id& committed, bool may_repeat)
      : Call(services, invocation), committed_(committed), may_repeat_(may_repeat) {}

  void begin(catalog::Commit& commit, catalog::Allocate& next, std::int32_t client) {
    commit.ticket = ledger::ticket_of(&commit_part_);
    next.ticket = ledger::ticket_of(&next_part_);
    // While the journal writes the one on its thread, the other is done on this one.
    services().ledger.submit(commit);
    services().policies.allocate(next, client);
    part_done();  // The one that this function held, so that the call outlives it.
  }

  void cancel() override {
    services().ledger.submit(catalog::Cancel{ledger::ticket_of(&commit_part_)});
    services().policies.cancel(ledger::ticket_of(&next_part_));
  }

 private:
  class Part final : public ledger::ReplyHandler {
   public:
    explicit Part(CommitAndAllocateCall& call) : call_(call) {}
    void on_reply(const catalog::Reply& answer) override {
      reply = answer;
      call_.part_done();
    }
    catalog::Reply reply;

   private:
    CommitAndAllocateCall& call_;
  };

  void part_done() {
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) respond();
  }

  void respond() {
    const catalog::Reply& commit = commit_part_.reply;
    const catalog::Reply& next = next_part_.reply;
    Status status;
    wire::CommitPayloadResponse response;
    if (commit.reason != catalog::Reason::none) {
      status = status_of(commit);
    } else {
      status = services().tiers.describe(commit.view, *response.mutable_payload_descriptor());
    }
    if (next.reason == catalog::Reason::none) {
      const bool shown =
          status.ok() &&
          services().tiers.describe(next.view, *response.mutable_next_descriptor()).ok();
      if (shown && !next.is_repeat) services().policies.note_write(next.view);
      if (!shown) {
        response.clear_next_descriptor();
        // What a repeat is told of may be in use by now; it ends like every abandoned allocation.
        if (!may_repeat_) {
          services().ledger.submit(catalog::Delete{.ticket = 0, .request = {}, .id = next.view.id});
        }
      }
    }
    if (!status.ok()) return finish(status, {{"payload", to_text(committed_)}});
    finish(response);
  }

  const catalog::Id committed_;
  const bool may_repeat_;
  Part commit_part_{*this};
  Part next_part_{*this};
  std::atomic<int> left_{3};
};

}  // namespace

void commit_and_allocate(const Services& services, const Invocation& invocation,
                         catalog::Commit commit, catalog::Allocate next) {
  next.only_if_free = true;
  auto* call = new CommitAndAllocateCall(services, invocation, commit.id, next.request.given);
  call->begin(commit, next, caller_pid(invocation));
}

}  // namespace pm::api
