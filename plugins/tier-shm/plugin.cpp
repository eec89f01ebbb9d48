// The C ABI of tier-shm.
#include <pm/ext/draft/tier_share.h>

#include <algorithm>
#include <cstring>

#include "shm_tier.h"

namespace {

using pm::shm::ShmTier;

constexpr char config_schema[] =
    R"json({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "capacity_bytes": {
      "type": "integer", "minimum": 4096, "default": 1073741824,
      "description": "How many bytes of shared memory this tier may hold."
    },
    "slab_bytes": {
      "type": "integer", "minimum": 0, "default": 0,
      "description": "How many bytes of capacity_bytes are a slab: one shared)json"
    R"json( memory object that clients map once, taken in full at start. The rest is for )json"
    R"json(segments. Rounded down to 4096; 0 means no slab. Changing it loses what the slab )json"
    R"json(holds. The slab's table takes 1/64 more of /dev/shm."
    },
    "prefix": {
      "type": "string", "pattern": "^[a-z0-9-]{1,32}$", "default": "pm",
      "description": "What the names under /dev/shm begin with; each shm tier of a host )json"
    R"json(needs its own."
    },
    "mode": {
      "type": "string", "pattern": "^06[046][046]$", "default": "0600",
      "description": "Permissions, in octal, of segments being written and of the slab. )json"
    R"json(Wider than 0600 lets the group or everybody open them."
    },
    "sealed_max": {
      "type": "integer", "minimum": 0,
      "description": "How many payloads of the sealed layout there may be at a time; each )json"
    R"json(holds a descriptor of the host. Without it, a quarter of those it may have )json"
    R"json((RLIMIT_NOFILE)."
    },
    "numa_node": {
      "type": "integer", "minimum": 0,
      "description": "The NUMA node whose memory this tier takes, and another's only when )json"
    R"json(that has none left. Without it, that of whoever touches the memory first. A slab )json"
    R"json(that outlived the host stays where it is."
    }
  }
})json";

// A struct of the caller's, which may be shorter than ours: absent fields are zero.
template <typename T>
T copy_in(const T* source) {
  T value{};
  if (source != nullptr) {
    std::memcpy(&value, source, std::min<std::size_t>(source->size, sizeof value));
  }
  return value;
}

template <typename T>
void copy_out(const T& value, T* target) {
  const std::uint32_t size = target->size;
  std::memcpy(target, &value, std::min<std::size_t>(size, sizeof value));
  target->size = size;
}

ShmTier& self(const pm_tier_t* tier) { return *static_cast<ShmTier*>(tier->tier_data); }

void get_info(const pm_tier_t* tier, pm_tier_info_t* info) {
  pm_tier_info_t value{};
  self(tier).info(value);
  copy_out(value, info);
}

void get_usage(const pm_tier_t* tier, pm_tier_usage_t* usage) {
  pm_tier_usage_t value{};
  self(tier).usage(value);
  copy_out(value, usage);
}

pm_status_t allocate(const pm_tier_t* tier, const pm_call_context_t* context,
                     const pm_object_id_t* object, uint64_t length,
                     const pm_allocate_options_t* options, pm_allocation_t* allocation) {
  return pm::sdk::guarded(self(tier).host(), [&] {
    pm_allocation_t value{};
    pm::Status status = self(tier).allocate(context, *object, length, copy_in(options), value);
    if (status.ok()) copy_out(value, allocation);
    return status;
  });
}

pm_status_t adopt(const pm_tier_t* tier, const pm_object_id_t* object, const pm_cookie_t* cookie,
                  uint64_t length, uint64_t* bytes_charged) {
  return pm::sdk::guarded(self(tier).host(), [&] {
    return self(tier).adopt(*object, *cookie, length, *bytes_charged);
  });
}

pm_status_t locate(const pm_tier_t* tier, const pm_object_id_t* object, const pm_cookie_t* cookie,
                   uint64_t length, pm_location_t* location) {
  return pm::sdk::guarded(self(tier).host(), [&] {
    pm_location_t value = copy_in(location);
    pm::Status status = self(tier).locate(*object, *cookie, length, value);
    if (status.ok()) copy_out(value, location);
    return status;
  });
}

pm_status_t read(const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* object,
                 const pm_cookie_t* cookie, uint64_t offset, void* target, uint64_t length,
                 uint64_t* count) {
  return pm::sdk::guarded(self(tier).host(), [&] {
    auto result = self(tier).read(*object, *cookie, offset, target, length);
    *count = result.ok() ? *result : 0;
    return result.status();
  });
}

pm_status_t write(const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* object,
                  const pm_cookie_t* cookie, uint64_t offset, const void* source, uint64_t length) {
  return pm::sdk::guarded(self(tier).host(), [&] {
    return self(tier).write(*object, *cookie, offset, source, length);
  });
}

pm_status_t seal(const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* object,
                 const pm_cookie_t* cookie, uint64_t length) {
  return pm::sdk::guarded(self(tier).host(),
                          [&] { return self(tier).seal(*object, *cookie, length); });
}

pm_status_t remove(const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* object,
                   const pm_cookie_t* cookie, uint64_t length) {
  return pm::sdk::guarded(self(tier).host(),
                          [&] { return self(tier).remove(*object, *cookie, length); });
}

pm_status_t enumerate(const pm_tier_t* tier, const pm_call_context_t*,
                      pm_on_tier_object_t on_object, void* data) {
  return pm::sdk::guarded(self(tier).host(), [&] { return self(tier).enumerate(on_object, data); });
}

void visit_facts(const pm_tier_t* tier, pm_on_tier_fact_t on_fact, void* data) {
  self(tier).visit_facts(on_fact, data);
}

pm_status_t open_object(const pm_tier_t* tier, const pm_object_id_t* object,
                        const pm_cookie_t* cookie, uint64_t length, bool writable,
                        int* descriptor) {
  return pm::sdk::guarded(self(tier).host(), [&] {
    const auto opened = self(tier).open_object(*object, *cookie, length, writable);
    *descriptor = opened.ok() ? *opened : -1;
    return opened.status();
  });
}

pm_status_t open_slab(const pm_tier_t* tier, uint32_t slab, bool writable, int* descriptor) {
  return pm::sdk::guarded(self(tier).host(), [&] {
    const auto opened = self(tier).open_slab(slab, writable);
    *descriptor = opened.ok() ? *opened : -1;
    return opened.status();
  });
}

const void* get_extension(const pm_tier_t*, const char* id) {
  static constexpr pm_tier_enumerate_t enumerate_extension{enumerate};
  static constexpr pm_tier_facts_t facts_extension{visit_facts};
  if (std::strcmp(id, PM_TIER_FACTS) == 0) return &facts_extension;
  static constexpr pm_tier_share_t share_extension{open_object, open_slab};
  if (std::strcmp(id, PM_TIER_SHARE) == 0) return &share_extension;
  return std::strcmp(id, PM_TIER_ENUMERATE) == 0 ? &enumerate_extension : nullptr;
}

void destroy(const pm_tier_t* tier) {
  delete static_cast<ShmTier*>(tier->tier_data);
  delete tier;
}

const void* create(const pm_host_t* pm_host, const char* config_json) {
  const pm::sdk::Host host(pm_host);
  const pm_tier_t* tier = nullptr;
  (void)pm::sdk::guarded(host, [&]() -> pm::Status {
    auto opened = ShmTier::open(host, pm::sdk::Config(config_json));
    if (!opened.ok()) return opened.status();
    tier = new pm_tier_t{opened->get(), get_info, get_usage, allocate, adopt,         locate,
                         read,          write,    seal,      remove,   get_extension, destroy};
    (void)opened->release();
    return {};
  });
  return tier;
}

constexpr pm_plugin_descriptor_t descriptor{sizeof(pm_plugin_descriptor_t),
                                            0,
                                            "org.payload-manager.tier-shm",
                                            "Shared memory tier",
                                            "0.1.0",
                                            PM_KIND_TIER,
                                            config_schema};

}  // namespace

const pm_plugin_entry_t pm_plugin_entry_v1 = {PM_ABI_MAJOR, PM_ABI_MINOR, &descriptor, create};

PM_PLUGIN_NOTE(PM_KIND_TIER, "org.payload-manager.tier-shm");
