#include "core/config/toml_reader.h"

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
#include <cmath>
#include <exception>

namespace pm::config {
namespace {

static_assert(TOML_MAX_NESTED_VALUES == kTomlDepthMax);

// A dotted key nests without a bound of the library's, which then frees the tables by recursion.
// So the dots of each line are counted first. A line that begins with # holds no key.
std::optional<std::uint32_t> find_deep_line(std::string_view text) {
  std::uint32_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t first = line.find_first_not_of(" \t");
    if (first == std::string_view::npos || line[first] == '#') continue;
    const auto dots = static_cast<std::size_t>(std::count(line.begin(), line.end(), '.'));
    if (dots > kTomlDepthMax) return number;
  }
  return std::nullopt;
}

// Turns the library's tree into ours.
class Converter {
 public:
  Converter(std::shared_ptr<const std::string> source, Errors& errors)
      : source_(std::move(source)), errors_(errors) {}

  Value convert(const toml::node& node, const std::string& key, std::size_t depth) {
    Value value;
    value.origin = {source_, static_cast<std::uint32_t>(node.source().begin.line)};
    if (depth > kTomlDepthMax) {
      errors_.add(value.origin, key, "is nested deeper than 64 levels");
    } else if (const toml::table* table = node.as_table()) {
      value.data = convert_table(*table, key, depth);
    } else if (const toml::array* array = node.as_array()) {
      Array items;
      for (const toml::node& item : *array) {
        items.push_back(convert(item, key + "[" + std::to_string(items.size()) + "]", depth + 1));
      }
      value.data = std::move(items);
    } else {
      convert_scalar(node, key, value);
    }
    return value;
  }

 private:
  Table convert_table(const toml::table& table, const std::string& prefix, std::size_t depth) {
    Table out;
    for (const auto& [name, node] : table) {
      const std::string key(name.str());
      const std::string path = prefix.empty() ? key : prefix + "." + key;
      out.entries.push_back({key, convert(node, path, depth + 1)});
    }
    // The library orders keys by name; the order of the file reads better.
    std::stable_sort(out.entries.begin(), out.entries.end(), [](const auto& a, const auto& b) {
      return a.value.origin.line < b.value.origin.line;
    });
    return out;
  }

  void convert_scalar(const toml::node& node, const std::string& key, Value& value) {
    if (const auto* text = node.as_string()) {
      value.data = text->get();
    } else if (const auto* integer = node.as_integer()) {
      value.data = integer->get();
    } else if (const auto* flag = node.as_boolean()) {
      value.data = flag->get();
    } else if (const auto* number = node.as_floating_point()) {
      value.data = number->get();
      if (!std::isfinite(number->get())) errors_.add(value.origin, key, "is not a finite number");
    } else {
      errors_.add(value.origin, key, "is a date or a time; write it as text, in quotes");
    }
  }

  std::shared_ptr<const std::string> source_;
  Errors& errors_;
};

std::optional<Value> parse(std::string_view text, const std::shared_ptr<const std::string>& source,
                           Errors& errors) {
  try {
    const toml::table table = toml::parse(text);
    const bool clean = errors.empty();
    Value root = Converter(source, errors).convert(table, "", 0);
    if (clean && !errors.empty()) return std::nullopt;
    return root;
  } catch (const toml::parse_error& error) {
    const auto line = static_cast<std::uint32_t>(error.source().begin.line);
    errors.add(Origin{source, line}, "syntax", error.description());
  } catch (const std::exception& error) {
    errors.add(*source + ": cannot be read: " + error.what());
  }
  return std::nullopt;
}

}  // namespace

std::optional<Value> read_toml(std::string_view text, const std::string& source, Errors& errors) {
  const auto name = std::make_shared<const std::string>(source);
  if (text.size() > kTomlBytesMax) {
    errors.add(source + ": has " + std::to_string(text.size()) +
               " bytes; a configuration has at most 1 MiB");
    return std::nullopt;
  }
  if (const auto line = find_deep_line(text)) {
    errors.add(Origin{name, *line}, "syntax",
               "more than 64 dots on one line; keys nest at most 64 levels");
    return std::nullopt;
  }
  return parse(text, name, errors);
}

std::optional<Value> read_toml_value(std::string_view text) {
  Errors errors;
  if (text.find('\n') != std::string_view::npos) return std::nullopt;
  auto root = read_toml("value = " + std::string(text) + "\n", "value", errors);
  if (!root.has_value() || root->table()->entries.size() != 1) return std::nullopt;
  return std::move(root->table()->entries.front().value);
}

}  // namespace pm::config
