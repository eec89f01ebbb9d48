#include <algorithm>
#include <charconv>
#include <string>

#include <xxhash.h>
#include "google/protobuf/empty.pb.h"

#include "ids.h"
#include "methods.h"
#include "payload/manager/runtime/v1/lease.pb.h"
#include "policy_desk.h"
#include "times.h"

// Leases.

namespace pm::api {

namespace wire = payload::manager::runtime::v1;
namespace core = payload::manager::core::v1;

namespace {

constexpr std::uint64_t ms_ns = 1'000'000;

// A lease that cannot be described is held by nobody, unless the call can be repeated.
template <bool can_be_repeated>
void respond_lease(CommandCall& call, const catalog::Reply& reply) {
  wire::AcquireReadLeaseResponse response;
  const TierTable::Part part{reply.range_offset_bytes, reply.range_length_bytes};
  const Status status =
      call.tiers().describe(reply.view, part, *response.mutable_payload_descriptor());
  if (!status.ok()) {
    if (!can_be_repeated) call.take_back(catalog::ReleaseLease{0, reply.lease});
    return call.finish(status, {{"payload", to_text(reply.view.id)}});
  }
  response.mutable_lease_id()->set_value(reply.lease.bytes.data(), reply.lease.bytes.size());
  set_time(reply.lease_expires_at_ns, *response.mutable_lease_expires_at());
  response.set_lease_duration_ms(reply.lease_duration_ns / ms_ns);
  if (!reply.is_repeat) call.policies().note_read(reply.view);
  call.finish(response);
}

void respond_renewed(CommandCall& call, const catalog::Reply& reply) {
  wire::RenewLeaseResponse response;
  set_time(reply.lease_expires_at_ns, *response.mutable_lease_expires_at());
  response.set_lease_duration_ms(reply.lease_duration_ns / ms_ns);
  call.finish(response);
}

std::uint64_t duration_ns(std::uint64_t duration_ms) {
  return std::min(duration_ms, UINT64_MAX / ms_ns) * ms_ns;
}

}  // namespace

void acquire_read_lease(const Services& services, const Invocation& invocation) {
  wire::AcquireReadLeaseRequest request;
  catalog::AcquireLease command;
  if (!parse(invocation, request)) return;
  if (!read_payload_id(invocation, request.id().value(), command.id)) return;
  if (request.mode() != core::LEASE_MODE_UNSPECIFIED && request.mode() != core::LEASE_MODE_READ) {
    return reply_error(invocation, RequestFault::lease_mode_unsupported);
  }
  if (request.min_tier() != core::TIER_UNSPECIFIED) {
    const auto tier = services.tiers.find(static_cast<std::uint32_t>(request.min_tier()));
    if (!tier) return reply_error(invocation, catalog::Reason::tier_unknown);
    command.min_tier = *tier;
  }
  command.request = of_session(request_key(invocation, request.request_id()), invocation);
  command.lease = random_id();
  command.best_effort = request.promotion_policy() == core::PROMOTION_POLICY_BEST_EFFORT;
  constexpr std::size_t holder_bytes_max = 128;
  if (request.holder().size() > holder_bytes_max) {
    return reply_error(invocation, RequestFault::text_too_long, "holder has at most 128 bytes");
  }
  command.duration_ns = duration_ns(request.min_lease_duration_ms());
  command.range_offset_bytes = request.range_offset_bytes();
  command.range_length_bytes = request.range_length_bytes();
  command.holder = request.holder();
  command.session = invocation.info->session;
  command.owner_uid = caller_uid(invocation);
  command.deadline_ns = wait_deadline_ns(invocation);
  const auto respond = command.request.given ? &respond_lease<true> : &respond_lease<false>;
  submit(services, invocation, command, respond, command.id);
}

void renew_lease(const Services& services, const Invocation& invocation) {
  wire::RenewLeaseRequest request;
  catalog::RenewLease command;
  if (!parse(invocation, request)) return;
  if (!read_id(request.lease_id().value(), command.lease)) {
    return reply_error(invocation, RequestFault::lease_id_malformed);
  }
  command.duration_ns = duration_ns(request.min_lease_duration_ms());
  submit(services, invocation, command, &respond_renewed, command.lease, "lease");
}

void release_lease(const Services& services, const Invocation& invocation) {
  wire::ReleaseLeaseRequest request;
  if (!parse(invocation, request)) return;
  catalog::ReleaseLease command;
  // A lease that cannot be one has ended, like any other that is unknown.
  if (!read_id(request.lease_id().value(), command.lease)) {
    return reply_message(invocation, google::protobuf::Empty());
  }
  submit(services, invocation, command, &respond_empty, command.lease, "lease");
}

// ---- list ----

namespace {

// "1.SUBJECT.KEY.SLOT": where the next page begins, and what it is a list of.
std::string subject_of(const wire::ListLeasesRequest& request) {
  const std::string text = request.id().value() + '/' + request.holder();
  return "1." + std::to_string(XXH3_64bits(text.data(), text.size())) + '.';
}

std::string write_page_token(const std::string& subject, const catalog::OrderedIndex::Entry& at) {
  return subject + std::to_string(at.key) + '.' + std::to_string(at.slot);
}

bool read_page_token(const std::string& token, const std::string& subject,
                     catalog::OrderedIndex::Entry& at) {
  if (token.rfind(subject, 0) != 0) return false;
  const char* const end = token.data() + token.size();
  const auto key = std::from_chars(token.data() + subject.size(), end, at.key);
  if (key.ec != std::errc() || key.ptr == end || *key.ptr != '.') return false;
  const auto slot = std::from_chars(key.ptr + 1, end, at.slot);
  return slot.ec == std::errc() && slot.ptr == end;
}

void fill(const TierTable& tiers, const catalog::LeaseView& lease, wire::LeaseSummary& summary) {
  summary.mutable_lease_id()->set_value(lease.id.bytes.data(), lease.id.bytes.size());
  summary.mutable_payload_id()->set_value(lease.payload.bytes.data(), lease.payload.bytes.size());
  summary.set_tier(tiers.number(lease.tier));
  summary.set_holder(lease.holder);
  set_time(lease.expires_at_ns, *summary.mutable_expires_at());
}

}  // namespace

void list_leases(const Services& services, const Invocation& invocation) {
  wire::ListLeasesRequest request;
  if (!parse(invocation, request)) return;
  catalog::Id id;
  if (request.has_id() == !request.holder().empty()) {
    return reply_error(invocation, RequestFault::subject_missing);
  }
  if (request.has_id() && !read_payload_id(invocation, request.id().value(), id)) return;
  std::uint32_t count = 0;
  if (!read_page_size(invocation, request.page_size(), count)) return;
  const std::string subject = subject_of(request);
  catalog::OrderedIndex::Entry at{0, catalog::no_slot};
  if (!request.page_token().empty() && !read_page_token(request.page_token(), subject, at)) {
    return reply_error(invocation, RequestFault::page_token_invalid);
  }
  constexpr std::uint32_t slice = 128;
  std::vector<catalog::LeaseView> leases;
  while (leases.size() < count) {
    const auto had = static_cast<std::uint32_t>(leases.size());
    const std::uint32_t upto = std::min(count, had + slice);
    services.ledger.read([&](const catalog::Catalog& catalog, const catalog::Clocks& now) {
      if (request.has_id()) {
        catalog.list_leases(id, upto, at, now, leases);
      } else {
        catalog.list_leases(request.holder(), upto, at, now, leases);
      }
    });
    if (leases.size() < upto) break;
  }
  wire::ListLeasesResponse response;
  for (const catalog::LeaseView& lease : leases) {
    fill(services.tiers, lease, *response.add_leases());
  }
  if (leases.size() == count) response.set_next_page_token(write_page_token(subject, at));
  reply_message(invocation, response);
}

}  // namespace pm::api
