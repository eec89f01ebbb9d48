#include <algorithm>

#include "commit_and_allocate.h"
#include "google/protobuf/empty.pb.h"
#include "ids.h"
#include "labels.h"
#include "local_engine.h"
#include "methods.h"
#include "payload/manager/catalog/v1/catalog.pb.h"
#include "policy_desk.h"

// Allocate, commit, import, delete.

namespace pm::api {

namespace wire = payload::manager::catalog::v1;
namespace core = payload::manager::core::v1;

namespace {

// Answers with a message that has a payload_descriptor.
template <typename Response>
void respond_with_descriptor(CommandCall& call, const catalog::Reply& reply) {
  Response response;
  const Status status = call.tiers().describe(reply.view, *response.mutable_payload_descriptor());
  if (!status.ok()) return call.finish(status, {{"payload", to_text(reply.view.id)}});
  call.finish(response);
}

// Clients of tiers that they upload to are told a path, and no other location. What cannot be
// described will not be written, unless the call can be repeated.
template <bool can_be_repeated>
void respond_allocated(CommandCall& call, const catalog::Reply& reply) {
  wire::AllocatePayloadResponse response;
  core::PayloadDescriptor& descriptor = *response.mutable_payload_descriptor();
  const Status status = call.tiers().describe(reply.view, descriptor);
  if (!status.ok()) {
    catalog::Delete erase;
    erase.id = reply.view.id;
    erase.only_uncommitted = true;
    if (!can_be_repeated) call.take_back(erase);
    return call.finish(status, {{"payload", to_text(reply.view.id)}});
  }
  if (takes_uploads(call.tiers().all()[reply.view.tier])) {
    response.set_object_upload_path(descriptor.has_generic() ? descriptor.generic().uri()
                                                             : descriptor.disk().path());
    descriptor.clear_location();
  }
  if (!reply.is_repeat) call.policies().note_write(reply.view);
  call.finish(response);
}

void respond_deleted(CommandCall& call, const catalog::Reply& reply) {
  if (!reply.is_repeat) call.policies().note_removal(call.subject());
  respond_empty(call, reply);
}

// Replies and returns false when it is none of the contract's.
bool read_checksum(const Invocation& invocation, const core::Checksum& checksum,
                   catalog::ChecksumDemand& demand) {
  switch (checksum.algorithm()) {
    case core::CHECKSUM_ALGORITHM_UNSPECIFIED:
    case core::CHECKSUM_ALGORITHM_XXH3_128:
    case core::CHECKSUM_ALGORITHM_SHA256:
    case core::CHECKSUM_ALGORITHM_CRC32C:
      demand.checksum.kind = static_cast<catalog::ChecksumKind>(checksum.algorithm());
      break;
    default:
      reply_error(invocation, RequestFault::checksum_invalid,
                  "algorithm " + std::to_string(checksum.algorithm()));
      return false;
  }
  const std::string& value = checksum.value();
  demand.has_value = !value.empty();
  if (!demand.has_value) return true;
  if (value.size() != demand.checksum.length()) {
    reply_error(invocation, RequestFault::checksum_invalid,
                std::to_string(value.size()) + " bytes and not " +
                    std::to_string(demand.checksum.length()));
    return false;
  }
  std::copy(value.begin(), value.end(), demand.checksum.bytes.begin());
  return true;
}

// A tier that a policy names; 0 names none. Replies and returns false when there is no such tier.
bool read_tier(const Services& services, const Invocation& invocation, core::Tier number,
               catalog::TierIndex& tier) {
  if (number == core::TIER_UNSPECIFIED) return true;
  const auto found = services.tiers.find(static_cast<std::uint32_t>(number));
  if (!found) {
    reply_error(invocation, catalog::Reason::tier_unknown, {{"tier", std::to_string(number)}});
    return false;
  }
  tier = *found;
  return true;
}

bool read_retention(const Services& services, const Invocation& invocation,
                    const wire::AllocatePayloadRequest& request, catalog::Retention& retention) {
  const core::EvictionPolicy& policy = request.eviction_policy();
  switch (policy.priority()) {
    case core::EVICTION_PRIORITY_UNSPECIFIED: break;
    case core::EVICTION_PRIORITY_LOW:
    case core::EVICTION_PRIORITY_NORMAL:
    case core::EVICTION_PRIORITY_HIGH:
    case core::EVICTION_PRIORITY_NEVER:
      retention.priority = static_cast<catalog::Priority>(policy.priority());
      break;
    default: reply_error(invocation, RequestFault::priority_unknown); return false;
  }
  retention.no_evict = request.no_evict();
  retention.require_durable = policy.require_durable();
  return read_tier(services, invocation, policy.spill_target(), retention.spill_target) &&
         read_tier(services, invocation, policy.min_residency_tier(), retention.min_residency);
}

// Replies and returns false when the request is wrong.
bool read_allocation(const Services& services, const Invocation& invocation,
                     const wire::AllocatePayloadRequest& request, catalog::Allocate& command) {
  if (request.preferred_tier() != core::TIER_UNSPECIFIED) {
    if (!read_tier(services, invocation, request.preferred_tier(), command.tier)) return false;
  } else if (!services.policies.chooses_tiers()) {
    reply_error(invocation, catalog::Reason::tier_unspecified);
    return false;
  }
  if (!read_retention(services, invocation, request, command.retention)) return false;
  constexpr std::uint64_t ms_ns = 1'000'000;
  if (request.ttl_ms() > duration_ms_max) {
    reply_error(invocation, RequestFault::ttl_too_long);
    return false;
  }
  catalog::Labels labels;
  const Status labelled = read_labels(request.labels(), labels);
  if (!labelled.ok()) {
    reply_error(invocation, labelled, {});
    return false;
  }
  if (!labels.empty()) {
    command.labels = std::make_shared<const catalog::Labels>(std::move(labels));
  }
  command.id = random_payload_id();
  command.size_bytes = request.size_bytes();
  command.ttl_ns = request.ttl_ms() * ms_ns;
  const auto layout = layout_for(*invocation.info, request.layout());
  if (!layout) {
    reply_error(invocation, RequestFault::layout_needs_session);
    return false;
  }
  command.layout = *layout;
  command.session = invocation.info->session;
  command.owner_uid = caller_uid(invocation);
  command.owner = caller_name(invocation);
  return true;
}

}  // namespace

void allocate_payload(const Services& services, const Invocation& invocation) {
  wire::AllocatePayloadRequest request;
  catalog::Allocate command;
  if (!parse(invocation, request) || !accepts_changes(services, invocation)) return;
  if (!read_allocation(services, invocation, request, command)) return;
  command.request = of_session(request_key(invocation, request.request_id(), request), invocation);
  command.deadline_ns = wait_deadline_ns(invocation);
  const auto respond = command.request.given ? &respond_allocated<true> : &respond_allocated<false>;
  auto* call = new CommandCall(services, invocation, respond, command.id);
  command.ticket = call->ticket();
  services.policies.allocate(std::move(command), caller_pid(invocation));
}

void commit_payload(const Services& services, const Invocation& invocation) {
  wire::CommitPayloadRequest request;
  catalog::Commit command;
  if (!parse(invocation, request) || !accepts_changes(services, invocation)) return;
  if (!read_payload_id(invocation, request.id().value(), command.id)) return;
  if (!read_checksum(invocation, request.checksum(), command.checksum)) return;
  command.request = request_key(invocation, request.request_id());
  if (request.has_next()) {
    catalog::Allocate next;
    if (!read_allocation(services, invocation, request.next(), next)) return;
    command.request = request_key(invocation, request.request_id(), request);
    if (!request.request_id().empty()) {
      next.request =
          of_session(request_key(invocation, request.request_id() + "#next", request), invocation);
    }
    return commit_and_allocate(services, invocation, command, next);
  }
  submit(services, invocation, command, &respond_with_descriptor<wire::CommitPayloadResponse>,
         command.id);
}

void import_payload(const Services& services, const Invocation& invocation) {
  wire::ImportPayloadRequest request;
  catalog::Import command;
  if (!parse(invocation, request) || !accepts_changes(services, invocation)) return;
  if (!read_payload_id(invocation, request.id().value(), command.id)) return;
  if (!read_checksum(invocation, request.checksum(), command.checksum)) return;
  command.request = request_key(invocation, request.request_id());
  command.size_bytes = request.size_bytes();
  submit(services, invocation, command, &respond_with_descriptor<wire::ImportPayloadResponse>,
         command.id);
}

void abort_allocation(const Services& services, const Invocation& invocation) {
  wire::AbortAllocationRequest request;
  catalog::Delete command;
  if (!parse(invocation, request) || !accepts_changes(services, invocation)) return;
  if (!read_payload_id(invocation, request.id().value(), command.id)) return;
  command.request = request_key(invocation, request.request_id());
  command.only_uncommitted = true;
  submit(services, invocation, command, &respond_empty, command.id);
}

void delete_payload(const Services& services, const Invocation& invocation) {
  wire::DeleteRequest request;
  catalog::Delete command;
  if (!parse(invocation, request) || !accepts_changes(services, invocation)) return;
  if (!read_payload_id(invocation, request.id().value(), command.id)) return;
  command.request = request_key(invocation, request.request_id());
  command.force = request.force();
  submit(services, invocation, command, &respond_deleted, command.id);
}

}  // namespace pm::api
