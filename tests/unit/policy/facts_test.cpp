// What rules see.

#include <gmock/gmock.h>

#include "some_facts.h"

namespace pm::policy {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using testing::HasSubstr;

// What went wrong in a rule with this body; empty: nothing.
template <typename Facts>
std::string failure(const std::string& body, const Facts& facts) {
  const auto policy = load(rule(hook_name(Question<Facts>::hook), body));
  DecisionOf<Facts> decision;
  policy->ask(facts, decision);
  return policy->rules().states().front().last_error;
}

template <typename Facts>
void expect_all(const Facts& facts, const std::vector<std::string>& claims) {
  for (const std::string& claim : claims) {
    EXPECT_EQ(failure("assert(" + claim + ")", facts), "") << claim;
    EXPECT_THAT(failure("assert(not (" + claim + "))", facts), HasSubstr("assertion")) << claim;
  }
}

TEST(facts, of_a_payload_are_seen_by_their_names) {
  expect_all(place_facts(), {
                                "facts.payload.id == '0123'",
                                "facts.payload.size_bytes == 4 * 1024 * 1024",
                                "math.type(facts.payload.size_bytes) == 'integer'",
                                "facts.payload.expires_in_ms == nil",
                                "facts.payload.labels.app == 'train'",
                                "facts.payload.labels.owner == 'me'",
                                "facts.payload.labels.nobody == nil",
                                "facts.payload.priority == 'high'",
                                "facts.payload.no_evict",
                                "not facts.payload.require_durable",
                                "facts.payload.spill_target == 'disk'",
                                "facts.payload.min_residency == nil",
                                "facts.payload.reads == 0 and facts.payload.leases == 0",
                                "not facts.payload.pinned",
                                "#facts.payload.tiers == 0",
                            });
  PlaceFacts bare;
  bare.payload.expires_in_ms = 5;
  expect_all(bare, {"facts.payload.labels.app == nil", "facts.payload.expires_in_ms == 5",
                    "facts.hint == nil", "#facts.tiers == 0", "facts.client.name == ''"});
}

TEST(facts, of_tiers_are_seen_by_rank_and_by_name) {
  expect_all(place_facts(),
             {
                 "#facts.tiers == 3",
                 "facts.tiers[1].name == 'shm' and facts.tiers[2].name == 'disk'",
                 "facts.tiers[4] == nil and facts.tiers[0] == nil and facts.tiers[-1] == nil",
                 "facts.tiers[1.5] == nil and facts.tiers[1.0].name == 'shm'",
                 "facts.tiers.shm.rank == 10 and facts.tiers.disk.number == 3",
                 "facts.tiers.shn == nil",
                 "facts.tiers.shm == facts.tiers[1]",
                 "facts.tiers.shm ~= facts.tiers.disk",
                 "facts.tiers.shm.keeps_bytes and not facts.tiers.void.keeps_bytes",
                 "facts.tiers.disk.survives_power and not facts.tiers.shm.survives_power",
                 "facts.tiers.shm.spill_to == 'disk' and facts.tiers.void.spill_to == nil",
                 "facts.tiers.shm.numa_node == 1 and facts.tiers.shm.gpu == nil",
                 "facts.tiers.shm.capacity_bytes == 1000 << 20",
                 "facts.tiers.shm.free_bytes == 250 << 20",
                 "facts.tiers.shm.pressure == 0.75",
                 "facts.tiers.disk.capacity_bytes == math.huge",
                 "facts.tiers.disk.free_bytes == math.huge and facts.tiers.disk.pressure == 0",
                 "facts.tiers.shm.in_service",
             });
}

TEST(facts, of_a_client_are_seen_by_tier) {
  expect_all(place_facts(), {
                                "facts.client.name == 'uid:1000' and facts.client.payloads == 7",
                                "facts.client.used_bytes.disk == 5",
                                "facts.client.used_bytes.shm == 6",
                                "facts.client.used_bytes.void == 0",
                                "facts.client.used_bytes.elsewhere == nil",
                                "facts.client.numa_node == 1 and facts.client.gpu == nil",
                                "facts.hint == 'shm'",
                            });
}

TEST(facts, of_a_spill_are_a_list_that_ipairs_walks) {
  expect_all(spill_facts(3), {
                                 "facts.tier == 'shm' and facts.bytes_wanted == 4 << 20",
                                 "#facts.candidates == 3",
                                 "facts.candidates[3].size_bytes == 3 << 20",
                                 "facts.candidates[1].tiers[2] == 'disk'",
                                 "facts.candidates[4] == nil",
                             });
  EXPECT_EQ(failure("local sum = 0 "
                    "for number, payload in ipairs(facts.candidates) do "
                    "  sum = sum + number * payload.size_bytes "
                    "end "
                    "assert(sum == (1 + 4 + 9) << 20, sum)",
                    spill_facts(3)),
            "");
}

TEST(facts, of_a_promotion_have_a_victim_when_there_is_one) {
  PromoteFacts facts;
  facts.tiers = some_tiers();
  facts.tier = disk;
  facts.target = shm;
  expect_all(facts, {"facts.victim == nil", "facts.tier == 'disk' and facts.target == 'shm'"});
  facts.has_victim = true;
  facts.victim.frequency = 3;
  expect_all(facts, {"facts.victim.frequency == 3"});
}

TEST(facts, that_there_are_not_are_errors_that_name_those_that_there_are) {
  const PlaceFacts facts = place_facts();
  EXPECT_THAT(failure("return facts.payload.sise", facts),
              HasSubstr("a.lua:1: a payload has no 'sise'; it has id, size_bytes"));
  EXPECT_THAT(failure("return facts.candidates", facts), HasSubstr("a question of place has no"));
  EXPECT_THAT(failure("return facts.tiers.shm.free", facts), HasSubstr("a tier has no 'free'"));
  EXPECT_THAT(failure("return facts.client[1]", facts), HasSubstr("a client is no list"));
  EXPECT_THAT(failure("return facts.payload + 1", facts), HasSubstr("arithmetic on a payload"));
}

TEST(facts, cannot_be_changed) {
  const PlaceFacts facts = place_facts();
  for (const char* body : {"facts.hint = 'disk'", "facts.payload.size_bytes = 1",
                           "facts.tiers[1] = nil", "facts.payload.labels.app = 'x'"}) {
    EXPECT_THAT(failure(body, facts), HasSubstr("facts cannot be changed")) << body;
  }
}

TEST(facts, cannot_be_kept_for_another_question) {
  const auto policy = load(R"(
    local kept
    local keep = {}
    policy.place {name = "variable", rule = function(facts)
      if kept then return kept.hint end
      kept = facts
    end}
    policy.place {name = "member", rule = function(facts)
      keep.facts = facts
    end})");
  for (int time = 0; time < 3; ++time) {
    const PlaceFacts facts = place_facts();
    PlaceDecision decision;
    EXPECT_EQ(policy->ask(facts, decision), "");
  }
  const auto states = policy->rules().states();
  EXPECT_EQ(states[0].counts.failed, 0u);
  EXPECT_THAT(states[1].last_error, HasSubstr("cannot be changed after"));
}

TEST(facts, that_are_looked_at_very_often_cost_steps) {
  EXPECT_THAT(failure("while true do local x = facts.payload.size_bytes end", place_facts()),
              testing::AnyOf(HasSubstr("too many steps"), HasSubstr("too long"),
                             HasSubstr("too much memory")));
}

}  // namespace
}  // namespace pm::policy
