// The texts of ids, tiers and states.

#include <gtest/gtest.h>

#include "pm/client/client.h"

namespace pm::client {
namespace {

constexpr const char* text = "00112233-4455-6677-8899-aabbccddeeff";

TEST(payload_id, parse_and_format_are_inverse) {
  const auto id = PayloadId::parse(text);
  ASSERT_TRUE(id.ok());
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(id->bytes[i], i * 0x11);
  EXPECT_EQ(id->to_string(), text);
}

TEST(payload_id, upper_case_is_accepted_and_lower_case_written) {
  const auto id = PayloadId::parse("00112233-4455-6677-8899-AABBCCDDEEFF");
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(id->to_string(), text);
}

class NotAnId : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(
    texts, NotAnId,
    testing::Values("", "00112233445566778899aabbccddeeff", "00112233-4455-6677-8899-aabbccddeef",
                    "00112233-4455-6677-8899-aabbccddeeff0", "00112233-4455-6677-8899_aabbccddeeff",
                    "0011223g-4455-6677-8899-aabbccddeeff", "001122334-455-6677-8899-aabbccddeeff",
                    "{0112233-4455-6677-8899-aabbccddeef}", std::string(36, '-'),
                    std::string(100'000, 'a')));

TEST_P(NotAnId, is_refused_with_words_of_bounded_length) {
  const auto id = PayloadId::parse(GetParam());
  EXPECT_EQ(id.status().code(), Code::invalid_argument);
  EXPECT_LT(id.status().message().size(), 200U);
}

TEST(tier, names_and_parse_are_inverse) {
  for (const Tier tier : {Tier::gpu, Tier::ram, Tier::disk, Tier::object, Tier::void_tier,
                          static_cast<Tier>(100), static_cast<Tier>(2147483647)}) {
    const auto parsed = parse_tier(tier_name(tier));
    ASSERT_TRUE(parsed.ok()) << tier_name(tier);
    EXPECT_EQ(*parsed, tier);
  }
}

TEST(tier, what_is_no_tier_is_refused) {
  for (const char* name : {"", "RAM", "unspecified", "tier-", "tier-5", "tier-99", "tier-1x",
                           "tier--1", "tier-2147483648", "tier-99999999999"}) {
    EXPECT_EQ(parse_tier(name).status().code(), Code::invalid_argument) << name;
  }
}

TEST(state, every_number_has_a_text) {
  EXPECT_EQ(state_name(State::allocated), "allocated");
  EXPECT_EQ(state_name(State::lost), "lost");
  EXPECT_EQ(state_name(static_cast<State>(42)), "state-42");
}

}  // namespace
}  // namespace pm::client
