#include "record.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace pm::repository_memory {

namespace {

bool has_bytes(std::uint32_t type) { return type == PM_VALUE_BYTES || type == PM_VALUE_TEXT; }

template <typename Number>
int order(Number a, Number b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

}  // namespace

void retain(const Record* record) {
  const_cast<Record*>(record)->references.fetch_add(1, std::memory_order_relaxed);
}

void release(const Record* record) {
  auto* counted = const_cast<Record*>(record);
  if (counted->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  counted->~Record();
  ::operator delete(counted);
}

RecordRef make_record(const sdk::RecordKind& kind, const pm_value_t* const* slots,
                      std::size_t given) {
  const std::size_t count = kind.fields.size();
  std::size_t bytes = sizeof(Record) + count * sizeof(pm_value_t);
  for (std::size_t f = 0; f < given; ++f)
    if (slots[f] != nullptr && has_bytes(slots[f]->type)) bytes += slots[f]->as.bytes.length;
  auto* record = new (::operator new(bytes)) Record;
  record->value_count = static_cast<std::uint32_t>(count);
  pm_value_t* values = record->values();
  char* end = reinterpret_cast<char*>(values + count);
  for (std::size_t f = 0; f < count; ++f) {
    pm_value_t* value = new (&values[f]) pm_value_t{};
    value->field = kind.fields[f].id;
    value->type = kind.fields[f].type;
    const pm_value_t* source = f < given ? slots[f] : nullptr;
    if (!has_bytes(value->type)) {
      if (source != nullptr) value->as = source->as;
      continue;
    }
    const std::size_t length = source != nullptr ? source->as.bytes.length : 0;
    value->as.bytes.data = length == 0 ? "" : end;
    value->as.bytes.length = length;
    if (length != 0) std::memcpy(end, source->as.bytes.data, length);
    end += length;
  }
  return RecordRef(record);
}

int compare(const pm_value_t& a, const pm_value_t& b) {
  if (a.type == PM_VALUE_U64) return order(a.as.u64, b.as.u64);
  if (a.type == PM_VALUE_I64) return order(a.as.i64, b.as.i64);
  const std::uint64_t common = std::min(a.as.bytes.length, b.as.bytes.length);
  const int bytes = common == 0 ? 0 : std::memcmp(a.as.bytes.data, b.as.bytes.data, common);
  return bytes != 0 ? bytes : order(a.as.bytes.length, b.as.bytes.length);
}

int compare(const Record& a, const Record& b, const std::vector<std::size_t>& positions) {
  for (const std::size_t at : positions)
    if (const int result = compare(a.values()[at], b.values()[at]); result != 0) return result;
  return 0;
}

std::uint64_t prefix_of(const pm_value_t& value) {
  if (value.type == PM_VALUE_U64) return value.as.u64;
  if (value.type == PM_VALUE_I64)
    return static_cast<std::uint64_t>(value.as.i64) ^ (std::uint64_t{1} << 63);
  unsigned char bytes[8] = {};
  if (value.as.bytes.length != 0)
    std::memcpy(bytes, value.as.bytes.data, std::min<std::uint64_t>(value.as.bytes.length, 8));
  std::uint64_t result = 0;
  for (const unsigned char byte : bytes) result = result << 8 | byte;
  return result;
}

}  // namespace pm::repository_memory
