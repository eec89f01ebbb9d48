#include "core/config/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config/plugin_config.h"
#include "sources.h"

namespace pm {
namespace {

using test::kMinimal;
using test::Loaded;
using testing::HasSubstr;

TEST(Environment, overrides_the_file) {
  const Loaded loaded(std::string(kMinimal) + "[log]\nlevel = \"warn\"\n",
                      {{"PM_LOG__LEVEL", "debug"},
                       {"PM_HOST__STATE_DIRECTORY", "/elsewhere"},
                       {"PM_LEASES__MAX_MS", "30000"},
                       {"PM_LIMITS__JOURNAL_BYTES_MAX", "2MiB"},
                       {"PM_TIER__VOID__WORKERS", "7"},
                       {"PM_REPOSITORY__PLUGIN", "org.example.other"}});
  ASSERT_TRUE(loaded.errors.empty()) << loaded.text();
  EXPECT_EQ(loaded.config.log.level, LogLevel::debug);
  EXPECT_EQ(loaded.config.state_directory, "/elsewhere");
  EXPECT_EQ(loaded.config.leases.max_ms, 30'000u);
  EXPECT_EQ(loaded.config.limits.journal_bytes_max, 2u << 20);
  EXPECT_EQ(loaded.config.tiers[0].workers, 7u);
  EXPECT_EQ(loaded.config.repository.plugin, "org.example.other");
}

TEST(Environment, option_overrides_the_environment) {
  ConfigSources sources;
  sources.environment = {{"PM_HOST__STATE_DIRECTORY", "/from-environment"}};
  sources.state_directory = "/from-option";
  config::Errors errors;
  const HostConfig config = load_config(sources, errors);
  EXPECT_EQ(config.state_directory, "/from-option");
}

TEST(Environment, text_that_looks_like_a_number_is_text_where_text_is_wanted) {
  const Loaded loaded(kMinimal, {{"PM_HOST__NAME", "42"}});
  ASSERT_TRUE(loaded.errors.empty()) << loaded.text();
  EXPECT_EQ(loaded.config.name, "42");
}

TEST(Environment, list_is_toml_or_one_item) {
  const Loaded one(kMinimal, {{"PM_PLUGINS__DIRECTORIES", "/a"}});
  EXPECT_EQ(one.config.plugin_directories, std::vector<std::filesystem::path>{"/a"});
  const Loaded two(kMinimal, {{"PM_PLUGINS__DIRECTORIES", "[\"/a\", \"/b\"]"}});
  EXPECT_EQ(two.config.plugin_directories, (std::vector<std::filesystem::path>{"/a", "/b"}));
}

TEST(Environment, tier_with_a_dash_is_named_with_an_underscore) {
  std::string text = kMinimal;
  text.replace(text.find("\"void\""), 6, "\"deep-void\"");
  const Loaded loaded(text, {{"PM_TIER__DEEP_VOID__WORKERS", "3"}});
  ASSERT_TRUE(loaded.errors.empty()) << loaded.text();
  EXPECT_EQ(loaded.config.tiers[0].workers, 3u);
}

TEST(Environment, config_of_a_plugin_is_reached_by_name) {
  Loaded loaded(kMinimal, {{"PM_TIER__VOID__CONFIG__CAPACITY_BYTES", "1GiB"},
                           {"PM_TIER__VOID__CONFIG__TLS__KEY", "123"}});
  const auto schema = [](const std::string&, const char* kind) {
    return PluginSchema{{}, std::string_view(kind) != "pm.tier/1" ? nullptr : R"({
        "type": "object", "properties": {"capacity_bytes": {"type": "integer"},
        "tls": {"type": "object", "properties": {"key": {"type": "string"}}}}})"};
  };
  check_plugin_configs(loaded.config, schema, loaded.errors);
  ASSERT_TRUE(loaded.errors.empty()) << loaded.text();
  EXPECT_EQ(loaded.config.tiers[0].config_json,
            R"({"capacity_bytes":1073741824,"tls":{"key":"123"}})");
}

TEST(Environment, errors_name_the_variable) {
  const std::pair<std::pair<const char*, const char*>, const char*> cases[] = {
      {{"PM_LOG__LEVEL", "loud"}, "environment PM_LOG__LEVEL: log.level: is \"loud\""},
      {{"PM_LOG__LEVLE", "x"}, "environment PM_LOG__LEVLE: log.levle: unknown key; did you mean"},
      {{"PM_LGO__LEVEL", "x"}, "environment PM_LGO__LEVEL: lgo: unknown section; did you mean"},
      {{"PM_LEASES__MAX_MS", "x"}, "environment PM_LEASES__MAX_MS: leases.max_ms: is text (\"x\")"},
      {{"PM_LEASES__MAX_MS", "99999999999999999999"}, "environment PM_LEASES__MAX_MS: leases"},
      {{"PM_TIER__SHM__WORKERS", "1"}, "environment PM_TIER__SHM__WORKERS: tier.shm: no [[tier]]"},
      {{"PM_TIER__VOID", "1"}, "environment PM_TIER__VOID: tier: write PM_TIER__NAME__KEY"},
      {{"PM_LOG__", "1"}, "environment PM_LOG__: log: write PM_SECTION__KEY"},
      {{"PM_TIER__VOID__NAME__X", "1"}, "environment PM_TIER__VOID__NAME__X: tier: a part of"},
  };
  for (const auto& [variable, error] : cases) {
    const Loaded loaded(kMinimal, {{variable.first, variable.second}});
    EXPECT_THAT(loaded.text(), HasSubstr(error));
  }
}

TEST(Environment, other_variables_are_left_alone) {
  const Loaded loaded(kMinimal, {{"PM_BUILD_DIR", "x"}, {"PATH", "y"}, {"XPM_LOG__LEVEL", "z"}});
  EXPECT_TRUE(loaded.errors.empty()) << loaded.text();
}

}  // namespace
}  // namespace pm
