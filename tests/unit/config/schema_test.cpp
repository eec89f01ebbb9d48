#include "core/config/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config/plugin_config.h"
#include "core/config/toml_reader.h"
#include "sources.h"

namespace pm {
namespace {

using config::Errors;
using config::Schema;
using config::Value;
using testing::HasSubstr;

constexpr const char* kSchema = R"({
  "type": "object",
  "required": ["path"],
  "properties": {
    "path": {"type": "string", "minLength": 1, "maxLength": 8},
    "mode": {"type": "string", "pattern": "^0[0-7]{3}$", "default": "0600"},
    "cache_bytes": {"type": "integer", "minimum": 1024, "maximum": 1048576},
    "level": {"enum": ["low", "high", 3], "default": "low"},
    "direct": {"type": "boolean", "default": true},
    "share": {"type": "number", "minimum": 0, "maximum": 1},
    "listen": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string"}},
    "port": {"type": ["integer", "string"]},
    "password": {"type": "string", "writeOnly": true, "minLength": 4},
    "tls": {"type": "object", "properties": {
      "key": {"type": "string", "writeOnly": true}, "depth": {"type": "integer", "default": 2}}},
    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    "free": {"type": "object", "additionalProperties": true}
  }
})";

// The JSON that `toml` becomes, or the errors.
std::string apply(const std::string& toml, const char* schema = kSchema) {
  Errors errors;
  auto root = config::read_toml(toml, "FILE", errors);
  if (root.has_value()) {
    root->origin = {std::make_shared<const std::string>("FILE"), 1};
    const auto parsed = Schema::parse(schema);
    EXPECT_TRUE(parsed.ok()) << parsed.status().message();
    if (parsed.ok()) parsed->apply("config", *root, errors);
  }
  std::string text;
  for (const std::string& error : errors.texts()) text += error + "\n";
  return errors.empty() ? config::to_json(*root) : text;
}

TEST(Schema, fills_in_defaults_and_reads_sizes) {
  EXPECT_EQ(apply("path = '/a'\ncache_bytes = '512KiB'\ntls = {}\nlisten = ['x']\nport = 3\n"),
            R"({"path":"/a","cache_bytes":524288,"tls":{"depth":2},"listen":["x"],"port":3,)"
            R"("mode":"0600","level":"low","direct":true})");
}

TEST(Schema, refuses_with_place_key_and_what_is_allowed) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "FILE:1: config.path: is missing"},
      {"path = 3", "FILE:1: config.path: is 3; it must be text"},
      {"path = ''", "config.path: is \"\"; it must be at least 1 characters long"},
      {"path = '123456789'", "it must be at most 8 characters long"},
      {"path = 'a'\nmode = '0900'", "FILE:2: config.mode: is \"0900\"; it must be text that"},
      {"path = 'a'\ncache_bytes = 5", "FILE:2: config.cache_bytes: is 5; it must be at least 1024"},
      {"path = 'a'\ncache_bytes = '1TiB'", "it must be at most 1048576"},
      {"path = 'a'\ncache_bytes = '1XiB'", "is \"1XiB\"; it must be an integer"},
      {"path = 'a'\nlevel = 'mid'", "it must be one of \"low\", \"high\", 3"},
      {"path = 'a'\ndirect = 1", "FILE:2: config.direct: is 1; it must be true or false"},
      {"path = 'a'\nshare = 1.5", "it must be at most 1"},
      {"path = 'a'\nlisten = []", "it must be at least 1 items long"},
      {"path = 'a'\nlisten = ['a','b','c']", "it must be at most 2 items long"},
      {"path = 'a'\nlisten = ['a', 3]", "FILE:2: config.listen[1]: is 3; it must be text"},
      {"path = 'a'\nlisten = 'a'", "it must be a list"},
      {"path = 'a'\nport = true", "it must be an integer or text"},
      {"path = 'a'\npaht = 'b'", "FILE:2: config.paht: unknown key; did you mean `path`?"},
      {"path = 'a'\ntls = {kye = 'x'}", "FILE:2: config.tls.kye: unknown key; did you mean `key`"},
      {"path = 'a'\nlabels = {x = 1}", "FILE:2: config.labels.x: is 1; it must be text"},
      {"path = 'a'\ntls = 3", "FILE:2: config.tls: is 3; it must be a table"},
  };
  for (const auto& [toml, error] : cases) EXPECT_THAT(apply(toml), HasSubstr(error)) << toml;
}

TEST(Schema, allows_what_additional_properties_allow) {
  EXPECT_THAT(apply("path = 'a'\nfree = {x = 1, y = {z = 2}}\nlabels = {k = 'v'}"),
              HasSubstr(R"("free":{"x":1,"y":{"z":2}},"labels":{"k":"v"})"));
}

TEST(Schema, secrets_are_never_shown) {
  EXPECT_THAT(apply("path = 'a'\npassword = 'abc'"),
              HasSubstr("config.password: is \"***\"; it must be at least 4"));
  EXPECT_THAT(apply("path = 'a'\npassword = 77777"), testing::Not(HasSubstr("77777")));
  EXPECT_THAT(apply("path = 'a'\npassword = ['hushhush']"), testing::Not(HasSubstr("hushhush")));
}

TEST(Schema, secrets_reach_the_plugin_and_not_the_print) {
  test::Loaded loaded(std::string(test::kMinimal) +
                      "path = 'a'\npassword = 'hushhush'\ntls = {key = 'silence'}\n");
  const auto schema = [](const std::string&, const char* kind) {
    return PluginSchema{{}, std::string_view(kind) == "pm.tier/1" ? kSchema : nullptr};
  };
  check_plugin_configs(loaded.config, schema, loaded.errors);
  ASSERT_TRUE(loaded.errors.empty()) << loaded.text();
  EXPECT_THAT(loaded.config.tiers[0].config_json, HasSubstr(R"("password":"hushhush")"));
  const std::string print = print_config(loaded.config);
  EXPECT_THAT(print, HasSubstr("password = \"***\""));
  EXPECT_THAT(print, HasSubstr("key = \"***\""));
  EXPECT_THAT(print, testing::Not(HasSubstr("hush")));
  EXPECT_THAT(print, testing::Not(HasSubstr("silence")));
}

TEST(Schema, no_schema_allows_no_key) {
  EXPECT_EQ(apply("", nullptr), "{}");
  EXPECT_THAT(apply("x = 1", nullptr), HasSubstr("FILE:1: config.x: unknown key; none is allowed"));
}

TEST(Schema, a_text_too_long_for_a_pattern_is_refused) {
  EXPECT_THAT(apply("path = 'a'\nmode = '" + std::string(100'000, '0') + "'"),
              HasSubstr("config.mode: is longer than 4096 bytes"));
}

TEST(Schema, wrong_schemas_are_refused) {
  const std::pair<const char*, const char*> cases[] = {
      {"{", "it is not JSON"},
      {"3", "at #: it must be an object"},
      {R"({"oneOf": []})", "unknown keyword \"oneOf\""},
      {R"({"properties": {"a": {"type": "int"}}})", "at #/a: type must be"},
      {R"({"properties": {"a": {"pattern": "("}}})", "at #/a: pattern cannot be compiled"},
      {R"({"properties": {"a": 3}})", "at #/a: it must be an object"},
      {R"({"items": 3})", "at #/items: it must be an object"},
      {R"({"required": "a"})", "required must be an array"},
      {R"({"minimum": "1"})", "minimum must be a number"},
      {R"({"writeOnly": 1})", "writeOnly must be"},
  };
  for (const auto& [schema, error] : cases) {
    EXPECT_THAT(Schema::parse(schema).status().message(), HasSubstr(error)) << schema;
  }
}

TEST(PluginConfig, a_plugin_that_cannot_be_used_is_told_where_it_is_named) {
  test::Loaded loaded(test::kMinimal);
  const auto none = [](const std::string& id, const char*) {
    return PluginSchema{"there is no plugin `" + id + "`", nullptr};
  };
  check_plugin_configs(loaded.config, none, loaded.errors);
  EXPECT_EQ(loaded.text(),
            "FILE:2: repository.plugin: there is no plugin `org.example.store`\n"
            "FILE:5: tier.void.plugin: there is no plugin `org.example.void`\n");
}

}  // namespace
}  // namespace pm
