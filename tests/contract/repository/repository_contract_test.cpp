#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "plugin_subject.h"
#include "rules.h"

// Every rule on every repository of the project, through the C ABI.

namespace pm::contract {
namespace {

struct Case {
  std::string plugin;
  Rule rule;
};

// Rules of persistent stores are left out for the one that is not.
std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const Rule& rule : repository_rules()) {
    if (!rule.only_persistent) {
      cases.push_back({"memory", rule});
      cases.push_back({"fault_memory", rule});
    }
    cases.push_back({"sqlite", rule});
    cases.push_back({"fault_sqlite", rule});
  }
  return cases;
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  return info.param.plugin + "_REPO" + std::string(info.param.rule.id).substr(5) + "_" +
         info.param.rule.name;
}

Subject subject_of(const std::string& plugin, const std::string& path) {
  if (plugin == "memory") return memory_subject();
  if (plugin == "fault_memory") return memory_behind_faults_subject();
  return plugin == "sqlite" ? sqlite_subject(path) : sqlite_behind_faults_subject(path);
}

class RepositoryContract : public testing::TestWithParam<Case> {};

TEST_P(RepositoryContract, holds) {
  const auto& [plugin, rule] = GetParam();
  const TemporaryFolder folder;
  const Subject subject = subject_of(plugin, folder.path() + "/made/store.db");
  const Verdict verdict = rule.check(subject);
  EXPECT_FALSE(verdict.has_value()) << rule.id << ": " << verdict.value_or("");
}

INSTANTIATE_TEST_SUITE_P(Plugins, RepositoryContract, testing::ValuesIn(all_cases()), name_of);

TEST(RepositoryPlugins, say_what_they_are) {
  for (const char* name : {"repository-memory", "repository-sqlite", "repository-fault"}) {
    const bool for_tests = std::string(name) == "repository-fault";
    const pm_plugin_entry_t* entry =
        load_plugin(name, for_tests ? "payload-manager-test" : "payload-manager");
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->abi_major, static_cast<uint32_t>(PM_ABI_MAJOR));
    EXPECT_STREQ(entry->descriptor->kind, PM_KIND_REPOSITORY);
    EXPECT_EQ(std::string("org.payload-manager.") + name, entry->descriptor->id);
  }
}

}  // namespace
}  // namespace pm::contract
