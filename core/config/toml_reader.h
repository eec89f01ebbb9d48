#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/config/value.h"

namespace pm::config {

constexpr std::size_t kTomlBytesMax = std::size_t{1} << 20;
constexpr std::size_t kTomlDepthMax = 64;

// Reads TOML 1.0 (https://toml.io/en/v1.0.0) into a tree. `source` names the text in origins.
// Refuses more than kTomlBytesMax bytes, deeper nesting than kTomlDepthMax, dates, infinities and
// not-a-number. On errors, which it adds with their lines, it returns nothing.
std::optional<Value> read_toml(std::string_view text, const std::string& source, Errors& errors);

// Reads one TOML value, as on the right of `=`. Quiet: nothing when it is not one.
std::optional<Value> read_toml_value(std::string_view text);

}  // namespace pm::config
