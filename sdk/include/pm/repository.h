#pragma once

#include "plugin.h"

#define PM_KIND_REPOSITORY "pm.repository/1"

PM_BEGIN_DECLS

// The host describes its records as data, so that a repository needs no knowledge of payloads and
// can still keep real tables with real columns.

enum pm_value_type { PM_VALUE_U64 = 1, PM_VALUE_I64 = 2, PM_VALUE_BYTES = 3, PM_VALUE_TEXT = 4 };

// One field's value. Bytes are opaque (NUL included); text is UTF-8 with a length. U64 keeps all
// 64 bits and orders as unsigned.
typedef struct pm_value {
  uint32_t field;  // pm_field.id
  uint32_t type;   // pm_value_type
  union {
    uint64_t u64;
    int64_t i64;
    struct {
      const void* data;
      uint64_t length;
    } bytes;
  } as;
} pm_value_t;

typedef struct pm_field {
  uint32_t size;
  uint32_t id;  // Never reused within its kind; from 1.
  uint32_t type;
  uint32_t reserved;
  const char* name;  // [a-z][a-z0-9_]*
} pm_field_t;

typedef struct pm_index {
  uint32_t size;
  uint32_t field_count;
  const char* name;
  const uint32_t* fields;  // Field ids, in order.
} pm_index_t;

typedef struct pm_record_kind {
  uint32_t size;
  uint32_t id;
  const char* name;
  const pm_field_t* fields;
  uint32_t field_count;
  uint32_t key_count;  // The first `key_count` fields are the key; at least 1.
  const pm_index_t* indexes;
  uint32_t index_count;
  uint32_t reserved;
} pm_record_kind_t;

typedef struct pm_schema {
  uint32_t size;
  uint32_t version;  // Grows when a kind, field or index is added. Nothing is ever taken away.
  const pm_record_kind_t* kinds;
  uint32_t kind_count;
  uint32_t reserved;
} pm_schema_t;

// What open() finds.
typedef struct pm_repository_state {
  uint32_t size;
  uint32_t reserved;
  uint64_t epoch;          // This opening's own, larger than every earlier one.
  uint64_t last_sequence;  // Of the last batch applied in any epoch; 0 when none.
  char instance_id[17];    // 16 hex digits, drawn when the store was made, and a NUL.
} pm_repository_state_t;

enum pm_operation_type {
  PM_OPERATION_PUT = 1,     // Inserts or replaces the whole record; fields left out are empty.
  PM_OPERATION_DELETE = 2,  // Only the key fields are given; a missing record is no error.
  // The first key fields are given, one at least and not all of them: deletes every record that
  // has these values in them. None is no error.
  PM_OPERATION_DELETE_PREFIX = 3
};

typedef struct pm_operation {
  uint32_t kind;  // pm_record_kind.id
  uint32_t type;  // pm_operation_type
  const pm_value_t* values;
  uint32_t value_count;
  uint32_t reserved;
} pm_operation_t;

enum pm_durability {
  PM_DURABILITY_PROCESS = 1,  // Survives SIGKILL of the host.
  PM_DURABILITY_POWER = 2     // Survives loss of power.
};

typedef struct pm_batch {
  uint32_t size;
  uint32_t durability;  // pm_durability
  uint64_t epoch;
  uint64_t sequence;
  const pm_operation_t* operations;  // In order; a later one on the same key wins.
  uint64_t operation_count;
} pm_batch_t;

enum pm_comparison {
  PM_EQUAL = 1,
  PM_LESS = 2,
  PM_LESS_EQUAL = 3,
  PM_GREATER = 4,
  PM_GREATER_EQUAL = 5
};

typedef struct pm_condition {
  uint32_t comparison;
  uint32_t reserved;
  pm_value_t value;  // value.field names the field.
} pm_condition_t;

typedef struct pm_scan {
  uint32_t size;
  uint32_t kind;
  const pm_condition_t* conditions;  // All must hold.
  uint32_t condition_count;
  uint32_t order_field;  // 0: by key. Equal values are ordered by key.
  uint32_t descending;   // 0 or 1; turns the order by the field and by the key round.
  uint32_t reserved;
  uint64_t limit;  // 0: all.
} pm_scan_t;

// Called for each record, with all its fields in the order of the schema; values are valid during
// the call. A field that was never given is 0 or empty. False ends the scan.
// [worker]
typedef bool (*pm_on_record_t)(void* data, const pm_value_t* values, uint32_t value_count);

typedef struct pm_repository {
  void* repository_data;  // The plugin's own.

  // Opens the store, brings its tables to `schema` and claims the next epoch: from now on a batch
  // of an earlier epoch is refused, from this process or any other. Called once, first.
  // PM_FAILED_PRECONDITION: the store is newer than `schema`. PM_ABORTED: another host has it.
  // PM_DATA_LOSS: the store is damaged. PM_UNAVAILABLE: try again.
  // [control-thread]
  pm_status_t (*open)(const struct pm_repository* repository, const pm_schema_t* schema,
                      pm_repository_state_t* state);

  // Applies a batch, whole or not at all, durable as it asks when PM_OK is returned. A batch with
  // the sequence of one already applied in this epoch is PM_OK and changes nothing. PM_ABORTED:
  // the epoch is lost. PM_INVALID_ARGUMENT: a record does not fit the schema, or the sequence
  // leaves a gap. PM_UNAVAILABLE: not applied, or not known; send it again. PM_DATA_LOSS: a sync
  // failed, the store cannot be trusted. One call at a time.
  // [worker]
  pm_status_t (*apply)(const struct pm_repository* repository, const pm_batch_t* batch);

  // Visits the one record with the given key fields. PM_NOT_FOUND: none.
  // [worker]
  pm_status_t (*get)(const struct pm_repository* repository, uint32_t kind,
                     const pm_value_t* key, uint32_t key_count, pm_on_record_t on_record,
                     void* data);

  // Visits records of one snapshot; applies go on meanwhile and are not seen.
  // PM_UNIMPLEMENTED: a condition or an order that this store cannot do; the host filters.
  // [worker]
  pm_status_t (*scan)(const struct pm_repository* repository, const pm_scan_t* scan,
                      pm_on_record_t on_record, void* data);

  // Finds a repository extension; NULL when this repository has none by that id.
  // [thread-safe]
  const void* (*get_extension)(const struct pm_repository* repository, const char* id);

  // Closes and frees. No other call is running or will follow.
  // [control-thread]
  void (*destroy)(const struct pm_repository* repository);
} pm_repository_t;

PM_END_DECLS
