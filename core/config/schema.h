#pragma once

#include <boost/json/value.hpp>
#include <pm/cpp/result.hpp>
#include <string>

#include "core/config/value.h"

namespace pm::config {

// A plugin's config_schema: a JSON Schema (draft 2020-12) of the keywords type, properties,
// required, enum, minimum, maximum, minLength, maxLength, minItems, maxItems, pattern (ECMAScript),
// items, default, description, title, examples, $schema, $id, $comment, writeOnly and
// additionalProperties. One rule is stricter than the standard's: without additionalProperties, a
// key that is not among the properties is refused, since it is most likely mistyped.
class Schema {
 public:
  // Refuses text that is not JSON, and keywords that are not among those above: a rule that is not
  // checked would be worse than none. NULL: a schema that allows no key.
  static Result<Schema> parse(const char* text);

  // Checks `value`, named `key` in errors; fills in defaults, reads size texts (size_text.h), takes
  // values of the environment as the type wanted, and marks secrets, whose values no error shows.
  void apply(const std::string& key, Value& value, Errors& errors) const;

 private:
  explicit Schema(boost::json::value root) : root_(std::move(root)) {}

  boost::json::value root_;
};

// The value as JSON text, for a plugin's create().
std::string to_json(const Value& value);

}  // namespace pm::config
