#pragma once

#include <atomic>
#include <cstdint>
#include <pm/cpp/record_schema.hpp>
#include <utility>
#include <vector>

namespace pm::repository_memory {

// A record as the host sees it: the values of all fields in the order of the schema, and behind
// them the bytes they point to, in one piece of memory. Never changed once made, counted.
struct Record {
  std::atomic<std::uint32_t> references{1};
  std::uint32_t value_count = 0;

  const pm_value_t* values() const { return reinterpret_cast<const pm_value_t*>(this + 1); }
  pm_value_t* values() { return reinterpret_cast<pm_value_t*>(this + 1); }
};
static_assert(sizeof(Record) % alignof(pm_value_t) == 0);

void retain(const Record* record);
void release(const Record* record);

// A counted reference to a record, or none.
class RecordRef {
 public:
  RecordRef() = default;
  explicit RecordRef(const Record* owned) : record_(owned) {}  // Takes over the caller's count.
  RecordRef(RecordRef&& other) noexcept : record_(std::exchange(other.record_, nullptr)) {}
  RecordRef& operator=(RecordRef&& other) noexcept {
    std::swap(record_, other.record_);
    return *this;
  }
  ~RecordRef() {
    if (record_ != nullptr) release(record_);
  }
  static RecordRef share(const Record* record) {
    retain(record);
    return RecordRef(record);
  }

  const Record* get() const { return record_; }
  const Record& operator*() const { return *record_; }
  explicit operator bool() const { return record_ != nullptr; }
  const Record* take() { return std::exchange(record_, nullptr); }

 private:
  const Record* record_ = nullptr;
};

// Makes a record of the values in `slots`, as sdk::place_values() sorted them; `given` is how many
// slots there are. Fields without a value are 0 or empty.
RecordRef make_record(const sdk::RecordKind& kind, const pm_value_t* const* slots,
                      std::size_t given);

// Below, equal or above 0, as a is less, equal or greater. Both are of the same type.
int compare(const pm_value_t& a, const pm_value_t& b);

// Compares by the fields at `positions`, the first one first.
int compare(const Record& a, const Record& b, const std::vector<std::size_t>& positions);

// A number that orders values as compare() does, as far as 8 bytes can tell: equal prefixes decide
// nothing. It saves most looks into records while a tree is searched.
std::uint64_t prefix_of(const pm_value_t& value);

}  // namespace pm::repository_memory
