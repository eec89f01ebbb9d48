#include "toml_text.h"

// The library's assertions end the process on some kinds of bad input; without them it reports
// these as errors, like any other. NDEBUG would turn them into promises to the optimizer instead,
// which bad input breaks.
#undef NDEBUG
#define TOML_ASSERT(expression) static_assert(true)
#define TOML_EXCEPTIONS 1
#define TOML_HEADER_ONLY 1
#define TOML_MAX_NESTED_VALUES 64
#define TOML_ENABLE_FORMATTERS 0
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#include <toml++/toml.h>
#pragma GCC diagnostic pop

#include <algorithm>
#include <exception>

namespace pm::fault {

namespace json = boost::json;

namespace {

constexpr std::size_t text_bytes_max = 64 << 10;
// A dotted key nests without a bound of the library's, which then frees the tables by recursion.
constexpr std::ptrdiff_t dots_max = 64;

bool has_deep_line(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    if (std::count(line.begin(), line.end(), '.') > dots_max) return true;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return false;
}

// Dates become null, which no key of a fault takes.
json::value to_json(const toml::node& node) {
  if (const toml::table* table = node.as_table()) {
    json::object object;
    for (const auto& [key, value] : *table) object[std::string(key.str())] = to_json(value);
    return object;
  }
  if (const toml::array* array = node.as_array()) {
    json::array list;
    for (const toml::node& item : *array) list.push_back(to_json(item));
    return list;
  }
  if (const auto* text = node.as_string()) return json::string(text->get());
  if (const auto* integer = node.as_integer()) return integer->get();
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* flag = node.as_boolean()) return flag->get();
  return nullptr;
}

}  // namespace

Result<json::value> read_faults(std::string_view text, const std::string& source) {
  if (text.size() > text_bytes_max) {
    return Status(Code::invalid_argument, source + ": a schedule has at most 64 KiB");
  }
  if (has_deep_line(text)) {
    return Status(Code::invalid_argument, source + ": more than 64 dots on one line");
  }
  try {
    const toml::table table = toml::parse(text);
    for (const auto& [key, value] : table) {
      if (key.str() == "fault") continue;
      return Status(Code::invalid_argument,
                    source + ":" + std::to_string(value.source().begin.line) + ": `" +
                        std::string(key.str()) + "` is no key of a schedule; it has [[fault]]");
    }
    const toml::node* faults = table.get("fault");
    return faults == nullptr ? json::value(json::array{}) : to_json(*faults);
  } catch (const toml::parse_error& error) {
    return Status(Code::invalid_argument, source + ":" + std::to_string(error.source().begin.line) +
                                              ": " + std::string(error.description()));
  } catch (const std::exception& error) {
    return Status(Code::invalid_argument, source + ": cannot be read: " + error.what());
  }
}

}  // namespace pm::fault
