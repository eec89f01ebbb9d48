#include "core/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config/plugin_config.h"
#include "core/config/size_text.h"
#include "sources.h"

namespace pm {
namespace {

using test::kMinimal;
using test::Loaded;
using testing::ElementsAre;
using testing::HasSubstr;

struct Refusal {
  const char* name;
  std::string text;   // Of the file.
  const char* error;  // A part of what is said, with FILE for the path.
};

class Refusals : public testing::TestWithParam<Refusal> {};

TEST_P(Refusals, names_file_line_key_and_what_is_allowed) {
  const Loaded loaded(GetParam().text);
  EXPECT_THAT(loaded.text(), HasSubstr(GetParam().error));
}

std::string with(const std::string& more) { return kMinimal + more; }

INSTANTIATE_TEST_SUITE_P(
    config, Refusals,
    testing::Values(
        Refusal{"unknown_section", with("[lgo]\n"),
                "FILE:8: lgo: unknown key; did you mean `log`?"},
        Refusal{"unknown_key", with("[log]\nlevle = \"info\"\n"),
                "FILE:9: log.levle: unknown key; did you mean `level`?"},
        Refusal{"far_key", with("[log]\ncolour = 1\n"),
                "FILE:9: log.colour: unknown key; allowed: level, format"},
        Refusal{"choice", with("[log]\nlevel = \"loud\"\n"),
                "FILE:9: log.level: is \"loud\"; it must be one of debug, info, warn, error"},
        Refusal{"type", with("[leases]\nmax_ms = \"long\"\n"),
                "FILE:9: leases.max_ms: is text (\"long\"); it must be an integer from 1 to"},
        Refusal{"range", with("[leases]\nmax_ms = 0\n"),
                "FILE:9: leases.max_ms: is 0; it must be an integer from 1 to 2592000000"},
        Refusal{"leases_cross", with("[leases]\ndefault_ms = 9\nmax_ms = 8\n"),
                "FILE:9: leases.default_ms: is 9; it must be at most leases.max_ms, which is 8"},
        Refusal{"size_text", with("[limits]\njournal_bytes_max = \"64MB\"\n"),
                "FILE:9: limits.journal_bytes_max: is text (\"64MB\"); it must be an integer"},
        Refusal{"size_text_on_a_count", with("[limits]\nwaiters_max = \"1KiB\"\n"),
                "FILE:9: limits.waiters_max: is text (\"1KiB\"); it must be an integer"},
        Refusal{"section_is_scalar", "log = 3\n" + with(""),
                "FILE:1: log: is an integer; it must be a table, [log]"},
        Refusal{"tier_is_scalar", "tier = 3\n[repository]\nplugin = \"x\"\n",
                "FILE:1: tier: is an integer; write it as [[tier]]"},
        Refusal{"tier_is_table", "[repository]\nplugin = \"x\"\n[tier]\nname = \"x\"\n",
                "FILE:3: tier: is a table; write it as [[tier]]"},
        Refusal{"no_tier", "[repository]\nplugin = \"x\"\n", "at least one [[tier]] is needed"},
        Refusal{"no_plugin", "[repository]\n", "FILE:1: repository.plugin: is missing"},
        Refusal{"tier_name", with("[[tier]]\nname = \"Fast\"\nplugin = \"p\"\nnumber = 1\n"),
                "FILE:9: tier.Fast.name: is \"Fast\"; it must be a-z, then"},
        Refusal{"tier_twice", with("[[tier]]\nname = \"void\"\nplugin = \"p\"\nnumber = 1\n"),
                "FILE:9: tier.void.name: another [[tier]] is called \"void\""},
        Refusal{"number_twice", with("[[tier]]\nname = \"b\"\nplugin = \"p\"\nnumber = 5\n"),
                "FILE:11: tier.b.number: is 5, which the tier \"void\" has"},
        Refusal{"number_reserved", with("[[tier]]\nname = \"b\"\nplugin = \"p\"\nnumber = 6\n"),
                "FILE:11: tier.b.number: is 6; it must be one of 1 to 5"},
        Refusal{"number_zero", with("[[tier]]\nname = \"b\"\nplugin = \"p\"\nnumber = 0\n"),
                "FILE:11: tier.b.number: is 0; it must be an integer from 1"},
        Refusal{"number_missing", with("[[tier]]\nname = \"b\"\nplugin = \"p\"\n"),
                "FILE:8: tier.b.number: is missing"},
        Refusal{"probe_times",
                with("[[tier]]\nname = \"b\"\nplugin = \"p\"\nnumber = 2\nprobe_ms_min = 50\n"
                     "probe_ms_max = 49\n"),
                "FILE:13: tier.b.probe_ms_max: is 49; it must be at least probe_ms_min, which is "
                "50"},
        Refusal{"call_ms_max",
                with("[[tier]]\nname = \"b\"\nplugin = \"p\"\nnumber = 2\ncall_ms_max = 9\n"),
                "FILE:12: tier.b.call_ms_max: is 9; it must be an integer from 10 to 86400000"},
        Refusal{"workers",
                with("[[tier]]\nname = \"b\"\nplugin = \"p\"\nnumber = 2\nworkers = 65\n"),
                "FILE:12: tier.b.workers: is 65; it must be an integer from 1 to 64"},
        Refusal{"spill_unknown",
                with("[[tier]]\nname = \"b\"\nplugin = \"p\"\nnumber = 2\nspill_to = \"viod\"\n"),
                "FILE:12: tier.b.spill_to: no tier is called \"viod\"; did you mean `void`?"},
        Refusal{"spill_upwards",
                with("[[tier]]\nname = \"b\"\nplugin = \"p\"\nnumber = 101\nspill_to = \"void\"\n"),
                "FILE:12: tier.b.spill_to: names \"void\", whose rank 50 is not slower"},
        Refusal{"frontend_twice",
                with("[[frontend]]\nname = \"a\"\nplugin = \"p\"\n"
                     "[[frontend]]\nname = \"a\"\nplugin = \"p\"\n"),
                "FILE:12: frontend.a.name: another [[frontend]] is called \"a\""},
        Refusal{"relative_plugins", with("[plugins]\ndirectories = [\"plugins\"]\n"),
                "FILE:9: plugins.directories: names \"plugins\"; it must be an absolute path"},
        Refusal{"plugins_of_wrong_type", with("[plugins]\ndirectories = [\"/a\", 3]\n"),
                "FILE:9: plugins.directories[1]: is an integer; it must be text"},
        Refusal{"relative_state", with("[host]\nstate_directory = \"state\"\n"),
                "FILE:9: host.state_directory: is \"state\"; it must be an absolute path"},
        Refusal{"relative_journal", with("[policy]\njournal = \"j.jsonl\"\n"),
                "FILE:9: policy.journal: is \"j.jsonl\"; it must be an absolute path"},
        Refusal{"tiny_journal", with("[policy]\njournal_bytes_max = 9\n"),
                "FILE:9: policy.journal_bytes_max: is 9; it must be "},
        Refusal{"unknown_variable", with("a = \"${state_dir}\"\n"),
                "FILE:8: tier[0].config.a: unknown variable `${state_dir}`; did you mean "
                "`state_directory`?"},
        Refusal{"unset_environment", with("a = [\"x\", \"${env:PM_TEST_UNSET}\"]\n"),
                "FILE:8: tier[0].config.a[1]: the environment has no variable `PM_TEST_UNSET`"},
        Refusal{"open_variable", with("a = \"${state_directory\"\n"),
                "FILE:8: tier[0].config.a: a $ begins ${NAME}; write $$"},
        Refusal{"date", with("a = 2020-01-01\n"), "FILE:8: tier[0].config.a: is a date or a time"},
        Refusal{"infinity", with("a = inf\n"), "FILE:8: tier[0].config.a: is not a finite number"},
        Refusal{"syntax", with("a = = 3\n"), "FILE:8: syntax: "},
        Refusal{"key_twice", with("a = 3\na = 4\n"), "FILE:9: syntax: "}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(Config, every_error_is_reported) {
  const Loaded loaded(with("[log]\nlevel = 3\nx = 1\n[leases]\nmax_ms = -1\n[nothing]\n"));
  EXPECT_EQ(loaded.errors.texts().size(), 4u) << loaded.text();
}

TEST(Config, missing_file_is_an_error_with_its_path) {
  ConfigSources sources;
  sources.file = "/nonexistent/host.toml";
  config::Errors errors;
  load_config(sources, errors);
  ASSERT_EQ(errors.texts().size(), 1u);
  EXPECT_THAT(errors.texts()[0],
              HasSubstr("/nonexistent/host.toml: cannot be read: No such file or directory"));
}

TEST(Config, directory_in_place_of_a_file_is_refused) {
  ConfigSources sources;
  sources.file = "/tmp";
  config::Errors errors;
  load_config(sources, errors);
  EXPECT_THAT(errors.texts(), ElementsAre("/tmp: is not a regular file"));
}

TEST(Config, built_in_configuration_is_valid) {
  ConfigSources sources;
  sources.state_directory = "/state";
  sources.runtime_directory = "/runtime";
  config::Errors errors;
  HostConfig config = load_config(sources, errors);
  ASSERT_TRUE(errors.empty()) << errors.texts()[0];
  ASSERT_EQ(config.tiers.size(), 3u);
  EXPECT_EQ(config.tiers[0].name, "shm");
  EXPECT_EQ(config.tiers[0].number, 2u);
  EXPECT_EQ(config.tiers[1].rank, 30);
  EXPECT_EQ(config.tiers[2].name, "void");
  EXPECT_EQ(config.limits.payload_bytes_max, 137'438'953'472u);
  const auto any = [](const std::string&, const char*) {
    return PluginSchema{{}, R"({"type": "object", "additionalProperties": true})"};
  };
  check_plugin_configs(config, any, errors);
  ASSERT_TRUE(errors.empty()) << errors.texts()[0];
  EXPECT_EQ(config.repository.config_json, R"({"path":"/state/catalog.sqlite"})");
  EXPECT_EQ(config.tiers[1].config_json, R"({"root":"/state/payloads"})");
  EXPECT_EQ(config.frontends[0].config_json,
            R"({"listen":["unix:/runtime/payload-manager.sock"]})");
}

TEST(Config, directories_default_to_those_of_the_user) {
  const Loaded home(kMinimal);
  EXPECT_EQ(home.config.state_directory, "/home/someone/.local/state/payload-manager");
  EXPECT_EQ(home.config.runtime_directory, "/home/someone/.local/state/payload-manager/run");
  const Loaded xdg(kMinimal, {{"XDG_STATE_HOME", "/s"}, {"XDG_RUNTIME_DIR", "/r"}});
  EXPECT_EQ(xdg.config.state_directory, "/s/payload-manager");
  EXPECT_EQ(xdg.config.runtime_directory, "/r/payload-manager");
}

TEST(Config, directories_of_root_are_the_system_s) {
  ConfigSources sources;
  sources.is_root = true;
  config::Errors errors;
  const HostConfig config = load_config(sources, errors);
  EXPECT_EQ(config.state_directory, "/var/lib/payload-manager");
  EXPECT_EQ(config.runtime_directory, "/run/payload-manager");
}

TEST(Config, without_home_the_state_directory_must_be_set) {
  config::Errors errors;
  load_config(ConfigSources{}, errors);
  ASSERT_FALSE(errors.empty());
  EXPECT_THAT(errors.texts()[0], HasSubstr("host.state_directory: is not set"));
}

TEST(Config, variables_are_replaced_once_and_dollar_pairs_kept_as_one) {
  const Loaded loaded(
      "[host]\nname = \"${env:A}$$\"\nstate_directory = \"${env:HOME}/x\"\n"
      "runtime_directory = \"${state_directory}/run\"\n" +
          std::string(kMinimal),
      {{"A", "${env:B}"}});
  ASSERT_TRUE(loaded.errors.empty()) << loaded.text();
  EXPECT_EQ(loaded.config.name, "${env:B}$");
  EXPECT_EQ(loaded.config.state_directory, "/home/someone/x");
  EXPECT_EQ(loaded.config.runtime_directory, "/home/someone/x/run");
}

TEST(Config, rank_defaults_to_ten_times_the_number_and_quarantine_to_the_longest_lease) {
  const Loaded loaded(with("[leases]\nmax_ms = 30000\n"));
  ASSERT_TRUE(loaded.errors.empty()) << loaded.text();
  EXPECT_EQ(loaded.config.tiers[0].rank, 50);
  EXPECT_EQ(loaded.config.tiers[0].workers, 2u);
  EXPECT_EQ(loaded.config.recovery.quarantine_ms, 30'000u);
  EXPECT_FALSE(loaded.config.tiers[0].spill_to.has_value());
}

TEST(Config, victims_go_to_the_next_slower_durable_tier_unless_told_otherwise) {
  HostConfig config;
  for (const auto& [name, rank] : {std::pair("shm", 20), {"far", 90}, {"disk", 30}, {"void", 50}}) {
    config.tiers.push_back({name, "p", 0, rank, 2, std::nullopt, ""});
  }
  const std::vector<bool> is_durable = {false, true, true, false};
  EXPECT_EQ(spill_target(config, 0, is_durable), "disk");
  EXPECT_EQ(spill_target(config, 2, is_durable), "far");
  EXPECT_EQ(spill_target(config, 1, is_durable), "");
  config.tiers[0].spill_to = "void";
  config.tiers[2].spill_to = "";
  EXPECT_EQ(spill_target(config, 0, is_durable), "void");
  EXPECT_EQ(spill_target(config, 2, is_durable), "");
}

TEST(Config, print_shows_values_with_their_origins) {
  const Loaded loaded(with("[log]\nlevel = \"warn\"\n"), {{"PM_LOG__FORMAT", "json"}});
  const std::string text = print_config(loaded.config);
  EXPECT_THAT(text, testing::ContainsRegex("level = \"warn\" +# .*/host.toml:9\n"));
  EXPECT_THAT(text, testing::ContainsRegex("format = \"json\" +# environment PM_LOG__FORMAT\n"));
  EXPECT_THAT(text, testing::ContainsRegex("max_ms = 120000 +# default\n"));
}

TEST(Config, printed_configuration_loads_as_the_same) {
  const Loaded first(with("a = \"x\\ny\"\n[log]\nlevel = \"warn\"\n"));
  const Loaded second(print_config(first.config));
  ASSERT_TRUE(second.errors.empty()) << second.text();
  EXPECT_THAT(changed_keys(first.config, second.config), ElementsAre());
}

TEST(Config, changed_keys_are_named_by_tier) {
  const Loaded before(with("a = 1\n"));
  const Loaded after(with("a = 2\nb = 3\n[log]\nlevel = \"warn\"\n"));
  EXPECT_THAT(changed_keys(before.config, after.config),
              ElementsAre("log.level", "tier.void.config.a", "tier.void.config.b"));
}

TEST(Config, decisions_are_noted_nowhere_unless_told_where) {
  const Loaded silent(with(""));
  EXPECT_EQ(silent.config.policy.journal, "");
  EXPECT_EQ(silent.config.policy.journal_bytes_max, 256u << 20);
  const Loaded told(
      with("[policy]\njournal = \"${state_directory}/j.jsonl\"\n"
           "journal_bytes_max = \"1MiB\"\n"));
  EXPECT_EQ(told.text(), "");
  EXPECT_EQ(told.config.policy.journal, told.config.state_directory / "j.jsonl");
  EXPECT_EQ(told.config.policy.journal_bytes_max, 1u << 20);
}

TEST(SizeText, takes_binary_units_only) {
  EXPECT_EQ(config::parse_size("4GiB"), 4ll << 30);
  EXPECT_EQ(config::parse_size("0KiB"), 0);
  EXPECT_EQ(config::parse_size("7TiB"), 7ll << 40);
  EXPECT_EQ(config::parse_size("8388607TiB"), 8388607ll << 40);
  for (const char* wrong : {"", "4", "GiB", "4GB", "4 GiB", "-1MiB", "+1MiB", "4gib", "1.5GiB",
                            "8388608TiB", "99999999999999999999KiB", "4GiBx"}) {
    EXPECT_EQ(config::parse_size(wrong), std::nullopt) << wrong;
  }
}

TEST(SizeText, is_taken_by_keys_of_bytes) {
  EXPECT_TRUE(config::is_size_key("capacity_bytes"));
  EXPECT_TRUE(config::is_size_key("journal_bytes_max"));
  EXPECT_FALSE(config::is_size_key("waiters_max"));
  const Loaded loaded(with("[limits]\njournal_bytes_max = \"1MiB\"\n"));
  EXPECT_EQ(loaded.config.limits.journal_bytes_max, 1u << 20);
}

}  // namespace
}  // namespace pm
