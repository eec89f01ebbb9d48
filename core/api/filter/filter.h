#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <pm/cpp/result.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/catalog/command.h"

// The filter of a list: a subset of AIP-160 (https://google.aip.dev/160).
//
//   expression = sequence { "AND" sequence }      sequence = factor { factor }, all of them
//   factor     = term { "OR" term }               OR binds tighter than AND, as there
//   term       = [ "NOT" | "-" ] ( "(" expression ")" | test )
//   test       = FIELD COMPARISON VALUE | "labels." KEY ":" ( "*" | VALUE ) | "labels:" KEY
//
// Fields: tier and state (= !=); size_bytes (4096, 64MiB), age (90s, 15m, 1h, 7d), leases and
// priority (= != < <= > >=); pinned (= !=); labels.KEY, by bytes (= != < <= > >=). A payload
// without the label fulfils no test of it.

namespace pm::api {

enum class FilterField : std::uint8_t {
  tier,
  state,
  size_bytes,
  age,
  pinned,
  leases,
  priority,
  label,
};

enum class Comparison : std::uint8_t {
  equal,
  not_equal,
  less,
  less_or_equal,
  greater,
  greater_or_equal,
  has,  // Of a label: it is there.
};

// One comparison of a field with a value.
struct FilterTest {
  FilterField field = FilterField::tier;
  Comparison comparison = Comparison::equal;
  // A TierIndex, a PayloadState of the contract, bytes, nanoseconds, 0 or 1, a count, a Priority.
  std::uint64_t number = 0;
  std::string key;   // Of a label.
  std::string text;  // Its value.
};

struct FilterNode {
  enum class Kind : std::uint8_t { test, all, any, negation };
  Kind kind = Kind::all;
  FilterTest test;
  std::vector<FilterNode> children;
};

struct Filter {
  FilterNode root;  // All of nothing: everything matches.
  std::size_t tests = 0;
};

inline constexpr std::size_t filter_bytes_max = 4096;
inline constexpr int filter_depth_max = 32;

// The tier of a name, as the configuration or the contract calls it, or of a number.
using TierByName = std::function<std::optional<catalog::TierIndex>(std::string_view name)>;

// The message of an error says where (bytes, counted from 1) and what was expected there.
Result<Filter> parse_filter(std::string_view text, const TierByName& tier_by_name);

// `now_ns` is wall time.
bool matches(const FilterNode& node, const catalog::View& view, std::int64_t now_ns);

}  // namespace pm::api
