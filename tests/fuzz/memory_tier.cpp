#include "memory_tier.h"

#include <algorithm>
#include <cstring>

namespace pm::fuzz {

MemoryTier::MemoryTier(std::uint32_t traits, std::uint64_t capacity_bytes)
    : traits_(traits), capacity_bytes_(capacity_bytes) {
  abi_.tier_data = this;
  fill_life();
  fill_bytes();
}

std::uint64_t MemoryTier::objects() const {
  const std::lock_guard lock(mutex_);
  return objects_.size();
}

MemoryTier::Key MemoryTier::key_of(const pm_object_id_t& object) {
  return {reinterpret_cast<const char*>(&object), sizeof object};
}

MemoryTier& MemoryTier::self(const pm_tier_t* tier) {
  return *static_cast<MemoryTier*>(tier->tier_data);
}

template <typename Body>
pm_status_t MemoryTier::with(const pm_tier_t* tier, const pm_object_id_t* object, Body body) {
  const std::lock_guard lock(self(tier).mutex_);
  const auto found = self(tier).objects_.find(key_of(*object));
  return found == self(tier).objects_.end() ? PM_NOT_FOUND : body(found->second);
}

void MemoryTier::fill_life() {
  abi_.get_info = [](const pm_tier_t* tier, pm_tier_info_t* info) {
    info->traits = self(tier).traits_;
    info->charge_granularity_bytes = 16;
    info->inline_bytes_max = 1 << 10;
    info->alignment_bytes = 1;
    info->chunk_bytes_preferred = 1 << 12;
    info->capacity_bytes = self(tier).capacity_bytes_;
    std::strcpy(info->fingerprint, "memory");
  };
  abi_.get_usage = [](const pm_tier_t* tier, pm_tier_usage_t* usage) {
    usage->bytes_used = 0;
    usage->objects = self(tier).objects();
  };
  abi_.allocate = [](const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* object,
                     std::uint64_t length, const pm_allocate_options_t*,
                     pm_allocation_t* allocation) -> pm_status_t {
    if (length > self(tier).capacity_bytes_) return PM_RESOURCE_EXHAUSTED;
    const std::lock_guard lock(self(tier).mutex_);
    const bool made = self(tier).objects_.emplace(key_of(*object), std::string(length, 0)).second;
    if (!made) return PM_ALREADY_EXISTS;
    allocation->bytes_charged = (length + 15) / 16 * 16;
    allocation->cookie.length = 1;
    return PM_OK;
  };
  abi_.adopt = [](const pm_tier_t* tier, const pm_object_id_t* object, const pm_cookie_t*,
                  std::uint64_t length, std::uint64_t* charged) {
    *charged = length;
    return with(tier, object, [&](const std::string& bytes) -> pm_status_t {
      return bytes.size() == length ? PM_OK : PM_DATA_LOSS;
    });
  };
  abi_.remove = [](const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* object,
                   const pm_cookie_t*, std::uint64_t) -> pm_status_t {
    const std::lock_guard lock(self(tier).mutex_);
    return self(tier).objects_.erase(key_of(*object)) == 1 ? PM_OK : PM_NOT_FOUND;
  };
  abi_.get_extension = [](const pm_tier_t*, const char*) -> const void* { return nullptr; };
  abi_.destroy = [](const pm_tier_t*) {};
}

void MemoryTier::fill_bytes() {
  abi_.locate = [](const pm_tier_t* tier, const pm_object_id_t* object, const pm_cookie_t*,
                   std::uint64_t length, pm_location_t* location) {
    return with(tier, object, [&](const std::string&) -> pm_status_t {
      location->kind = PM_LOCATION_SHM;
      location->mapping_bytes = length;
      if (location->text_capacity < 8) return PM_RESOURCE_EXHAUSTED;
      std::strcpy(location->text, "/memory");
      return PM_OK;
    });
  };
  abi_.read = [](const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* object,
                 const pm_cookie_t*, std::uint64_t offset, void* target, std::uint64_t length,
                 std::uint64_t* count) {
    return with(tier, object, [&](const std::string& bytes) -> pm_status_t {
      *count = offset < bytes.size() ? std::min<std::uint64_t>(length, bytes.size() - offset) : 0;
      if (*count != 0) std::memcpy(target, bytes.data() + offset, *count);
      return PM_OK;
    });
  };
  abi_.write = [](const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* object,
                  const pm_cookie_t*, std::uint64_t offset, const void* source,
                  std::uint64_t length) {
    return with(tier, object, [&](std::string& bytes) -> pm_status_t {
      if (offset > bytes.size() || length > bytes.size() - offset) return PM_OUT_OF_RANGE;
      std::memcpy(bytes.data() + offset, source, length);
      return PM_OK;
    });
  };
  abi_.seal = [](const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* object,
                 const pm_cookie_t*, std::uint64_t length) {
    return with(tier, object, [&](const std::string& bytes) -> pm_status_t {
      return bytes.size() == length ? PM_OK : PM_FAILED_PRECONDITION;
    });
  };
}

}  // namespace pm::fuzz
