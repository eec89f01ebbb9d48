#include "convert.h"

#include <algorithm>

namespace pm::client::detail {
namespace {

namespace core = payload::manager::core::v1;
namespace catalog = payload::manager::catalog::v1;

template <typename Kind>
Result<Id<Kind>> id_from(const std::string& value) {
  Id<Kind> id;
  if (value.size() != id.bytes.size()) {
    return Status(Code::internal,
                  "the server sent an id of " + std::to_string(value.size()) + " bytes, not 16",
                  "BAD_DESCRIPTOR");
  }
  std::copy(value.begin(), value.end(), id.bytes.begin());
  return id;
}

std::optional<WallTime> time_from(bool present, const google::protobuf::Timestamp& message) {
  if (!present) return std::nullopt;
  // The range of a Timestamp (years 1 to 9999) does not fit a clock that counts nanoseconds.
  constexpr std::int64_t seconds_max = 9'000'000'000;
  const std::int64_t seconds =
      std::clamp<std::int64_t>(message.seconds(), -seconds_max, seconds_max);
  return WallTime(std::chrono::duration_cast<WallTime::duration>(
      std::chrono::seconds(seconds) + std::chrono::nanoseconds(message.nanos())));
}

std::optional<WallTime> time_from_ms(std::uint64_t unix_ms) {
  if (unix_ms == 0) return std::nullopt;
  constexpr std::uint64_t unix_ms_max = 9'000'000'000'000;
  return WallTime(std::chrono::milliseconds(std::min(unix_ms, unix_ms_max)));
}

template <typename Message>
void set_range(Location* location, const Message& message) {
  location->offset_bytes = message.offset_bytes();
  location->length_bytes = message.length_bytes();
}

Location location_from(const core::PayloadDescriptor& message) {
  Location location;
  if (message.has_ram()) {
    location.kind = LocationKind::memory;
    location.name = message.ram().shm_name();
    set_range(&location, message.ram());
    location.mapping_bytes = message.ram().mapping_bytes();
    location.block_index = message.ram().block_index();
    location.slab = message.ram().slab_id();
  } else if (message.has_disk()) {
    location.kind = LocationKind::file;
    location.name = message.disk().path();
    set_range(&location, message.disk());
  } else if (message.has_gpu()) {
    location.kind = LocationKind::device;
    location.length_bytes = message.gpu().length_bytes();
    location.device = message.gpu().device_id();
    location.handle = message.gpu().ipc_handle();
  } else if (message.has_generic()) {
    location.kind = LocationKind::generic;
    location.name = message.generic().uri();
    set_range(&location, message.generic());
    location.handle = message.generic().handle();
  }
  return location;
}

core::EvictionPolicy eviction_to(const EvictionPolicy& policy) {
  core::EvictionPolicy message;
  message.set_priority(static_cast<core::EvictionPriority>(policy.priority));
  message.set_require_durable(policy.require_durable);
  message.set_spill_target(tier_to(policy.spill_target));
  message.set_min_residency_tier(tier_to(policy.min_residency_tier));
  return message;
}

}  // namespace

Result<PayloadId> payload_id_from(const core::PayloadID& message) {
  return id_from<PayloadKind>(message.value());
}

Result<Descriptor> descriptor_from(const core::PayloadDescriptor& message) {
  auto id = payload_id_from(message.payload_id());
  if (!id) return id.status();
  Descriptor descriptor;
  descriptor.id = *id;
  descriptor.tier = static_cast<Tier>(message.tier());
  descriptor.state = static_cast<State>(message.state());
  descriptor.version = message.version();
  descriptor.location = location_from(message);
  descriptor.size_bytes = message.size_bytes();
  if (descriptor.size_bytes == 0) {
    // Servers of the first contract say the size only in the location.
    descriptor.size_bytes = descriptor.location.length_bytes;
  }
  descriptor.created_at = time_from(message.has_created_at(), message.created_at());
  descriptor.expires_at = time_from(message.has_expires_at(), message.expires_at());
  if (message.has_checksum()) {
    descriptor.checksum = {static_cast<ChecksumAlgorithm>(message.checksum().algorithm()),
                           message.checksum().value()};
  }
  return descriptor;
}

Result<Lease> lease_from(const payload::manager::runtime::v1::AcquireReadLeaseResponse& message) {
  auto id = id_from<LeaseKind>(message.lease_id().value());
  if (!id) return id.status();
  auto descriptor = descriptor_from(message.payload_descriptor());
  if (!descriptor) return descriptor.status();
  return Lease{*id, *std::move(descriptor),
               time_from(message.has_lease_expires_at(), message.lease_expires_at()),
               message.lease_duration_ms()};
}

Result<Summary> summary_from(const catalog::PayloadSummary& message) {
  auto id = payload_id_from(message.id());
  if (!id) return id.status();
  Summary summary{*id,
                  static_cast<Tier>(message.tier()),
                  static_cast<State>(message.state()),
                  message.size_bytes(),
                  time_from_ms(message.created_at_ms()),
                  time_from_ms(message.expires_at_ms()),
                  message.active_leases(),
                  message.version(),
                  {message.labels().begin(), message.labels().end()},
                  message.pinned()};
  std::sort(summary.labels.begin(), summary.labels.end());
  return summary;
}

Result<SpillOutcome> spill_outcome_from(const catalog::SpillResult& message) {
  auto id = payload_id_from(message.id());
  if (!id) return id.status();
  SpillOutcome outcome{*id, {}, std::nullopt};
  if (!message.ok()) {
    const Code code = Status::from_abi(message.error_code(), {}).code();
    outcome.status = {code == Code::ok ? Code::unknown : code, message.error_message(),
                      message.error_reason()};
  }
  if (message.has_payload_descriptor()) {
    auto descriptor = descriptor_from(message.payload_descriptor());
    if (!descriptor) return descriptor.status();
    outcome.descriptor = *std::move(descriptor);
  }
  return outcome;
}

Stats stats_from(const payload::manager::admin::v1::StatsResponse& message) {
  Stats stats;
  stats.gpu = {message.payloads_gpu(), message.bytes_gpu()};
  stats.ram = {message.payloads_ram(), message.bytes_ram()};
  stats.disk = {message.payloads_disk(), message.bytes_disk()};
  stats.object = {message.payloads_object(), message.bytes_object()};
  stats.other = {message.payloads_other(), message.bytes_other()};
  stats.payloads_lost = message.payloads_lost();
  stats.leases_active = message.leases_active();
  stats.policy_rules = message.policy_rules();
  stats.policy_failures = message.policy_failures();
  stats.policy_suspended.assign(message.policy_suspended().begin(),
                                message.policy_suspended().end());
  for (const auto& tier : message.tiers()) {
    stats.tiers.push_back({tier.name(), static_cast<Tier>(tier.number()), tier.bytes_charged(),
                           tier.bytes_capacity(), tier.copies(), tier.health()});
  }
  return stats;
}

// Proto3 enums are open: a number without a name travels as it is.
core::Tier tier_to(Tier tier) { return static_cast<core::Tier>(tier); }

core::PromotionPolicy policy_to(PromotionPolicy policy) {
  return static_cast<core::PromotionPolicy>(policy);
}

catalog::MemoryLayout layout_to(Layout layout) {
  return static_cast<catalog::MemoryLayout>(layout);
}

catalog::AllocatePayloadRequest allocate_request(std::uint64_t size_bytes,
                                                 const CreateOptions& options) {
  catalog::AllocatePayloadRequest request;
  request.set_size_bytes(size_bytes);
  request.set_preferred_tier(tier_to(options.tier));
  request.set_ttl_ms(options.ttl_ms);
  request.set_no_evict(options.no_evict);
  *request.mutable_eviction_policy() = eviction_to(options.eviction);
  request.set_request_id(options.request_id);
  request.set_layout(layout_to(options.layout));
  for (const auto& [key, value] : options.labels) (*request.mutable_labels())[key] = value;
  return request;
}

}  // namespace pm::client::detail
