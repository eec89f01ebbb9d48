#include "core/api/told_facts.h"

#include <gtest/gtest.h>

namespace pm::api {
namespace {

catalog::Id id_of(std::uint8_t number) {
  catalog::Id id;
  id.bytes.fill(number);
  return id;
}

ToldFacts facts_of(std::uint8_t id, std::uint16_t rule, std::int64_t wall_ns) {
  ToldFacts facts;
  facts.id = id_of(id);
  facts.rule = rule;
  facts.wall_ns = wall_ns;
  return facts;
}

TEST(told_facts, are_those_of_the_last_decision_of_a_rule_before_that_time) {
  ToldFactsRing ring;
  for (const std::int64_t at : {10, 30, 20}) ring.add(facts_of(1, 7, at));
  ring.add(facts_of(1, 8, 25));
  ring.add(facts_of(2, 7, 26));
  EXPECT_EQ(ring.find(id_of(1), 7, 29).wall_ns, 20);
  EXPECT_EQ(ring.find(id_of(1), 7, 30).wall_ns, 30);
  EXPECT_EQ(ring.find(id_of(1), 8, 99).wall_ns, 25);
  EXPECT_EQ(ring.find(id_of(1), 7, 9).rule, 0);
  EXPECT_EQ(ring.find(id_of(3), 7, 99).rule, 0);
}

TEST(told_facts, are_forgotten_when_there_are_newer_ones) {
  ToldFactsRing ring;
  ring.add(facts_of(1, 7, 1));
  for (std::size_t n = 1; n < ToldFactsRing::kept; ++n) ring.add(facts_of(2, 7, 2));
  EXPECT_EQ(ring.find(id_of(1), 7, 9).rule, 7);
  ring.add(facts_of(3, 7, 3));
  EXPECT_EQ(ring.find(id_of(1), 7, 9).rule, 0);
  EXPECT_EQ(ring.find(id_of(3), 7, 9).rule, 7);
}

TEST(told_facts, are_told_by_the_names_that_scripts_use) {
  policy::RetainFacts facts;
  facts.tiers.resize(2);
  facts.tiers[1].name = "disk";
  facts.tiers[1].used_bytes = 5;
  facts.payload.size_bytes = 4;
  facts.payload.age_ms = 3;
  facts.payload.reads = 2;
  facts.payload.tiers = {1};
  ToldFacts all = told(facts);
  EXPECT_EQ(words_of(all, facts.tiers), "") << "no rule has decided";
  all.rule = 1;
  EXPECT_EQ(words_of(all, facts.tiers),
            "size_bytes 4, frequency 0, reads 2, unread_ms 0, age_ms 3, disk used_bytes 5, disk "
            "waiting_bytes 0");
}

// The longest that there can be, with the longest name that a tier may have.
TEST(told_facts, are_short_enough_for_a_line) {
  std::vector<policy::TierFacts> tiers(1);
  tiers[0].name = std::string(32, 'x');
  ToldFacts facts;
  facts.rule = 1;
  facts.tier = 0;
  facts.hook = policy::Hook::promote;
  facts.has_victim = true;
  constexpr std::uint64_t large = 1ULL << 50;
  facts.used_bytes = facts.capacity_bytes = facts.waiting_bytes = large;
  facts.size_bytes = facts.victim_size_bytes = facts.reads = large;
  facts.unread_ms = facts.victim_unread_ms = large;
  EXPECT_LT(words_of(facts, tiers).size(), 350u);
}

}  // namespace
}  // namespace pm::api
