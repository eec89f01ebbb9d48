#include <pm/tier.h>
#include <stdlib.h>
#include <string.h>

/* A tier that keeps nothing, for tests of how plugins are found, loaded and created. What makes it
   wrong is defined by the build, one thing for each fixture. */

#ifndef FIXTURE_ID
#define FIXTURE_ID "org.example.fixture"
#endif
#ifndef FIXTURE_DESCRIPTOR_ID
#define FIXTURE_DESCRIPTOR_ID FIXTURE_ID
#endif
#ifndef FIXTURE_KIND
#define FIXTURE_KIND PM_KIND_TIER
#endif
#ifndef FIXTURE_NOTE_MAJOR
#define FIXTURE_NOTE_MAJOR PM_ABI_MAJOR
#endif
#ifndef FIXTURE_NOTE_MINOR
#define FIXTURE_NOTE_MINOR PM_ABI_MINOR
#endif
#ifndef FIXTURE_ENTRY_MINOR
#define FIXTURE_ENTRY_MINOR PM_ABI_MINOR
#endif

#ifndef FIXTURE_NO_NOTE
__attribute__((section(PM_NOTE_SECTION), used, aligned(4))) static const pm_plugin_note_t note = {
    4u,
    sizeof(pm_plugin_note_t) - 16u,
    PM_NOTE_TYPE,
    "pm",
    FIXTURE_NOTE_MAJOR,
    FIXTURE_NOTE_MINOR,
    FIXTURE_KIND,
#ifdef FIXTURE_UNTERMINATED_ID
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
    "12345"
#else
    FIXTURE_ID
#endif
};
#endif

#ifdef FIXTURE_UNDEFINED_SYMBOL
extern int pm_fixture_no_such_symbol(void);
int (*pm_fixture_reference)(void) = pm_fixture_no_such_symbol;
#endif

/* Tells a test that code of this file has run. */
__attribute__((constructor)) static void on_load(void) {
  setenv("PM_FIXTURE_LOADED", FIXTURE_DESCRIPTOR_ID, 1);
}

typedef struct fixture {
  pm_tier_t tier;
  const pm_host_t* host;
} fixture_t;

static const pm_host_t* host_of(const pm_tier_t* tier) {
  return ((const fixture_t*)tier->tier_data)->host;
}

static void get_info(const pm_tier_t* tier, pm_tier_info_t* info) {
  (void)tier;
  info->traits = 0;
  info->charge_granularity_bytes = 1;
  info->alignment_bytes = 1;
}

static void get_usage(const pm_tier_t* tier, pm_tier_usage_t* usage) {
  (void)tier;
  usage->bytes_used = 0;
  usage->objects = 0;
}

/* The one call that fails, with words. */
static pm_status_t allocate(const pm_tier_t* tier, const pm_call_context_t* context,
                            const pm_object_id_t* object, uint64_t length,
                            const pm_allocate_options_t* options, pm_allocation_t* allocation) {
  (void)context, (void)object, (void)length, (void)options, (void)allocation;
  host_of(tier)->set_error(host_of(tier), "the fixture is full");
  return PM_RESOURCE_EXHAUSTED;
}

static pm_status_t adopt(const pm_tier_t* tier, const pm_object_id_t* object,
                         const pm_cookie_t* cookie, uint64_t length, uint64_t* bytes_charged) {
  (void)tier, (void)object, (void)cookie, (void)length, (void)bytes_charged;
  return PM_NOT_FOUND;
}

static pm_status_t locate(const pm_tier_t* tier, const pm_object_id_t* object,
                          const pm_cookie_t* cookie, uint64_t length, pm_location_t* location) {
  (void)tier, (void)object, (void)cookie, (void)length;
  location->kind = PM_LOCATION_NONE;
  return PM_OK;
}

static pm_status_t read_nothing(const pm_tier_t* tier, const pm_call_context_t* context,
                                const pm_object_id_t* object, const pm_cookie_t* cookie,
                                uint64_t offset, void* target, uint64_t length, uint64_t* count) {
  (void)tier, (void)context, (void)object, (void)cookie, (void)offset, (void)target, (void)length;
  *count = 0;
  return PM_OK;
}

static pm_status_t write_nothing(const pm_tier_t* tier, const pm_call_context_t* context,
                                 const pm_object_id_t* object, const pm_cookie_t* cookie,
                                 uint64_t offset, const void* source, uint64_t length) {
  (void)tier, (void)context, (void)object, (void)cookie, (void)offset, (void)source, (void)length;
  return 999; /* No status of the list. */
}

static pm_status_t finish(const pm_tier_t* tier, const pm_call_context_t* context,
                          const pm_object_id_t* object, const pm_cookie_t* cookie,
                          uint64_t length) {
  (void)tier, (void)context, (void)object, (void)cookie, (void)length;
  return PM_OK;
}

static const void* get_extension(const pm_tier_t* tier, const char* id) {
  return host_of(tier)->get_extension(host_of(tier), id); /* So that tests see the host's. */
}

static void destroy(const pm_tier_t* tier) {
  host_of(tier)->log(host_of(tier), PM_LOG_WARN, "destroyed");
  free(tier->tier_data);
}

#ifdef FIXTURE_CREATE_FAILS
#define FIXTURE_FAILS 1
#else
#define FIXTURE_FAILS 0
#endif

static const void* create(const pm_host_t* host, const char* config_json) {
  if (FIXTURE_FAILS) {
    host->set_error(host, "the fixture has no medium");
    return NULL;
  }
  fixture_t* self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  self->host = host;
  self->tier =
      (pm_tier_t){self,         get_info,      get_usage, allocate, adopt,         locate,
                  read_nothing, write_nothing, finish,    finish,   get_extension, destroy};
#ifdef FIXTURE_NULL_SEAL
  self->tier.seal = NULL;
#endif
  host->log(host, PM_LOG_WARN, config_json);
  return &self->tier;
}

static const pm_plugin_descriptor_t descriptor = {
    sizeof descriptor, 0, FIXTURE_DESCRIPTOR_ID, "Fixture", "1.0.0", FIXTURE_KIND, NULL};

#ifndef FIXTURE_NO_ENTRY
const pm_plugin_entry_t pm_plugin_entry_v1 = {PM_ABI_MAJOR, FIXTURE_ENTRY_MINOR, &descriptor,
                                              create};
#else
/* Everything but under the name that the host looks for. */
const pm_plugin_entry_t pm_plugin_entry_v0 = {PM_ABI_MAJOR, FIXTURE_ENTRY_MINOR, &descriptor,
                                              create};
#endif
