#include "catalog.h"

// What watchers are told, and what a payload's place is explained by.

namespace pm::catalog {

// After the change; `from` is where the payload was shown before it.
void Catalog::tell(EventKind kind, Cause cause, Slot slot, TierIndex from) {
  const Payload& payload = payloads_[slot];
  Event& event = changes_->events.emplace_back();
  event.kind = kind;
  event.cause = cause;
  event.tier = payload.listed;
  event.from = from;
  event.id = payload.id;
  event.revision = payload.revision;
  event.size_bytes = payload.size_bytes;
  event.wall_ns = now_.wall_ns;
  event.rule = rule_;
}

// Who wanted a move.
Cause Catalog::cause_of(const Operation& operation) {
  if (operation.repair) return Cause::scrub;
  if (operation.copies || (operation.rule != 0 && !operation.eviction)) return Cause::policy;
  return operation.eviction ? Cause::room : Cause::request;
}

// Before the payload is erased; what was never allocated is not told of.
void Catalog::tell_end(EventKind kind, Slot slot) {
  if (kind == EventKind::none || payloads_[slot].phase == Phase::allocating) return;
  Cause cause = Cause::request;
  if (kind == EventKind::evicted) cause = Cause::room;
  if (kind == EventKind::expired) cause = Cause::time;
  tell(kind, cause, slot, payloads_[slot].listed);
  changes_->events.back().tier = no_tier;
}

// A move to `target` was not done.
void Catalog::tell_refused(Cause cause, Slot slot, TierIndex target, Reason why) {
  if (slot == no_slot) return;
  tell(EventKind::refused, cause, slot, payloads_[slot].listed);
  changes_->events.back().target = target;
  changes_->events.back().why = why;
}

void Catalog::refuse_move(const Waiter& waiter, Slot slot, TierIndex target, Reason why) {
  tell_refused(Cause::request, slot, target, why);
  refuse_for(slot, waiter, why);
}

}  // namespace pm::catalog
