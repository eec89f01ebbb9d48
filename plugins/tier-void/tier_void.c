// The void tier: takes anything, keeps nothing. The shortest tier there is; start here.
#include <pm/tier.h>
#include <string.h>

// Copies `value` out, but no byte past the `size` that the caller knows.
static void fill(void* target, const void* value, uint32_t value_size) {
  uint32_t size = *(const uint32_t*)target;
  memcpy((char*)target + sizeof size, (const char*)value + sizeof size,
         (size < value_size ? size : value_size) - sizeof size);
}

static void void_get_info(const pm_tier_t* tier, pm_tier_info_t* info) {
  (void)tier;
  const pm_tier_info_t value = {.charge_granularity_bytes = 1,
                                .inline_bytes_max = UINT64_MAX,
                                .alignment_bytes = 1,
                                .chunk_bytes_preferred = 1 << 20,
                                .capacity_bytes = UINT64_MAX,
                                .fingerprint = "void"};
  fill(info, &value, sizeof value);
}

static void void_get_usage(const pm_tier_t* tier, pm_tier_usage_t* usage) {
  (void)tier;
  const pm_tier_usage_t value = {.bytes_used = 0, .objects = 0};
  fill(usage, &value, sizeof value);
}

static pm_status_t void_allocate(const pm_tier_t* tier, const pm_call_context_t* context,
                                 const pm_object_id_t* object, uint64_t length,
                                 const pm_allocate_options_t* options,
                                 pm_allocation_t* allocation) {
  (void)tier, (void)context, (void)object, (void)options;
  const pm_allocation_t value = {.bytes_charged = length};
  fill(allocation, &value, sizeof value);
  return PM_OK;
}

static pm_status_t void_adopt(const pm_tier_t* tier, const pm_object_id_t* object,
                              const pm_cookie_t* cookie, uint64_t length, uint64_t* charged) {
  (void)tier, (void)object, (void)cookie, (void)length, (void)charged;
  return PM_NOT_FOUND;
}

static pm_status_t void_locate(const pm_tier_t* tier, const pm_object_id_t* object,
                               const pm_cookie_t* cookie, uint64_t length,
                               pm_location_t* location) {
  (void)tier, (void)object, (void)cookie, (void)length;
  location->kind = PM_LOCATION_NONE;
  return PM_OK;
}

static pm_status_t void_read(const pm_tier_t* tier, const pm_call_context_t* context,
                             const pm_object_id_t* object, const pm_cookie_t* cookie,
                             uint64_t offset, void* target, uint64_t length, uint64_t* count) {
  (void)tier, (void)context, (void)object, (void)cookie, (void)offset, (void)target, (void)length;
  *count = 0;
  return PM_NOT_FOUND;
}

static pm_status_t void_write(const pm_tier_t* tier, const pm_call_context_t* context,
                              const pm_object_id_t* object, const pm_cookie_t* cookie,
                              uint64_t offset, const void* source, uint64_t length) {
  (void)tier, (void)context, (void)object, (void)cookie, (void)offset, (void)source, (void)length;
  return PM_OK;
}

// seal and remove.
static pm_status_t void_done(const pm_tier_t* tier, const pm_call_context_t* context,
                             const pm_object_id_t* object, const pm_cookie_t* cookie,
                             uint64_t length) {
  (void)tier, (void)context, (void)object, (void)cookie, (void)length;
  return PM_OK;
}

static const void* void_get_extension(const pm_tier_t* tier, const char* id) {
  (void)tier, (void)id;
  return NULL;
}

static void void_destroy(const pm_tier_t* tier) { (void)tier; }

static const void* void_create(const pm_host_t* host, const char* config_json) {
  static const pm_tier_t void_tier = {.get_info = void_get_info,
                                      .get_usage = void_get_usage,
                                      .allocate = void_allocate,
                                      .adopt = void_adopt,
                                      .locate = void_locate,
                                      .read = void_read,
                                      .write = void_write,
                                      .seal = void_done,
                                      .remove = void_done,
                                      .get_extension = void_get_extension,
                                      .destroy = void_destroy};
  (void)host, (void)config_json;
  return &void_tier;
}

static const pm_plugin_descriptor_t void_descriptor = {.size = sizeof(pm_plugin_descriptor_t),
                                                       .id = "org.payload-manager.tier-void",
                                                       .name = "Void tier",
                                                       .version = "0.1.0",
                                                       .kind = PM_KIND_TIER};

const pm_plugin_entry_t pm_plugin_entry_v1 = {.abi_major = PM_ABI_MAJOR,
                                              .abi_minor = PM_ABI_MINOR,
                                              .descriptor = &void_descriptor,
                                              .create = void_create};

PM_PLUGIN_NOTE(PM_KIND_TIER, "org.payload-manager.tier-void");
