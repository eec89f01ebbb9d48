#include <utility>

#include "catalog.h"

// Streams, where they meet request ids and payloads.

namespace pm::catalog {

void Catalog::on(const CreateStream& command) {
  Waiter waiter{.ticket = command.ticket};
  if (is_repeat(command.request, command.ticket, waiter.request)) return;
  Reply reply;
  streams_.create(command, {now_, *changes_, lsn_}, reply);
  answer(waiter, std::move(reply));
}

void Catalog::on(const DeleteStream& command) {
  Waiter waiter{.ticket = command.ticket};
  if (is_repeat(command.request, command.ticket, waiter.request)) return;
  Reply reply;
  streams_.erase(command, {now_, *changes_, lsn_}, reply);
  answer(waiter, std::move(reply));
}

// All or none: every payload must be there and committed.
void Catalog::on(const AppendToStream& command) {
  Waiter waiter{.ticket = command.ticket};
  if (is_repeat(command.request, command.ticket, waiter.request)) return;
  Reply reply;
  StreamHead head;
  if (!streams_.find(command.name, now_, head)) reply.reason = Reason::stream_not_found;
  for (std::size_t index = 0; index < command.items->size(); ++index) {
    if (reply.reason != Reason::none) break;
    const Id& id = (*command.items)[index].payload;
    // Often one payload after the other is the same.
    if (index > 0 && id == (*command.items)[index - 1].payload) continue;
    const Slot slot = find_live(id, now_);
    if (slot == no_slot || payloads_[slot].phase == Phase::allocating) {
      reply.reason = Reason::payload_not_found;
    } else if (payloads_[slot].phase == Phase::lost) {
      reply.reason = Reason::payload_lost;
      reply.lsn = payloads_[slot].lsn;
    } else if (payloads_[slot].phase != Phase::committed) {
      reply.reason = Reason::payload_not_committed;
    }
    if (reply.reason != Reason::none) reply.view.id = id;
  }
  if (reply.reason == Reason::none) streams_.append(command, {now_, *changes_, lsn_}, reply);
  answer(waiter, std::move(reply));
}

void Catalog::on(const CommitOffset& command) {
  Waiter waiter{.ticket = command.ticket};
  if (is_repeat(command.request, command.ticket, waiter.request)) return;
  Reply reply;
  streams_.commit(command, {now_, *changes_, lsn_}, reply);
  answer(waiter, std::move(reply));
}

void Catalog::restore(const StreamRecord& record) { streams_.restore(record); }
void Catalog::restore(const ConsumerGroupRecord& record) { streams_.restore(record); }
void Catalog::restore_stream_age(std::uint64_t number, std::uint64_t end_offset,
                                 std::int64_t newest_ns) {
  streams_.restore_age(number, end_offset, newest_ns);
}

}  // namespace pm::catalog
