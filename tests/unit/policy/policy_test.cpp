// What rules answer, and examples.

#include "core/policy/policy.h"

#include <gmock/gmock.h>

#include "core/policy/answers.h"
#include "some_facts.h"

namespace pm::policy {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;
using testing::HasSubstr;

// What a rule with this body has decided, in words; or why that was wrong.
template <typename Facts>
std::string decided(const Facts& facts, const std::string& body) {
  const auto policy = load(rule(hook_name(Question<Facts>::hook), body));
  DecisionOf<Facts> decision;
  if (policy->ask(facts, decision) == "one") return words_of(facts, decision);
  const RuleState state = policy->rules().states().front();
  return state.counts.failed == 0 ? "default" : state.last_error;
}

AdmitFacts admit_facts() {
  AdmitFacts facts;
  facts.tiers = some_tiers();
  facts.tier = shm;
  return facts;
}

PromoteFacts promote_facts() {
  PromoteFacts facts;
  facts.tiers = some_tiers();
  facts.tier = disk;
  facts.target = shm;
  return facts;
}

RetainFacts retain_facts() {
  RetainFacts facts;
  facts.tiers = some_tiers();
  return facts;
}

TEST(policy, places_on_a_tier_and_perhaps_a_copy_on_another) {
  const PlaceFacts facts = place_facts();
  EXPECT_EQ(decided(facts, "return 'disk'"), "disk");
  EXPECT_EQ(decided(facts, "return facts.tiers[1].name"), "shm");
  EXPECT_EQ(decided(facts, "return {tier = 'shm'}"), "shm");
  EXPECT_EQ(decided(facts, "return {tier = 'shm', copy_to = 'disk'}"), "shm, and a copy on disk");
  EXPECT_EQ(decided(facts, "return nil"), "default");
  EXPECT_EQ(decided(facts, "return 'shn'"), "'shn' is no tier; there are disk, shm, void");
  EXPECT_EQ(decided(facts, "return 3"), "the answer is the name of a tier, and not a number");
  EXPECT_EQ(decided(facts, "return false"), "the answer is the name of a tier, and not a boolean");
  EXPECT_THAT(decided(facts, "return facts.tiers.shm"), HasSubstr("and not a userdata"));
  EXPECT_EQ(decided(facts, "return {copy_to = 'disk'}"), "the answer names no tier");
  EXPECT_EQ(decided(facts, "return {tier = 'shm', copyto = 'disk'}"),
            "an answer of place has no 'copyto'");
  EXPECT_EQ(decided(facts, "return {tier = 'shm', copy_to = 'shm'}"),
            "copy_to is the tier of the first copy");
  EXPECT_EQ(decided(facts, "return {tier = 'shm', copy_to = 1}"),
            "copy_to is the name of a tier, and not a number");
}

TEST(policy, takes_answers_that_were_made_while_the_file_was_loaded) {
  const std::string file =
      "local answer = {tier = 'shm', copy_to = 'disk'} local wrong = {tier = 'shm', copyto = 1}"
      "policy.place {name = 'wrong', rule = function() return wrong end}"
      "policy.place {name = 'right', rule = function() return answer end}";
  const auto policy = load(file);
  PlaceDecision decision;
  EXPECT_EQ(policy->ask(place_facts(), decision), "right");
  EXPECT_EQ(decision.copy_to, disk);
  EXPECT_EQ(policy->rules().states()[0].last_error, "an answer of place has no 'copyto'");
}

TEST(policy, admits_or_says_why_not) {
  const AdmitFacts facts = admit_facts();
  EXPECT_EQ(decided(facts, "return true"), "admitted");
  EXPECT_EQ(decided(facts, "return false"), "refused");
  EXPECT_EQ(decided(facts, "return 'too much on ' .. facts.tier"), "refused: too much on shm");
  EXPECT_EQ(decided(facts, "return 0"), "the answer is true, false or words, and not a number");
}

TEST(policy, tells_clients_words_that_are_short_and_printable) {
  const AdmitFacts facts = admit_facts();
  EXPECT_EQ(decided(facts, "return 'a\\nb\\0c\\xffd'"), "refused: a b c?d");
  EXPECT_EQ(decided(facts, "return 'z\\xc3\\xbcrich'"), "refused: z\xc3\xbcrich");
  EXPECT_EQ(decided(facts, "return 'a\\xed\\xa0\\x80b'"), "refused: a???b") << "a surrogate";
  EXPECT_EQ(decided(facts, "return '\\xe0\\x80\\xafb'"), "refused: ???b") << "an overlong form";
  const std::string longest = "local s = 'x' for n = 1, 9 do s = s .. s end ";
  EXPECT_EQ(decided(facts, longest + "return s"), "refused: " + std::string(200, 'x'));
  EXPECT_EQ(
      decided(facts, "local s = 'xxx' for n = 1, 99 do s = s .. '\\xc3\\xbc' end return s"),
      "refused: xxx" + [] {
        std::string text;
        for (int n = 0; n < 98; ++n) text += "\xc3\xbc";
        return text;
      }());
}

TEST(policy, spills_the_candidates_that_are_named) {
  const SpillFacts facts = spill_facts(5);
  EXPECT_EQ(decided(facts, "return {3, 1}"), "3, 1");
  EXPECT_EQ(decided(facts, "return {{candidate = 2, to = 'disk'}, {candidate = 5}, 4.0}"),
            "2 to disk, 5, 4");
  EXPECT_EQ(decided(facts, "return {}"), "no victim");
  EXPECT_EQ(decided(facts, "return nil"), "default");
  EXPECT_EQ(decided(facts, "return {1, 1}"), "candidate 1 is named twice");
  EXPECT_EQ(decided(facts, "return {1, {candidate = 1}}"), "candidate 1 is named twice");
  EXPECT_EQ(decided(facts, "return {6}"), "there is no candidate 6; there are 5");
  EXPECT_EQ(decided(facts, "return {0}"), "there is no candidate 0; there are 5");
  EXPECT_EQ(decided(facts, "return {-1}"), "there is no candidate -1; there are 5");
  for (const char* body : {"return {0 / 0}", "return {1.5}", "return {'1'}", "return {true}",
                           "return {math.huge}", "return {{to = 'disk'}}", "return {facts}"}) {
    EXPECT_EQ(decided(facts, body), "a candidate is a whole number") << body;
  }
  EXPECT_EQ(decided(facts, "return {{candidate = 1, too = 'disk'}}"), "a victim has no 'too'");
  EXPECT_EQ(decided(facts, "return {{candidate = 1, to = 'shn'}}"),
            "'shn' is no tier; there are disk, shm, void");
  EXPECT_EQ(decided(facts, "return {{candidate = 1, to = 'shm'}}"),
            "candidate 1 leaves for the tier that it is to leave");
  EXPECT_EQ(decided(facts, "return {candidate = 1}"), "the answer is a list of candidates");
  EXPECT_EQ(decided(facts, "return {1, 2, [4] = 3, x = 1}"), "the answer is a list of candidates");
  EXPECT_EQ(decided(facts, "return {1, 2, 3, 4, 5, 5}"),
            "the answer has more entries than there are candidates");
  EXPECT_EQ(decided(facts, "return 1"), "the answer is a list of candidates, and not a number");
}

TEST(policy, promotes_to_a_tier_or_leaves_it) {
  const PromoteFacts facts = promote_facts();
  EXPECT_EQ(decided(facts, "return facts.target"), "shm");
  EXPECT_EQ(decided(facts, "return false"), "it stays");
  EXPECT_EQ(decided(facts, "return nil"), "default");
  EXPECT_THAT(decided(facts, "return true"), HasSubstr("the name of a tier or false"));
  EXPECT_THAT(decided(facts, "return {}"), HasSubstr("and not a table"));
}

TEST(policy, retains_for_a_time_or_deletes) {
  const RetainFacts facts = retain_facts();
  EXPECT_EQ(decided(facts, "return 'delete'"), "delete");
  EXPECT_EQ(decided(facts, "return {keep_ms = 60000}"), "keep it for 60000 ms");
  EXPECT_EQ(decided(facts, "return {keep_ms = 1, tier = 'disk'}"), "keep it for 1 ms on disk");
  EXPECT_THAT(decided(facts, "return 'deleet'"), HasSubstr("the answer is \"delete\" or"));
  for (const char* keep : {"0", "-1", "1.5", "0 / 0", "math.huge", "1 << 62", "'1'", "nil"}) {
    EXPECT_THAT(decided(facts, "return {keep_ms = " + std::string(keep) + "}"),
                HasSubstr("keep_ms is a whole number from 1"))
        << keep;
  }
  EXPECT_EQ(decided(facts, "return {keep_ms = 1, teir = 'disk'}"),
            "an answer of retain has no 'teir'");
}

TEST(policy, leaves_the_decision_as_it_was_when_no_rule_answers) {
  const auto policy = load(rule("place", "return {tier = 'shm', copy_to = 'shn'}"));
  PlaceDecision decision{disk, nothing};
  EXPECT_EQ(policy->ask(place_facts(), decision), "");
  EXPECT_EQ(decision.tier, disk);
  EXPECT_EQ(decision.copy_to, nothing);
}

TEST(policy, has_no_rules_once_they_are_suspended) {
  const auto policy = load(rule("place", "error('no')"));
  EXPECT_TRUE(policy->has_rules(Hook::place));
  EXPECT_FALSE(policy->has_rules(Hook::spill));
  PlaceDecision decision;
  for (int time = 0; time < 3; ++time) policy->ask(place_facts(), decision);
  EXPECT_FALSE(policy->has_rules(Hook::place));
}

TEST(policy, shows_candidates_in_the_order_that_a_rule_asks_for) {
  const std::string none = ", rule = function() end}";
  EXPECT_EQ(load("policy.spill {name = 'a'" + none)->order(), CandidateOrder::oldest);
  const std::string score = "policy.spill {name = 'b', from = 'score'" + none;
  EXPECT_EQ(load("policy.spill {name = 'a'" + none + score)->order(), CandidateOrder::score);
  const std::string oldest = "\npolicy.spill {name = 'c', from = 'oldest'" + none;
  EXPECT_EQ(Policy::load({{"a.lua", score + oldest}}).status().message(),
            "a.lua:2: the rule 'c' of spill wants candidates from = \"oldest\", and 'b' (a.lua:1) "
            "from = \"score\"; have one of the two");
  EXPECT_THAT(Policy::load({{"a.lua", "policy.spill {name = 'a', from = 'best'" + none}})
                  .status()
                  .message(),
              HasSubstr("'from' is \"oldest\" or \"score\""));
  EXPECT_THAT(Policy::load({{"a.lua", "policy.place {name = 'a', from = 'score'" + none}})
                  .status()
                  .message(),
              HasSubstr("a rule has no 'from'"));
}

// ---- examples ----

// Behind a rule that places small payloads on shm.
std::string checked(const std::string& example) {
  const std::string small =
      "policy.place {name = 'small', rule = function(facts) "
      "if facts.payload.size_bytes < 10 then return 'shm' end end} "
      "policy.spill {name = 'all', rule = function(facts) local all = {} "
      "for number in ipairs(facts.candidates) do all[number] = number end return all end} "
      "policy.admit {name = 'none', rule = function() return 'full' end} "
      "policy.place {name = 'broken', rule = function(facts) "
      "if facts.payload.size_bytes > 99 then error('broken') end end} "
      "local tiers = {{name = 'shm', capacity_bytes = 100}, {name = 'disk'}}\n";
  auto policy = Policy::load({{"a.lua", small + example}});
  return policy.ok() ? (*policy)->check_examples().message() : policy.status().message();
}

TEST(examples, hold_when_the_rules_answer_what_is_expected) {
  EXPECT_EQ(checked("policy.example {hook = 'place', facts = {tiers = tiers}, expect = 'shm'}"),
            "");
  EXPECT_EQ(checked("policy.example {hook = 'place', facts = {tiers = tiers, "
                    "payload = {size_bytes = 50}}, expect = 'default'}"),
            "");
  EXPECT_EQ(checked("policy.example {hook = 'spill', facts = {candidates = {{}, {}}}, "
                    "expect = {1, 2}}"),
            "");
  EXPECT_EQ(checked("policy.example {hook = 'admit', facts = {}, expect = false}"), "");
  EXPECT_EQ(checked("policy.example {hook = 'admit', facts = {}, expect = 'full'}"), "");
  EXPECT_EQ(checked("policy.example {hook = 'promote', facts = {}, expect = 'default'}"), "");
}

TEST(examples, that_do_not_hold_say_where_what_they_expected_and_got) {
  EXPECT_EQ(checked("policy.example {hook = 'place', facts = {tiers = tiers}, expect = 'disk'}"),
            "a.lua:2: expected disk, and got shm from the rule 'small'");
  EXPECT_EQ(checked("\npolicy.example {hook = 'place', facts = {tiers = tiers, "
                    "payload = {size_bytes = 10}},\n expect = 'disk'}"),
            "a.lua:3: expected disk, and got default");
  EXPECT_EQ(checked("policy.example {hook = 'spill', facts = {candidates = {{}}}, expect = {}}"),
            "a.lua:2: expected no victim, and got 1 from the rule 'all'");
  EXPECT_EQ(checked("policy.example {hook = 'admit', facts = {}, expect = 'empty'}"),
            "a.lua:2: expected refused: empty, and got refused: full from the rule 'none'");
  EXPECT_EQ(checked("policy.example {hook = 'place', facts = {payload = {size_bytes = 100}}, "
                    "expect = 'default'}"),
            "a.lua:2: expected default, and the rule 'broken' fails: a.lua:1: broken");
}

TEST(examples, may_be_of_one_rule) {
  EXPECT_EQ(checked("policy.example {hook = 'place', rule = 'broken', facts = {tiers = tiers}, "
                    "expect = 'default'}"),
            "");
  EXPECT_THAT(checked("policy.example {hook = 'place', rule = 'brken', facts = {tiers = tiers}, "
                      "expect = 'default'}"),
              HasSubstr("there is no rule 'brken' of place"));
}

TEST(examples, give_facts_as_rules_see_them) {
  const std::string facts = R"({
    tiers = {{name = "shm", spill_to = "disk", capacity_bytes = 100, used_bytes = 25, numa_node = 0},
             {name = "disk", rank = 0, survives_power = true, in_service = false},
             {name = "void", keeps_bytes = false, capacity_bytes = math.huge}},
    payload = {id = "x", size_bytes = 3, labels = {b = "2", a = "1"}, priority = "low",
               spill_target = "disk", tiers = {"disk"}, expires_in_ms = 7, pinned = true,
               frequency = 4},
    tier = "disk", target = "shm", victim = {frequency = 5}})";
  const std::string rule =
      "policy.promote {name = 'p', rule = function(facts) local p = facts.payload "
      "local shm, disk = facts.tiers.shm, facts.tiers.disk "
      "assert(shm.spill_to == 'disk' and shm.free_bytes == 75 and shm.pressure == 0.25) "
      "assert(shm.numa_node == 0 and disk.numa_node == nil and facts.tiers[1] == disk) "
      "assert(disk.survives_power and not disk.in_service and disk.capacity_bytes == math.huge) "
      "assert(not facts.tiers.void.keeps_bytes and facts.tiers.void.free_bytes == math.huge) "
      "assert(p.labels.a == '1' and p.labels.b == '2' and p.labels.c == nil) "
      "assert(p.priority == 'low' and p.spill_target == 'disk' and p.tiers[1] == 'disk') "
      "assert(p.expires_in_ms == 7 and p.pinned and p.frequency == 4 and p.size_bytes == 3) "
      "assert(facts.victim.frequency == 5 and facts.victim.expires_in_ms == nil) "
      "return facts.target end} "
      "policy.admit {name = 'a', rule = function(facts) "
      "assert(facts.client.used_bytes.disk == 9 and facts.client.used_bytes.shm == 0) "
      "return facts.client.name end} ";
  const auto policy =
      load(rule + "policy.example {hook = 'promote', expect = 'shm', facts = " + facts + "} " +
           "policy.example {hook = 'admit', expect = 'me', facts = {tiers = {{name = 'shm'}, "
           "{name = 'disk'}}, tier = 'shm', client = {name = 'me', used_bytes = {disk = 9}}}}");
  EXPECT_EQ(policy->check_examples().message(), "");
  EXPECT_EQ(policy->examples_count(), 2u);
  EXPECT_EQ(policy->rules().states()[0].counts.asked, 0u) << "an example is no question";
}

TEST(examples, that_cannot_be_are_refused_with_the_place) {
  const auto with = [](const std::string& facts) {
    return checked("policy.example {hook = 'place', expect = 'default', facts = " + facts + "}");
  };
  EXPECT_EQ(with("{payload = {sise = 1}}"), "a.lua:2: facts.payload.sise is no field of a payload");
  EXPECT_EQ(with("{victim = {}}"), "a.lua:2: facts.victim is no field of a question of place");
  EXPECT_EQ(with("{tiers = {{name = 'a', free_bytes = 1}}}"),
            "a.lua:2: facts.tiers[1].free_bytes follows from other fields, and is not given");
  EXPECT_EQ(with("{tiers = tiers, hint = 'shn'}"),
            "a.lua:2: facts.hint says that 'shn' is no tier; there are shm, disk");
  EXPECT_EQ(with("{tiers = {{name = 'a'}, {name = 'a'}}}"),
            "a.lua:2: facts.tiers[2] has the name of another tier");
  EXPECT_EQ(with("{tiers = {{}}}"), "a.lua:2: facts.tiers[1] has no name");
  EXPECT_EQ(with("{payload = {size_bytes = -1}}"),
            "a.lua:2: facts.payload.size_bytes is a whole number from 0");
  EXPECT_EQ(with("{payload = {frequency = 1 << 40}}"),
            "a.lua:2: facts.payload.frequency is at most 4294967295");
  EXPECT_EQ(with("{payload = 7}"), "a.lua:2: facts.payload is a table, and not a number");
  EXPECT_EQ(with("{payload = {1}}"), "a.lua:2: facts.payload is no list: its fields have names");
  EXPECT_EQ(with("{payload = {priority = 'lowest'}}"),
            "a.lua:2: facts.payload.priority is \"low\", \"normal\", \"high\" or \"never\"");
  EXPECT_EQ(with("{payload = {pinned = 1}}"), "a.lua:2: facts.payload.pinned is true or false");
  EXPECT_EQ(with("{client = {used_bytes = {shn = 1}}}"),
            "a.lua:2: facts.client.used_bytes.shn is no tier of these facts");
  EXPECT_EQ(with("nil"), "a.lua:2: an example needs facts");
  EXPECT_THAT(checked("policy.example {hook = 'plaice', facts = {}, expect = 'default'}"),
              HasSubstr("'hook' is"));
  EXPECT_THAT(checked("policy.example {hook = 'place', facts = {}}"), HasSubstr("needs 'expect'"));
  EXPECT_THAT(checked("policy.example {hook = 'place', facts = {}, expect = 'shm'}"),
              HasSubstr("'expect': 'shm' is no tier; there are none"));
  EXPECT_THAT(checked("policy.example {hook = 'place', fact = {}}"), HasSubstr("no 'fact'"));
}

TEST(examples, are_made_while_files_are_loaded_only) {
  const auto policy = load(rule("place", "policy.example {hook = 'place', facts = {}}"));
  PlaceDecision decision;
  policy->ask(place_facts(), decision);
  EXPECT_THAT(policy->rules().states()[0].last_error, HasSubstr("while files are loaded"));
}

TEST(examples, without_end_are_stopped) {
  EXPECT_THAT(checked("local list = {} for n = 1, 5000 do list[n] = {} end while true do "
                      "policy.example {hook = 'spill', facts = {candidates = list}, expect = {}} "
                      "end"),
              testing::AnyOf(HasSubstr("too many"), HasSubstr("too long")));
}

}  // namespace
}  // namespace pm::policy
