// The C ABI of the mutant tier. PM_MUTANT_ENTRY breaks what a plugin says of itself.
#include <algorithm>
#include <cstring>
#include <pm/cpp/config.hpp>
#include <pm/cpp/plugin.hpp>

#include "mutant_tier.h"

namespace {

using pm::mutant::MutantTier;

MutantTier& self(const pm_tier_t* tier) { return *static_cast<MutantTier*>(tier->tier_data); }

template <typename T>
void copy_out(const pm_tier_t* tier, T value, T* target) {
  const bool too_far = self(tier).breaks("structs_are_filled_no_further_than_size");
  value.size = target->size;
  std::memcpy(target, &value,
              too_far ? sizeof value : std::min<std::size_t>(target->size, sizeof value));
}

void get_info(const pm_tier_t* tier, pm_tier_info_t* info) {
  pm_tier_info_t value{};
  self(tier).info(value);
  copy_out(tier, value, info);
}

void get_usage(const pm_tier_t* tier, pm_tier_usage_t* usage) {
  pm_tier_usage_t value{};
  self(tier).usage(value);
  copy_out(tier, value, usage);
}

pm_status_t allocate(const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* object,
                     uint64_t length, const pm_allocate_options_t* options,
                     pm_allocation_t* allocation) {
  pm_allocation_t value{};
  const pm_status_t status =
      self(tier).allocate(*object, length, options->flags, value.bytes_charged);
  if (status == PM_OK) copy_out(tier, value, allocation);
  return status;
}

pm_status_t adopt(const pm_tier_t* tier, const pm_object_id_t* object, const pm_cookie_t*,
                  uint64_t length, uint64_t* bytes_charged) {
  return self(tier).adopt(*object, length, *bytes_charged);
}

pm_status_t locate(const pm_tier_t* tier, const pm_object_id_t* object, const pm_cookie_t*,
                   uint64_t length, pm_location_t* location) {
  return self(tier).locate(*object, length, *location);
}

pm_status_t read(const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* object,
                 const pm_cookie_t*, uint64_t offset, void* target, uint64_t length,
                 uint64_t* count) {
  return self(tier).read(*object, offset, target, length, *count);
}

pm_status_t write(const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* object,
                  const pm_cookie_t*, uint64_t offset, const void* source, uint64_t length) {
  return self(tier).write(*object, offset, source, length);
}

pm_status_t seal(const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* object,
                 const pm_cookie_t*, uint64_t length) {
  return self(tier).seal(*object, length);
}

pm_status_t remove(const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* object,
                   const pm_cookie_t*, uint64_t length) {
  return self(tier).remove(*object, length);
}

pm_status_t enumerate(const pm_tier_t* tier, const pm_call_context_t*,
                      pm_on_tier_object_t on_object, void* data) {
  return self(tier).enumerate(on_object, data);
}

pm_status_t open_object(const pm_tier_t* tier, const pm_object_id_t* object, const pm_cookie_t*,
                        uint64_t length, bool writable, int* descriptor) {
  return self(tier).open_object(*object, length, writable, *descriptor);
}

pm_status_t open_slab(const pm_tier_t* tier, uint32_t slab, bool, int* descriptor) {
  return self(tier).open_slab(slab, *descriptor);
}

const void* get_extension(const pm_tier_t* tier, const char* id) {
  static constexpr pm_tier_enumerate_t extension{enumerate};
  static constexpr pm_tier_share_t share{open_object, open_slab};
  if (std::strcmp(id, PM_TIER_SHARE) == 0) {
    return self(tier).breaks("trait_and_share_extension_come_together") ? nullptr : &share;
  }
  const bool known = std::strcmp(id, PM_TIER_ENUMERATE) == 0;
  return known || self(tier).breaks("unknown_extension_is_null") ? &extension : nullptr;
}

void destroy(const pm_tier_t* tier) {
  delete static_cast<MutantTier*>(tier->tier_data);
  delete tier;
}

const void* create(const pm_host_t* host, const char* config_json) {
  const pm_tier_t* tier = nullptr;
  (void)pm::sdk::guarded(pm::sdk::Host(host), [&]() -> pm::Status {
    const pm::sdk::Config config(config_json);
    auto* made = new MutantTier(config.text("directory"), config.number("capacity_bytes"),
                                config.text("broken_rule"));
    tier = new pm_tier_t{made, get_info, get_usage, allocate, adopt,         locate,
                         read, write,    seal,      remove,   get_extension, destroy};
    return {};
  });
  return tier;
}

#ifdef PM_MUTANT_ENTRY
constexpr char kind[] = "pm.frontend/1";
constexpr char config_schema[] = R"({"properties": {"directory": {"type": "string"}}})";
#else
constexpr char kind[] = PM_KIND_TIER;
constexpr char config_schema[] = R"({"type": "object", "properties": {
  "directory": {"type": "string", "description": "Where the files are."},
  "capacity_bytes": {"type": "integer", "description": "Room, in bytes."},
  "broken_rule": {"type": "string", "default": "", "description": "The rule to break."}}})";
#endif

constexpr pm_plugin_descriptor_t descriptor{sizeof(pm_plugin_descriptor_t),
                                            0,
                                            "org.payload-manager.tier-mutant",
                                            "Mutant tier",
                                            "0.1.0",
                                            kind,
                                            config_schema};

}  // namespace

extern "C" PM_EXPORT const pm_plugin_entry_t pm_plugin_entry_v1 = {PM_ABI_MAJOR, PM_ABI_MINOR,
                                                                   &descriptor, create};

PM_PLUGIN_NOTE(PM_KIND_TIER, "org.payload-manager.tier-mutant");
