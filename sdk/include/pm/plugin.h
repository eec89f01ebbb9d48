#pragma once

#include "host.h"

PM_BEGIN_DECLS

// What a plugin is. Constant data, owned by the plugin.
typedef struct pm_plugin_descriptor {
  uint32_t size;
  uint32_t reserved;
  // Texts of 1 to 255 printable ASCII characters.
  const char* id;       // Reverse DNS, unique: "org.example.tier-tape".
  const char* name;     // "Tape tier"
  const char* version;  // "1.0.0"
  const char* kind;     // PM_KIND_TIER, PM_KIND_REPOSITORY or PM_KIND_FRONTEND.

  // A JSON Schema (2020-12; the host understands type, properties, required, enum, minimum,
  // maximum, minLength, pattern, items, default, description, writeOnly, additionalProperties)
  // of the plugin's configuration. `writeOnly` marks secrets. The host checks a configuration
  // against it, and fills in defaults, without running the plugin. NULL: no configuration.
  const char* config_schema;
} pm_plugin_descriptor_t;

// The one symbol that a plugin exports. It is constant data: the host reads the versions before
// it calls anything.
typedef struct pm_plugin_entry {
  uint32_t abi_major;  // PM_ABI_MAJOR
  uint32_t abi_minor;  // PM_ABI_MINOR
  const pm_plugin_descriptor_t* descriptor;

  // Creates an instance, or returns NULL after set_error(). The caller owns the result and gives
  // it back through its destroy(). `config_json` is a JSON object that satisfies config_schema,
  // defaults filled in; it is valid only during the call. The type of the result follows `kind`:
  // pm_tier_t, pm_repository_t or pm_frontend_t.
  // [control-thread]
  const void* (*create)(const pm_host_t* host, const char* config_json);
} pm_plugin_entry_t;

#define PM_PLUGIN_ENTRY_SYMBOL "pm_plugin_entry_v1"
PM_EXPORT extern const pm_plugin_entry_t pm_plugin_entry_v1;

// The same identity once more, in a section of the file, so that the host knows what a file is
// before dlopen() runs its constructors. Layout of an ELF note (elf(5)): name "pm", type 1.
#define PM_NOTE_SECTION ".note.pm"
#define PM_NOTE_TYPE 1u
typedef struct pm_plugin_note {
  uint32_t name_size;  // 4
  uint32_t data_size;  // sizeof(pm_plugin_note_t) - 16
  uint32_t type;       // PM_NOTE_TYPE
  char owner[4];       // "pm"
  uint32_t abi_major;
  uint32_t abi_minor;
  char kind[32];  // NUL-terminated copies of the descriptor's.
  char id[96];
} pm_plugin_note_t;

// Put once into a plugin: PM_PLUGIN_NOTE(PM_KIND_TIER, "org.example.tier-tape");
#define PM_PLUGIN_NOTE(kind_literal, id_literal)                                           \
  __attribute__((section(PM_NOTE_SECTION), used, aligned(4))) static const pm_plugin_note_t \
      pm_plugin_note = {4u,           sizeof(pm_plugin_note_t) - 16u, PM_NOTE_TYPE, "pm",   \
                        PM_ABI_MAJOR, PM_ABI_MINOR,                   kind_literal, id_literal}

PM_END_DECLS
