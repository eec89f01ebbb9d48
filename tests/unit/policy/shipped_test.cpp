// The policies that ship: their examples, their size, and that the README knows of them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/policy/policy.h"

namespace pm::policy {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const fs::path scripts = fs::path(PM_TEST_SCRIPTS);

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> shipped() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(scripts / "policies")) {
    if (entry.path().extension() == ".lua") names.push_back(entry.path().stem());
  }
  std::ranges::sort(names);
  return names;
}

class Shipped : public testing::TestWithParam<std::string> {};

TEST_P(Shipped, policies_decide_as_their_examples_say) {
  const std::string name = GetParam();
  auto policy = Policy::load(
      {{name + ".lua", text_of(scripts / "policies" / (name + ".lua"))},
       {name + "_test.lua", text_of(scripts / "policies/tests" / (name + "_test.lua"))}});
  ASSERT_TRUE(policy.ok()) << policy.status().message();
  for (const Status& status : (*policy)->run_examples()) {
    EXPECT_TRUE(status.ok()) << status.message();
  }
  EXPECT_GE((*policy)->examples_count(), 5u);
  EXPECT_FALSE((*policy)->rules().states().empty());
}

TEST_P(Shipped, policies_are_short_and_have_a_row_in_the_readme) {
  const std::string text = text_of(scripts / "policies" / (GetParam() + ".lua"));
  EXPECT_LT(std::ranges::count(text, '\n'), 60);
  EXPECT_TRUE(text.starts_with("-- ")) << "what it does stands on top";
  EXPECT_THAT(text, HasSubstr("Use it ")) << "and when to use it";
  const std::string readme = text_of(scripts / "README.md");
  EXPECT_THAT(readme, HasSubstr("\n| `" + GetParam() + "` |"));
}

INSTANTIATE_TEST_SUITE_P(policies, Shipped, testing::ValuesIn(shipped()), [](const auto& info) {
  std::string name = info.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

TEST(shipped, policies_are_eight_and_load_together_but_for_their_orders) {
  EXPECT_THAT(shipped(), testing::ElementsAre("deadline", "durable-first", "ephemeral", "hot-cold",
                                              "lru", "numa-local", "quota", "size-aware"));
  const auto load_all = [](const std::vector<std::string>& names) {
    std::vector<SourceFile> files;
    for (const std::string& name : names) {
      files.push_back({name + ".lua", text_of(scripts / "policies" / (name + ".lua"))});
    }
    auto policy = Policy::load(files);
    return policy.status().message();
  };
  EXPECT_EQ(load_all({"quota", "numa-local", "durable-first", "ephemeral", "deadline", "lru"}), "");
  EXPECT_EQ(load_all({"quota", "durable-first", "deadline", "hot-cold", "size-aware"}), "");
  EXPECT_THAT(load_all({"lru", "hot-cold"}), HasSubstr("have one of the two"));
}

}  // namespace
}  // namespace pm::policy
