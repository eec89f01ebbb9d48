#include <gtest/gtest.h>

#include <cctype>

#include "rules.h"

// Every rule, over every transport that it is about.

namespace pm::frontend_contract {
namespace {

using Parameter = std::tuple<Rule, Transport>;

class FrontendContract : public testing::TestWithParam<Parameter> {};

TEST_P(FrontendContract, holds) {
  const auto& [rule, transport] = GetParam();
  Bench bench(transport);
  ASSERT_EQ(bench.trouble(), "");
  EXPECT_EQ(rule.check(bench), "") << rule.number << " " << rule.name;
}

std::string name_of(const testing::TestParamInfo<Parameter>& info) {
  const auto& [rule, transport] = info.param;
  const std::string number(rule.number);
  return number.substr(0, 5) + number.substr(6) + "_" + rule.name +
         (transport == Transport::tcp     ? "_over_tcp"
          : transport == Transport::local ? "_over_frames"
                                          : "_over_unix");
}

std::vector<Parameter> every_rule_over_every_transport() {
  std::vector<Parameter> result;
  for (const auto& rule : rules()) {
    if ((rule.over & over_unix) != 0) result.emplace_back(rule, Transport::unix_socket);
    if ((rule.over & over_tcp) != 0) result.emplace_back(rule, Transport::tcp);
    if ((rule.over & over_local) != 0) result.emplace_back(rule, Transport::local);
  }
  return result;
}

INSTANTIATE_TEST_SUITE_P(Frontends, FrontendContract,
                         testing::ValuesIn(every_rule_over_every_transport()), name_of);

}  // namespace
}  // namespace pm::frontend_contract
