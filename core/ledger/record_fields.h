#pragma once

#include <pm/repository.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/catalog/ids.h"

// What the descriptions of all kinds of records are made of.

namespace pm::ledger {

constexpr pm_field_t field(std::uint32_t id, std::uint32_t type, const char* name) {
  return {sizeof(pm_field_t), id, type, 0, name};
}

// The first `key_count` fields are the key.
template <std::size_t count>
constexpr pm_record_kind_t kind(std::uint32_t id, const char* name,
                                const std::array<pm_field_t, count>& fields,
                                std::uint32_t key_count = 1, const pm_index_t* indexes = nullptr,
                                std::uint32_t index_count = 0) {
  return {
      sizeof(pm_record_kind_t), id, name, fields.data(), count, key_count, indexes, index_count, 0};
}

// Values of a visited record, by field.
class Fields {
 public:
  Fields(const pm_value_t* values, std::uint32_t count) : values_(values), count_(count) {}

  std::uint64_t u64(std::uint32_t id) const {
    const pm_value_t* value = find(id, PM_VALUE_U64);
    return value != nullptr ? value->as.u64 : 0;
  }
  std::int64_t i64(std::uint32_t id) const {
    const pm_value_t* value = find(id, PM_VALUE_I64);
    return value != nullptr ? value->as.i64 : 0;
  }
  std::string_view bytes(std::uint32_t id) const { return data(find(id, PM_VALUE_BYTES)); }
  std::string_view text(std::uint32_t id) const { return data(find(id, PM_VALUE_TEXT)); }

 private:
  static std::string_view data(const pm_value_t* value) {
    if (value == nullptr || value->as.bytes.length == 0) return {};
    return {static_cast<const char*>(value->as.bytes.data), value->as.bytes.length};
  }
  const pm_value_t* find(std::uint32_t id, std::uint32_t type) const {
    for (std::uint32_t index = 0; index < count_; ++index) {
      if (values_[index].field == id && values_[index].type == type) return &values_[index];
    }
    return nullptr;
  }

  const pm_value_t* values_;
  std::uint32_t count_;
};

inline bool read_id(std::string_view bytes, catalog::Id& id) {
  if (bytes.size() != id.bytes.size()) return false;
  std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
  return true;
}

}  // namespace pm::ledger
