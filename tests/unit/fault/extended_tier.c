// A tier that keeps nothing and has an extension that nobody else knows.

#include <pm/tier.h>
#include <stdlib.h>
#include <string.h>

PM_PLUGIN_NOTE(PM_KIND_TIER, "org.example.extended-tier");

// "org.example.answer/1": gives what stands in the tier's own data.
typedef struct answer {
  uint64_t (*get)(const pm_tier_t* tier);
} answer_t;

static uint64_t get_answer(const pm_tier_t* tier) { return *(const uint64_t*)tier->tier_data; }

static void get_info(const pm_tier_t* tier, pm_tier_info_t* info) {
  (void)tier;
  info->charge_granularity_bytes = info->alignment_bytes = info->chunk_bytes_preferred = 1;
  info->inline_bytes_max = UINT64_MAX;
  info->capacity_bytes = UINT64_MAX;
  strcpy(info->fingerprint, "none");
}
static void get_usage(const pm_tier_t* tier, pm_tier_usage_t* usage) {
  (void)tier;
  usage->bytes_used = usage->objects = 0;
}
static pm_status_t allocate(const pm_tier_t* tier, const pm_call_context_t* context,
                            const pm_object_id_t* object, uint64_t length,
                            const pm_allocate_options_t* options, pm_allocation_t* allocation) {
  (void)tier, (void)context, (void)object, (void)length, (void)options, (void)allocation;
  return PM_UNIMPLEMENTED;
}
static pm_status_t adopt(const pm_tier_t* tier, const pm_object_id_t* object,
                         const pm_cookie_t* cookie, uint64_t length, uint64_t* bytes_charged) {
  (void)tier, (void)object, (void)cookie, (void)length, (void)bytes_charged;
  return PM_NOT_FOUND;
}
static pm_status_t locate(const pm_tier_t* tier, const pm_object_id_t* object,
                          const pm_cookie_t* cookie, uint64_t length, pm_location_t* location) {
  (void)tier, (void)object, (void)cookie, (void)length, (void)location;
  return PM_NOT_FOUND;
}
static pm_status_t read_bytes(const pm_tier_t* tier, const pm_call_context_t* context,
                              const pm_object_id_t* object, const pm_cookie_t* cookie,
                              uint64_t offset, void* target, uint64_t length, uint64_t* count) {
  (void)tier, (void)context, (void)object, (void)cookie;
  (void)offset, (void)target, (void)length, (void)count;
  return PM_NOT_FOUND;
}
static pm_status_t write_bytes(const pm_tier_t* tier, const pm_call_context_t* context,
                               const pm_object_id_t* object, const pm_cookie_t* cookie,
                               uint64_t offset, const void* source, uint64_t length) {
  (void)tier, (void)context, (void)object, (void)cookie;
  (void)offset, (void)source, (void)length;
  return PM_NOT_FOUND;
}
static pm_status_t end(const pm_tier_t* tier, const pm_call_context_t* context,
                       const pm_object_id_t* object, const pm_cookie_t* cookie, uint64_t length) {
  (void)tier, (void)context, (void)object, (void)cookie, (void)length;
  return PM_NOT_FOUND;
}
static const void* get_extension(const pm_tier_t* tier, const char* id) {
  static const answer_t answer = {get_answer};
  (void)tier;
  return strcmp(id, "org.example.answer/1") == 0 ? &answer : NULL;
}
static void destroy(const pm_tier_t* tier) {
  free(tier->tier_data);
  free((void*)tier);
}

static const void* create(const pm_host_t* host, const char* config_json) {
  (void)host, (void)config_json;
  pm_tier_t* tier = malloc(sizeof *tier);
  uint64_t* data = malloc(sizeof *data);
  if (tier == NULL || data == NULL) {
    free(tier);
    free(data);
    return NULL;
  }
  *data = 42;
  const pm_tier_t functions = {data,  get_info, get_usage,     allocate,
                               adopt, locate,   read_bytes,    write_bytes,
                               end,   end,      get_extension, destroy};
  memcpy(tier, &functions, sizeof functions);
  return tier;
}

static const pm_plugin_descriptor_t descriptor = {sizeof(pm_plugin_descriptor_t),
                                                  0,
                                                  "org.example.extended-tier",
                                                  "Extended tier",
                                                  "1.0.0",
                                                  PM_KIND_TIER,
                                                  NULL};

PM_EXPORT const pm_plugin_entry_t pm_plugin_entry_v1 = {PM_ABI_MAJOR, PM_ABI_MINOR, &descriptor,
                                                        create};
