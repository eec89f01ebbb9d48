#include <algorithm>

#include "ids.h"
#include "methods.h"
#include "payload/manager/catalog/v1/watch.pb.h"
#include "resume_token.h"
#include "times.h"
#include "watch_call.h"

// Watch: changes as they happen.

namespace pm::api {

namespace wire = payload::manager::catalog::v1;
using catalog::EventKind;

namespace {

struct Kind {
  wire::ChangeKind wire;
  EventKind kind;
};
constexpr Kind kinds[] = {
    {wire::CHANGE_KIND_ALLOCATED, EventKind::allocated},
    {wire::CHANGE_KIND_COMMITTED, EventKind::committed},
    {wire::CHANGE_KIND_MOVED, EventKind::moved},
    {wire::CHANGE_KIND_LEASED, EventKind::leased},
    {wire::CHANGE_KIND_EVICTED, EventKind::evicted},
    {wire::CHANGE_KIND_EXPIRED, EventKind::expired},
    {wire::CHANGE_KIND_DELETED, EventKind::deleted},
    {wire::CHANGE_KIND_LOST, EventKind::lost},
    {wire::CHANGE_KIND_UPDATED, EventKind::updated},
};

wire::ChangeKind wire_kind(EventKind kind) {
  const auto* found = std::find_if(std::begin(kinds), std::end(kinds),
                                   [&](const Kind& one) { return one.kind == kind; });
  return found != std::end(kinds) ? found->wire : wire::CHANGE_KIND_UNSPECIFIED;
}

// False: a kind that cannot be asked for.
bool read_kinds(const wire::WatchRequest& request, WatchFilter& filter) {
  for (const int asked : request.kinds()) {
    if (asked == wire::CHANGE_KIND_SYNC) continue;  // Comes anyway.
    const auto* found = std::find_if(std::begin(kinds), std::end(kinds),
                                     [&](const Kind& one) { return one.wire == asked; });
    if (found == std::end(kinds)) return false;
    filter.kinds |= 1u << static_cast<unsigned>(found->kind);
  }
  if (request.kinds_size() > 0) return true;
  for (const Kind& one : kinds) {
    if (one.kind != EventKind::leased) filter.kinds |= 1u << static_cast<unsigned>(one.kind);
  }
  return true;
}

}  // namespace

// ---- one watcher ----

bool WatchCall::send_sync(std::uint64_t sequence) {
  if (!take_credit()) return false;
  wire::WatchResponse response;
  response.set_kind(wire::CHANGE_KIND_SYNC);
  response.set_resume_token(write_resume_token({services().watch.life(), sequence}));
  send(response);
  return true;
}

void WatchCall::send_change(const ledger::Change& change) {
  const catalog::Event& event = change.event;
  const TierTable& tiers = services().tiers;
  wire::WatchResponse response;
  response.set_kind(wire_kind(event.kind));
  response.mutable_id()->set_value(event.id.bytes.data(), event.id.bytes.size());
  response.set_version(event.revision);
  response.set_tier(tiers.number(event.tier));
  response.set_from_tier(tiers.number(event.from));
  response.set_size_bytes(event.size_bytes);
  set_time(event.wall_ns, *response.mutable_time());
  response.set_resume_token(write_resume_token({services().watch.life(), change.sequence}));
  send(response);
}

// Tells what it wants of the next changes.
WatchCall::Next WatchCall::send_slice(std::uint64_t seen, std::uint64_t upto) {
  constexpr std::size_t slice_max = 128;
  std::uint64_t whole_to = 0;
  if (!services().ledger.changes().read(seen, filter_.wants_leases(),
                                        services().ledger.durable_lsn(), slice_max, slice_,
                                        whole_to)) {
    const ReasonText& text = text_of(catalog::Reason::watch_too_old);
    end(Status(text.code, text.message, text.name));
    return Next::ended;
  }
  bool told = false;
  for (const ledger::Change& change : slice_) {
    if (change.sequence > upto) break;
    if (!filter_.wants(change.event)) continue;
    if (!take_credit()) {
      services().watch.put_down(*this, change.sequence - 1, told);
      return Next::no_credit;
    }
    send_change(change);
    told = true;
  }
  services().watch.put_down(*this, std::min(whole_to, upto), told);
  return Next::more;
}

// Only here, as the call is whole now and ends on this thread.
void WatchCall::deliver() {
  if (!joined_) services().watch.add(*this, start_);
  joined_ = true;
  if (!synced_ && !send_sync(start_)) return;
  synced_ = true;
  std::uint64_t seen = 0;
  std::uint64_t upto = 0;
  // Others shall be delivered to as well.
  constexpr int slices_max = 16;
  for (int slice = 0; services().watch.take_up(*this, seen, upto); ++slice) {
    if (slice == slices_max) return wake();
    if (send_slice(seen, upto) != Next::more) return;
  }
  // Without credit it has enough to read that brings its token further.
  if (services().watch.take_quiet(*this, seen)) send_sync(seen);
}

void WatchCall::leave() {
  if (joined_) services().watch.remove(*this);
}

// ---- the method ----

void watch(const Services& services, const Invocation& invocation) {
  wire::WatchRequest request;
  if (!parse(invocation, request)) return;
  WatchFilter filter;
  if (!read_kinds(request, filter)) {
    return reply_error(invocation, RequestFault::change_kind_unknown);
  }
  if (request.has_id()) {
    filter.one_payload = true;
    if (!read_payload_id(invocation, request.id().value(), filter.id)) return;
  }
  const std::uint64_t end = services.ledger.changes().end();
  std::uint64_t after = end;
  if (!request.resume_token().empty()) {
    const auto token = read_resume_token(request.resume_token());
    const bool other_life = token && token->life != services.watch.life();
    if (other_life) return reply_error(invocation, catalog::Reason::watch_too_old);
    if (!token || token->sequence > end) {
      return reply_error(invocation, RequestFault::resume_token_invalid);
    }
    after = token->sequence;
    if (!services.ledger.changes().remembers(after, filter.wants_leases())) {
      return reply_error(invocation, catalog::Reason::watch_too_old);
    }
  }
  (new WatchCall(services, invocation, filter, after))->begin();
}

}  // namespace pm::api
