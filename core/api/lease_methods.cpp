#include "google/protobuf/empty.pb.h"
#include "ids.h"
#include "methods.h"
#include "payload/manager/runtime/v1/lease.pb.h"

// Leases.

namespace pm::api {

namespace wire = payload::manager::runtime::v1;
namespace core = payload::manager::core::v1;

namespace {

constexpr std::uint64_t ms_ns = 1'000'000;

void respond_lease(CommandCall& call, const catalog::Reply& reply) {
  wire::AcquireReadLeaseResponse response;
  const Status status = call.tiers().describe(reply.view, *response.mutable_payload_descriptor());
  if (!status.ok()) return call.finish(status, {{"payload", to_text(reply.view.id)}});
  response.mutable_lease_id()->set_value(reply.lease.bytes.data(), reply.lease.bytes.size());
  constexpr std::int64_t second_ns = 1'000'000'000;
  auto& expires = *response.mutable_lease_expires_at();
  expires.set_seconds(reply.lease_expires_at_ns / second_ns);
  expires.set_nanos(static_cast<std::int32_t>(reply.lease_expires_at_ns % second_ns));
  response.set_lease_duration_ms(reply.lease_duration_ns / ms_ns);
  call.finish(response);
}

void respond_released(CommandCall& call, const catalog::Reply&) {
  call.finish(google::protobuf::Empty());
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
  command.request = request_key(invocation, request.request_id());
  command.lease = random_id();
  command.best_effort = request.promotion_policy() == core::PROMOTION_POLICY_BEST_EFFORT;
  constexpr std::uint64_t duration_ms_max = UINT64_MAX / ms_ns;
  command.duration_ns = std::min(request.min_lease_duration_ms(), duration_ms_max) * ms_ns;
  command.owner_uid = caller_uid(invocation);
  command.deadline_ns = wait_deadline_ns(invocation);
  auto* call = new CommandCall(services, invocation, &respond_lease, command.id);
  command.ticket = call->ticket();
  services.ledger.submit(command);
}

void release_lease(const Services& services, const Invocation& invocation) {
  wire::ReleaseLeaseRequest request;
  if (!parse(invocation, request)) return;
  catalog::ReleaseLease command;
  // A lease that cannot be one has ended, like any other that is unknown.
  if (!read_id(request.lease_id().value(), command.lease)) {
    return reply_message(invocation, google::protobuf::Empty());
  }
  auto* call = new CommandCall(services, invocation, &respond_released, command.lease);
  command.ticket = call->ticket();
  services.ledger.submit(command);
}

}  // namespace pm::api
