// A frontend that serves nobody, and whose configuration has a secret.
#include <pm/frontend.h>
#include <stddef.h>

static pm_status_t start(const pm_frontend_t* frontend, const pm_engine_t* engine) {
  (void)frontend, (void)engine;
  return PM_OK;
}

static void drain(const pm_frontend_t* frontend, uint64_t deadline_ns) {
  (void)frontend, (void)deadline_ns;
}

static void stop(const pm_frontend_t* frontend) { (void)frontend; }

static const void* get_extension(const pm_frontend_t* frontend, const char* id) {
  (void)frontend, (void)id;
  return NULL;
}

static const void* create(const pm_host_t* host, const char* config_json) {
  static const pm_frontend_t frontend = {.start = start,
                                         .drain = drain,
                                         .stop = stop,
                                         .get_extension = get_extension,
                                         .destroy = stop};
  (void)host, (void)config_json;
  return &frontend;
}

static const pm_plugin_descriptor_t descriptor = {
    .size = sizeof(pm_plugin_descriptor_t),
    .id = "org.example.secret",
    .name = "Keeper of a secret",
    .version = "1.2.3",
    .kind = PM_KIND_FRONTEND,
    .config_schema =
        "{\"type\": \"object\", \"properties\": {"
        "\"password\": {\"type\": \"string\", \"writeOnly\": true},"
        "\"depth\": {\"type\": \"integer\", \"default\": 7}}}"};

const pm_plugin_entry_t pm_plugin_entry_v1 = {.abi_major = PM_ABI_MAJOR,
                                              .abi_minor = PM_ABI_MINOR,
                                              .descriptor = &descriptor,
                                              .create = create};

PM_PLUGIN_NOTE(PM_KIND_FRONTEND, "org.example.secret");
