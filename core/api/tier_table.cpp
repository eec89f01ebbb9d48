#include "tier_table.h"

#include <array>
#include <charconv>
#include <cstring>

#include "core/plugin/host_services.h"
#include "times.h"

namespace pm::api {

namespace wire = payload::manager::core::v1;

std::optional<catalog::TierIndex> TierTable::find(std::uint32_t number) const {
  for (std::size_t index = 0; index < tiers_.size(); ++index) {
    if (tiers_[index].number == number) return static_cast<catalog::TierIndex>(index);
  }
  return std::nullopt;
}

std::optional<catalog::TierIndex> TierTable::find(const std::string& name) const {
  for (std::size_t index = 0; index < tiers_.size(); ++index) {
    if (tiers_[index].name == name) return static_cast<catalog::TierIndex>(index);
  }
  return std::nullopt;
}

std::optional<catalog::TierIndex> TierTable::find_named(std::string_view name) const {
  if (const auto tier = find(std::string(name))) return tier;
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error == std::errc() && end == name.data() + name.size()) return find(number);
  namespace core = payload::manager::core::v1;
  static constexpr std::pair<std::string_view, core::Tier> names[] = {
      {"gpu", core::TIER_GPU},
      {"ram", core::TIER_RAM},
      {"disk", core::TIER_DISK},
      {"object", core::TIER_OBJECT}};
  for (const auto& [text, tier] : names) {
    if (text == name) return find(static_cast<std::uint32_t>(tier));
  }
  return std::nullopt;
}

wire::Tier TierTable::number(catalog::TierIndex tier) const {
  if (tier >= tiers_.size()) return wire::TIER_UNSPECIFIED;
  return static_cast<wire::Tier>(tiers_[tier].number);
}

const std::string& TierTable::name(catalog::TierIndex tier) const {
  static const std::string none;
  return tier < tiers_.size() ? tiers_[tier].name : none;
}

const char* health_of(const catalog::TierCounts& counts) {
  if (counts.failed) return "failed";
  return counts.degraded ? "degraded" : "ok";
}

wire::PayloadState state_of(const catalog::View& view) {
  switch (view.phase) {
    case catalog::Phase::allocating:
    case catalog::Phase::allocated: return wire::PAYLOAD_STATE_ALLOCATED;
    case catalog::Phase::lost: return wire::PAYLOAD_STATE_LOST;
    case catalog::Phase::committed: break;
  }
  if (view.spilling) return wire::PAYLOAD_STATE_SPILLING;
  return view.durable ? wire::PAYLOAD_STATE_DURABLE : wire::PAYLOAD_STATE_ACTIVE;
}

Status TierTable::locate(const catalog::View& view, const Part& part,
                         wire::PayloadDescriptor& descriptor) const {
  const std::uint64_t offset = part.offset_bytes;
  const std::uint64_t length =
      part.length_bytes != 0 ? part.length_bytes : view.size_bytes - part.offset_bytes;
  std::array<char, 4096> text{};
  std::array<std::uint8_t, 1024> handle{};
  pm_location_t location{};
  location.size = sizeof location;
  location.text = text.data();
  location.text_capacity = text.size();
  location.handle = handle.data();
  location.handle_capacity = handle.size();
  pm_object_id_t object{};
  std::memcpy(object.payload, view.id.bytes.data(), view.id.bytes.size());
  object.generation = view.generation;
  pm_cookie_t cookie{};
  cookie.length = view.cookie.length;
  std::memcpy(cookie.bytes, view.cookie.bytes.data(), view.cookie.length);
  const pm_tier_t* tier = tiers_[view.tier].tier;
  const Status status =
      take_error(tier->locate(tier, &object, &cookie, view.size_bytes, &location));
  if (!status.ok()) return status;
  text.back() = '\0';
  const auto handle_length = std::min<std::size_t>(location.handle_length, handle.size());
  switch (location.kind) {
    case PM_LOCATION_SHM: {
      wire::RamLocation& ram = *descriptor.mutable_ram();
      ram.set_shm_name(text.data());
      ram.set_slab_id(location.slab);
      ram.set_block_index(location.block);
      ram.set_length_bytes(length);
      ram.set_offset_bytes(location.offset_bytes + offset);
      ram.set_mapping_bytes(location.mapping_bytes);
      break;
    }
    case PM_LOCATION_FILE: {
      wire::DiskLocation& disk = *descriptor.mutable_disk();
      disk.set_path(text.data());
      disk.set_offset_bytes(location.offset_bytes + offset);
      disk.set_length_bytes(length);
      break;
    }
    case PM_LOCATION_GPU: {
      wire::GpuLocation& gpu = *descriptor.mutable_gpu();
      gpu.set_device_id(location.device);
      gpu.set_ipc_handle(handle.data(), handle_length);
      gpu.set_offset_bytes(location.offset_bytes + offset);
      gpu.set_length_bytes(length);
      break;
    }
    case PM_LOCATION_GENERIC: {
      wire::GenericLocation& generic = *descriptor.mutable_generic();
      generic.set_uri(text.data());
      generic.set_offset_bytes(location.offset_bytes + offset);
      generic.set_length_bytes(length);
      generic.set_handle(handle.data(), handle_length);
      break;
    }
    default: break;
  }
  return {};
}

Status TierTable::describe(const catalog::View& view, const Part& part,
                           wire::PayloadDescriptor& descriptor) const {
  descriptor.mutable_payload_id()->set_value(view.id.bytes.data(), view.id.bytes.size());
  descriptor.set_tier(number(view.tier));
  descriptor.set_state(state_of(view));
  descriptor.set_version(view.revision);
  descriptor.set_size_bytes(view.size_bytes);
  set_time(view.created_at_ns, *descriptor.mutable_created_at());
  if (view.expires_at_ns != 0) set_time(view.expires_at_ns, *descriptor.mutable_expires_at());
  const catalog::Retention& retention = view.retention;
  wire::EvictionPolicy& policy = *descriptor.mutable_eviction_policy();
  policy.set_priority(static_cast<wire::EvictionPriority>(retention.priority));
  policy.set_require_durable(retention.require_durable);
  policy.set_spill_target(number(retention.spill_target));
  policy.set_min_residency_tier(number(retention.min_residency));
  if (view.checksum.kind != catalog::ChecksumKind::none) {
    wire::Checksum& checksum = *descriptor.mutable_checksum();
    checksum.set_algorithm(static_cast<wire::ChecksumAlgorithm>(view.checksum.kind));
    checksum.set_value(view.checksum.bytes.data(), view.checksum.length());
  }
  if (view.generation == 0) return {};
  return locate(view, part, descriptor);
}

}  // namespace pm::api
