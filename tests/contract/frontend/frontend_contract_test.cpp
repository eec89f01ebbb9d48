#include <gtest/gtest.h>

#include <cctype>

#include "rules.h"

// Every rule, over every transport.

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
         (transport == Transport::tcp ? "_over_tcp" : "_over_unix");
}

std::vector<Parameter> every_rule_over_every_transport() {
  std::vector<Parameter> result;
  for (const auto& rule : rules()) {
    result.emplace_back(rule, Transport::unix_socket);
    if (!rule.unix_only) result.emplace_back(rule, Transport::tcp);
  }
  return result;
}

INSTANTIATE_TEST_SUITE_P(GrpcFrontend, FrontendContract,
                         testing::ValuesIn(every_rule_over_every_transport()), name_of);

}  // namespace
}  // namespace pm::frontend_contract
