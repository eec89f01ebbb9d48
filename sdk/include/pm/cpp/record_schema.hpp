#pragma once

#include <pm/repository.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <pm/cpp/result.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The checks that every repository owes its host: a schema that makes sense, records that fit it.
// A repository copies the schema once, in open(), and holds each record against the copy.

namespace pm::sdk {

struct RecordField {
  std::uint32_t id = 0;
  std::uint32_t type = 0;  // pm_value_type
  std::string name;
};

struct RecordIndex {
  std::string name;
  std::vector<std::size_t> positions;  // In RecordKind::fields.
};

struct RecordKind {
  std::uint32_t id = 0;
  std::string name;
  std::vector<RecordField> fields;
  std::size_t key_count = 0;
  std::vector<RecordIndex> indexes;

  // Where a field stands; fields.size() when there is no such field. `hint` is where it probably
  // stands, since records usually give their fields in the order of the schema.
  std::size_t position(std::uint32_t field, std::size_t hint = 0) const noexcept {
    if (hint < fields.size() && fields[hint].id == field) return hint;
    std::size_t at = 0;
    while (at < fields.size() && fields[at].id != field) ++at;
    return at;
  }
};

namespace detail {

// Elements of a published struct lie as far apart as the caller's own `size` says.
template <typename Element>
const Element& element_at(const Element* first, std::size_t index) {
  const char* bytes = reinterpret_cast<const char*>(first) + index * first->size;
  return *reinterpret_cast<const Element*>(bytes);
}

inline bool is_name(const char* name) {
  if (name == nullptr || *name < 'a' || *name > 'z') return false;
  const std::string_view allowed = "abcdefghijklmnopqrstuvwxyz0123456789_";
  return std::string_view(name).find_first_not_of(allowed) == std::string_view::npos;
}

inline Status bad_schema(const std::string& words) {
  return {Code::invalid_argument, "the schema is malformed: " + words};
}

inline Status read_fields(const pm_record_kind_t& kind, RecordKind& out) {
  for (std::uint32_t i = 0; i < kind.field_count; ++i) {
    const pm_field_t& field = element_at(kind.fields, i);
    const std::string where = "field " + std::to_string(field.id) + " of kind " + out.name;
    if (!is_name(field.name)) return bad_schema(where + " needs a name like [a-z][a-z0-9_]*");
    if (field.id == 0) return bad_schema(where + ": ids start at 1");
    if (field.type < PM_VALUE_U64 || field.type > PM_VALUE_TEXT)
      return bad_schema(where + " has the unknown type " + std::to_string(field.type));
    for (const RecordField& other : out.fields)
      if (other.id == field.id || other.name == field.name)
        return bad_schema(where + " has the id or the name of another field");
    out.fields.push_back({field.id, field.type, field.name});
  }
  return {};
}

inline Status read_indexes(const pm_record_kind_t& kind, RecordKind& out) {
  for (std::uint32_t i = 0; i < kind.index_count; ++i) {
    const pm_index_t& index = element_at(kind.indexes, i);
    if (!is_name(index.name) || index.field_count == 0)
      return bad_schema("an index of kind " + out.name + " has no proper name or no fields");
    RecordIndex copy{index.name, {}};
    for (std::uint32_t f = 0; f < index.field_count; ++f) {
      copy.positions.push_back(out.position(index.fields[f]));
      if (copy.positions.back() == out.fields.size())
        return bad_schema("index " + copy.name + " of kind " + out.name + " names field " +
                          std::to_string(index.fields[f]) + ", which is not there");
    }
    for (const RecordIndex& other : out.indexes)
      if (other.name == copy.name)
        return bad_schema("two indexes of kind " + out.name + " are called " + copy.name);
    out.indexes.push_back(std::move(copy));
  }
  return {};
}

}  // namespace detail

// A copy of a pm_schema_t, found to be well-formed.
struct RecordSchema {
  std::uint32_t version = 0;
  std::vector<RecordKind> kinds;

  static Result<RecordSchema> read(const pm_schema_t& schema) {
    RecordSchema result;
    result.version = schema.version;
    if (schema.version == 0) return detail::bad_schema("versions start at 1");
    for (std::uint32_t i = 0; i < schema.kind_count; ++i) {
      const pm_record_kind_t& kind = detail::element_at(schema.kinds, i);
      RecordKind copy;
      copy.id = kind.id;
      copy.key_count = kind.key_count;
      if (!detail::is_name(kind.name))
        return detail::bad_schema("kind " + std::to_string(kind.id) +
                                  " needs a name like [a-z][a-z0-9_]*");
      copy.name = kind.name;
      for (const RecordKind& other : result.kinds)
        if (other.id == copy.id || other.name == copy.name)
          return detail::bad_schema("two kinds share the id or the name of kind " + copy.name);
      if (kind.key_count == 0 || kind.key_count > kind.field_count)
        return detail::bad_schema("kind " + copy.name + " needs a key of its own first fields");
      if (Status status = detail::read_fields(kind, copy); !status.ok()) return status;
      if (Status status = detail::read_indexes(kind, copy); !status.ok()) return status;
      result.kinds.push_back(std::move(copy));
    }
    return result;
  }

  // The kind's place in `kinds`; kinds.size() when there is no such kind.
  std::size_t find(std::uint32_t kind) const noexcept {
    std::size_t at = 0;
    while (at < kinds.size() && kinds[at].id != kind) ++at;
    return at;
  }

  Status unknown_kind(std::uint32_t kind) const {
    return {Code::invalid_argument, "kind " + std::to_string(kind) + " is not in schema version " +
                                        std::to_string(version)};
  }
};

// OK when `value` may stand in `field`.
inline Status check_value(const RecordKind& kind, const RecordField& field,
                          const pm_value_t& value) {
  if (value.type != field.type)
    return {Code::invalid_argument, "field " + field.name + " of kind " + kind.name + " has type " +
                                        std::to_string(field.type) + ", the value given has type " +
                                        std::to_string(value.type)};
  const bool has_bytes = value.type == PM_VALUE_BYTES || value.type == PM_VALUE_TEXT;
  if (has_bytes && value.as.bytes.data == nullptr && value.as.bytes.length != 0)
    return {Code::invalid_argument,
            "field " + field.name + " of kind " + kind.name + " has a length but no data"};
  return {};
}

// Sorts the values of a record by position: slots[p] becomes the value of field p, NULL when it
// was left out. `allowed` is how many of the first fields may be given: all for a whole record,
// key_count for a key. Every key field must be there. Allocates nothing when all is well.
inline Status place_values(const RecordKind& kind, const pm_value_t* values, std::uint32_t count,
                           std::size_t allowed, const pm_value_t** slots) {
  std::fill_n(slots, allowed, nullptr);
  std::size_t hint = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t at = kind.position(values[i].field, hint);
    if (at >= allowed)
      return {Code::invalid_argument, "field " + std::to_string(values[i].field) + " is not a " +
                                          (allowed == kind.key_count ? "key " : "") +
                                          "field of kind " + kind.name};
    PM_TRY(check_value(kind, kind.fields[at], values[i]));
    if (slots[at] != nullptr)
      return {Code::invalid_argument,
              "field " + kind.fields[at].name + " of kind " + kind.name + " is given twice"};
    slots[at] = &values[i];
    hint = at + 1;
  }
  for (std::size_t k = 0; k < kind.key_count; ++k)
    if (slots[k] == nullptr)
      return {Code::invalid_argument,
              "key field " + kind.fields[k].name + " of kind " + kind.name + " is missing"};
  return {};
}

// Sorts the values of a PM_OPERATION_DELETE_PREFIX by position and says how many key fields are
// given: the first ones without a gap, at least one and fewer than the key has. `slots` has room
// for key_count.
inline Result<std::size_t> place_prefix(const RecordKind& kind, const pm_value_t* values,
                                        std::uint32_t count, const pm_value_t** slots) {
  if (count == 0 || count >= kind.key_count)
    return Status(Code::invalid_argument,
                  "a prefix of kind " + kind.name + "'s key has from 1 to " +
                      std::to_string(kind.key_count - 1) + " fields, not " + std::to_string(count));
  std::fill_n(slots, kind.key_count, nullptr);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t at = kind.position(values[i].field, i);
    if (at >= count || slots[at] != nullptr)
      return Status(Code::invalid_argument, "field " + std::to_string(values[i].field) +
                                                " is not one of the first " +
                                                std::to_string(count) + " key fields of kind " +
                                                kind.name + ", or is given twice");
    if (Status status = check_value(kind, kind.fields[at], values[i]); !status.ok()) return status;
    slots[at] = &values[i];
  }
  return count;
}

// OK when the scan asks for what the schema has. `kind` is the one that scan.kind names.
inline Status check_scan(const RecordKind& kind, const pm_scan_t& scan) {
  for (std::uint32_t i = 0; i < scan.condition_count; ++i) {
    const pm_condition_t& condition = scan.conditions[i];
    const std::size_t at = kind.position(condition.value.field);
    if (at == kind.fields.size())
      return {Code::invalid_argument, "a condition names field " +
                                          std::to_string(condition.value.field) + ", which kind " +
                                          kind.name + " does not have"};
    PM_TRY(check_value(kind, kind.fields[at], condition.value));
    if (condition.comparison < PM_EQUAL || condition.comparison > PM_GREATER_EQUAL)
      return {Code::invalid_argument,
              "comparison " + std::to_string(condition.comparison) + " is unknown"};
  }
  if (scan.order_field != 0 && kind.position(scan.order_field) == kind.fields.size())
    return {Code::invalid_argument, "the order names field " + std::to_string(scan.order_field) +
                                        ", which kind " + kind.name + " does not have"};
  if (scan.descending > 1)
    return {Code::invalid_argument,
            "descending is " + std::to_string(scan.descending) + ", it can be 0 or 1"};
  return {};
}

// The positions that decide the order of records sorted by `fields` and then by key, once the
// fields for which `is_constant(position)` holds are known to be equal: none of those, none twice.
template <typename IsConstant>
std::vector<std::size_t> deciding_positions(const RecordKind& kind,
                                            const std::vector<std::size_t>& fields,
                                            IsConstant&& is_constant) {
  std::vector<std::size_t> result;
  const auto add = [&](std::size_t at) {
    if (!is_constant(at) && std::find(result.begin(), result.end(), at) == result.end())
      result.push_back(at);
  };
  for (const std::size_t at : fields) add(at);
  for (std::size_t k = 0; k < kind.key_count; ++k) add(k);
  return result;
}

// Whether a batch comes in its turn.
enum class BatchTurn { next, repeat };

// `first_sequence` is the last sequence found by open(), `last_sequence` the last one applied.
inline Result<BatchTurn> check_turn(const pm_batch_t& batch, std::uint64_t epoch,
                                    std::uint64_t first_sequence, std::uint64_t last_sequence) {
  if (batch.size < sizeof(pm_batch_t))
    return Status(Code::invalid_argument, "the batch is of an older, smaller layout");
  if (batch.durability != PM_DURABILITY_PROCESS && batch.durability != PM_DURABILITY_POWER)
    return Status(Code::invalid_argument,
                  "durability " + std::to_string(batch.durability) + " is unknown");
  if (batch.epoch != epoch)
    return Status(Code::aborted, "the batch is of epoch " + std::to_string(batch.epoch) +
                                     ", the store is in epoch " + std::to_string(epoch));
  if (batch.sequence > first_sequence && batch.sequence <= last_sequence) return BatchTurn::repeat;
  if (batch.sequence != last_sequence + 1)
    return Status(Code::invalid_argument,
                  "the batch has sequence " + std::to_string(batch.sequence) +
                      ", the next one is " + std::to_string(last_sequence + 1));
  return BatchTurn::next;
}

}  // namespace pm::sdk
