#include "rule.h"

#include <array>
#include <cstddef>
#include <set>
#include <string_view>
#include <utility>

namespace pm::fault {

namespace json = boost::json;

namespace {

struct KindName {
  const char* name;
  Kind kind;
};
constexpr std::array<KindName, 6> kind_names = {{{"error", Kind::error},
                                                 {"full", Kind::full},
                                                 {"latency", Kind::latency},
                                                 {"hang", Kind::hang},
                                                 {"short_read", Kind::short_read},
                                                 {"corrupt", Kind::corrupt}}};

constexpr std::uint64_t latency_ms_max = 3'600'000;

std::string view(const json::string& text) { return {text.data(), text.size()}; }

// Reads one table, remembers which keys were asked for, and the first thing that is wrong.
class Reader {
 public:
  Reader(const json::object& table, std::string where) : table_(table), where_(std::move(where)) {}

  const json::value* find(const char* key) {
    known_.insert(key);
    return table_.if_contains(key);
  }

  std::optional<std::string> text(const char* key) {
    const json::value* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (const json::string* found = value->if_string()) return view(*found);
    refuse(key, "must be text");
    return std::nullopt;
  }

  std::optional<std::uint64_t> number(const char* key, std::uint64_t minimum,
                                      std::uint64_t maximum = INT64_MAX) {
    const json::value* value = find(key);
    if (value == nullptr) return std::nullopt;
    const std::int64_t* found = value->if_int64();
    if (found != nullptr && *found >= 0 && static_cast<std::uint64_t>(*found) >= minimum &&
        static_cast<std::uint64_t>(*found) <= maximum) {
      return static_cast<std::uint64_t>(*found);
    }
    refuse(key,
           "must be an integer from " + std::to_string(minimum) + " to " + std::to_string(maximum));
    return std::nullopt;
  }

  void refuse(const std::string& key, const std::string& what) {
    if (!status_.ok()) return;
    status_ = {Code::invalid_argument, where_ + (key.empty() ? "" : "." + key) + ": " + what};
  }

  // Last of all: keys that nobody asked for are mistyped, or belong to another kind.
  Status finish() {
    for (const auto& entry : table_) {
      const std::string key(entry.key());
      if (known_.count(key) == 0) refuse(key, "is no key of this kind of fault");
    }
    return status_;
  }

 private:
  const json::object& table_;
  const std::string where_;
  std::set<std::string> known_;
  Status status_;
};

void read_kind(Reader& reader, Rule& rule) {
  const auto name = reader.text("kind");
  for (const KindName& each : kind_names) {
    if (name == each.name) {
      rule.kind = each.kind;
      return;
    }
  }
  reader.refuse("kind", "must be error, full, latency, hang, short_read or corrupt");
}

void add_operation(Reader& reader, Rule& rule, Operations operations, const std::string& name) {
  for (std::size_t index = 0; index < operations.size(); ++index) {
    if (name != operations[index].name) continue;
    if ((operations[index].kinds & static_cast<std::uint32_t>(rule.kind)) == 0) {
      reader.refuse("operation", "`" + name + "` cannot have this kind of fault");
    }
    rule.operations |= std::uint64_t{1} << index;
    return;
  }
  std::string names;
  for (const Operation& each : operations)
    names += (names.empty() ? "" : ", ") + std::string(each.name);
  reader.refuse("operation", "`" + name + "` is none of " + names);
}

// A name or a list of them; left out: every operation that can have this kind of fault.
void read_operations(Reader& reader, Rule& rule, Operations operations) {
  const json::value* value = reader.find("operation");
  if (value == nullptr) {
    for (std::size_t index = 0; index < operations.size(); ++index) {
      const bool can = (operations[index].kinds & static_cast<std::uint32_t>(rule.kind)) != 0;
      if (can) rule.operations |= std::uint64_t{1} << index;
    }
    if (rule.operations == 0) reader.refuse("kind", "no operation of this plugin can have it");
    return;
  }
  if (const json::string* name = value->if_string()) {
    return add_operation(reader, rule, operations, view(*name));
  }
  const json::array* names = value->if_array();
  if (names == nullptr || names->empty()) {
    return reader.refuse("operation", "must be a name or a list of names");
  }
  for (const json::value& name : *names) {
    if (!name.is_string()) return reader.refuse("operation", "must be a name or a list of names");
    add_operation(reader, rule, operations, view(name.get_string()));
  }
}

void read_turn(Reader& reader, Rule& rule) {
  if (const auto nth = reader.number("nth", 1)) rule.nth = *nth;
  if (const auto every = reader.number("every", 1)) rule.every = *every;
  if (rule.nth != 0 && rule.every != 0) reader.refuse("every", "cannot stand beside nth");
  if (const json::value* probability = reader.find("probability")) {
    if (probability->is_number()) rule.probability = probability->to_number<double>();
    if (!probability->is_number() || rule.probability <= 0 || rule.probability > 1) {
      reader.refuse("probability", "must be a number above 0 and at most 1");
    }
  }
  if (const auto seed = reader.number("seed", 0)) rule.seed = *seed;
  if (const auto repeat = reader.text("repeat")) {
    if (*repeat == "once") {
      rule.repeat = Repeat::once;
    } else if (*repeat == "sticky") {
      rule.repeat = Repeat::sticky;
    } else if (*repeat != "each") {
      reader.refuse("repeat", "must be each, once or sticky");
    }
  }
}

void read_error(Reader& reader, Rule& rule, Operations operations) {
  const auto status = status_of(reader.text("status").value_or(""));
  if (status.has_value()) {
    rule.status = *status;
  } else {
    reader.refuse("status", "must be a status that is not OK, such as UNAVAILABLE");
  }
  if (const auto message = reader.text("message")) rule.message = *message;
  if (const json::value* after = reader.find("after")) {
    if (!after->is_bool()) return reader.refuse("after", "must be true or false");
    rule.after = after->get_bool();
  }
  for (std::size_t index = 0; rule.after && index < operations.size(); ++index) {
    const bool chosen = (rule.operations >> index & 1) != 0;
    if (chosen && (operations[index].kinds & fails_before) != 0) {
      reader.refuse("after", std::string("`") + operations[index].name +
                                 "` cannot fail when all has been done; leave it out of operation");
    }
  }
}

void read_full(Reader& reader, Rule& rule, Operations operations) {
  rule.status = PM_RESOURCE_EXHAUSTED;
  if (const auto message = reader.text("message")) rule.message = *message;
  const auto used = reader.number("used_bytes_max", 0);
  if (!used.has_value()) return;
  rule.used_bytes_max = *used;
  for (std::size_t index = 0; index < operations.size(); ++index) {
    const bool chosen = (rule.operations >> index & 1) != 0;
    if (chosen && (operations[index].kinds & knows_usage) == 0) {
      reader.refuse("used_bytes_max",
                    std::string("`") + operations[index].name + "` does not know what is used");
    }
  }
}

void read_effect(Reader& reader, Rule& rule, Operations operations) {
  switch (rule.kind) {
    case Kind::error: return read_error(reader, rule, operations);
    case Kind::full: return read_full(reader, rule, operations);
    case Kind::latency: {
      const auto latency = reader.number("latency_ms", 1, latency_ms_max);
      if (!latency.has_value()) reader.refuse("latency_ms", "must be given");
      rule.latency_ms = latency.value_or(0);
      return;
    }
    case Kind::short_read: rule.count_max = reader.number("count_max", 0); return;
    case Kind::corrupt: rule.offset_bytes = reader.number("offset_bytes", 0); return;
    case Kind::hang: {
      const json::value* deaf = reader.find("ignores_deadline");
      if (deaf == nullptr) return;
      if (!deaf->is_bool()) return reader.refuse("ignores_deadline", "must be true or false");
      rule.ignores_deadline = deaf->get_bool();
      return;
    }
  }
}

}  // namespace

std::optional<pm_status_t> status_of(std::string_view name) {
  for (pm_status_t code = PM_CANCELLED; code <= PM_UNAUTHENTICATED; ++code) {
    if (name == code_name(static_cast<Code>(code))) return code;
  }
  return std::nullopt;
}

Result<std::vector<Rule>> parse_rules(const json::value& faults, Operations operations) {
  const json::array* list = faults.if_array();
  if (list == nullptr) {
    return Status(Code::invalid_argument, "fault: must be a list of tables ([[fault]])");
  }
  std::vector<Rule> rules;
  for (const json::value& item : *list) {
    const std::string where = "fault[" + std::to_string(rules.size()) + "]";
    const json::object* table = item.if_object();
    if (table == nullptr) return Status(Code::invalid_argument, where + ": must be a table");
    Reader reader(*table, where);
    Rule rule;
    read_kind(reader, rule);
    read_operations(reader, rule, operations);
    read_turn(reader, rule);
    read_effect(reader, rule, operations);
    PM_TRY(reader.finish());
    rule.text = where + " " + json::serialize(*table);
    rules.push_back(std::move(rule));
  }
  return rules;
}

}  // namespace pm::fault
