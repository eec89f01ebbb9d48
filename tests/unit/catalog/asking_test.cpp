#include <gtest/gtest.h>

#include "harness.h"

// What policies are asked and told, and what becomes of their answers.

namespace pm::catalog::test {
namespace {

Machine asking_machine(VictimOrder order = VictimOrder::oldest) {
  Machine machine;
  machine.apply(PolicyInUse{true, true, order});
  return machine;
}

// Fills the tier with 16 payloads, from 1 on, and asks for room for one more.
void fill_and_ask(Machine& machine) {
  for (std::uint64_t number = 1; number <= 16; ++number) machine.put(number, 4 * kib);
  Allocate next;
  next.id = make_id(17);
  next.size_bytes = 4 * kib;
  next.tier = shm;
  EXPECT_FALSE(machine.call(next).has_value()) << "it does not wait";
}

SpillLook look(const Machine& machine, std::uint32_t count = 64) {
  SpillLook found;
  machine.catalog->look_at_victims(shm, count, machine.now, found);
  return found;
}

SpillWanted take_question(Machine& machine) {
  EXPECT_EQ(machine.questions.size(), 1u);
  if (machine.questions.empty()) return {};
  const auto wanted = std::get<SpillWanted>(machine.questions.front());
  machine.questions.clear();
  return wanted;
}

Evict answer_to(const SpillWanted& wanted, const Machine& machine,
                const std::vector<std::size_t>& places, TierIndex target = no_tier) {
  Evict answer{wanted.tier, wanted.number, true, 7, {}};
  const SpillLook found = look(machine);
  for (const std::size_t place : places) {
    answer.choices.push_back(
        {found.candidates[place].id, found.candidates[place].generation, target});
  }
  return answer;
}

TEST(asking, a_policy_chooses_who_leaves) {
  Machine machine = asking_machine();
  fill_and_ask(machine);
  const Ticket waiting = machine.ticket;
  const SpillWanted wanted = take_question(machine);
  EXPECT_EQ(wanted.tier, shm);
  EXPECT_TRUE(machine.effects.empty()) << "somebody left before the answer";
  EXPECT_EQ(look(machine).bytes_wanted, 4 * kib);
  EXPECT_EQ(look(machine).candidates.size(), 16u);
  EXPECT_EQ(look(machine, 3).candidates.size(), 3u);
  machine.apply(answer_to(wanted, machine, {5}));
  machine.do_effects();
  EXPECT_EQ(machine.see(6).tier, disk);
  EXPECT_EQ(machine.see(1).tier, shm) << "the built-in rule chose, too";
  ASSERT_TRUE(machine.reply_to(waiting).has_value());
  EXPECT_EQ(machine.reply_to(waiting)->reason, Reason::none);
  EXPECT_TRUE(machine.questions.empty());
}

TEST(asking, an_eviction_names_the_rule_that_chose_it) {
  Machine machine = asking_machine();
  fill_and_ask(machine);
  machine.events.clear();
  machine.apply(answer_to(take_question(machine), machine, {5}));
  machine.do_effects();
  std::vector<std::uint16_t> rules;
  for (const Event& event : machine.events) {
    if (event.kind == EventKind::evicted) rules.push_back(event.rule);
  }
  EXPECT_EQ(rules, std::vector<std::uint16_t>{7});
}

// A rule of place has no part in what the built-in rule lets leave for it.
TEST(asking, a_victim_of_the_built_in_rule_names_no_other_rule) {
  Machine machine;
  for (std::uint64_t number = 1; number <= 16; ++number) machine.put(number, 4 * kib);
  Allocate next;
  next.id = make_id(17);
  next.size_bytes = 4 * kib;
  next.tier = shm;
  next.rule = 9;
  machine.finish(next);
  int evicted = 0;
  for (const Event& event : machine.events) {
    if (event.kind == EventKind::allocated && event.id == make_id(17)) {
      EXPECT_EQ(event.rule, 9u);
    }
    if (event.kind != EventKind::evicted) continue;
    ++evicted;
    EXPECT_EQ(event.rule, 0u);
  }
  EXPECT_EQ(evicted, 1);
}

TEST(asking, no_more_leave_than_are_needed) {
  Machine machine = asking_machine();
  fill_and_ask(machine);
  machine.apply(answer_to(take_question(machine), machine, {3, 4, 5, 6}));
  machine.do_effects();
  EXPECT_EQ(machine.see(4).tier, disk);
  EXPECT_EQ(machine.see(5).tier, shm);
}

TEST(asking, the_built_in_rule_chooses_when_nobody_answers) {
  Machine machine = asking_machine();
  fill_and_ask(machine);
  const Ticket waiting = machine.ticket;
  const SpillWanted wanted = take_question(machine);
  machine.apply(Evict{wanted.tier, wanted.number, false, 0, {}});
  machine.do_effects();
  EXPECT_EQ(machine.see(1).tier, disk);
  EXPECT_TRUE(machine.reply_to(waiting).has_value());
}

TEST(asking, an_answer_is_asked_for_again_until_the_third_is_in_vain) {
  Machine machine = asking_machine();
  fill_and_ask(machine);
  const Ticket waiting = machine.ticket;
  for (int answer = 1; answer <= 3; ++answer) {
    EXPECT_FALSE(machine.reply_to(waiting).has_value()) << answer;
    const SpillWanted wanted = take_question(machine);
    machine.apply(Evict{wanted.tier, wanted.number, true, 7, {}});
  }
  machine.do_effects();
  EXPECT_EQ(machine.see(1).tier, disk) << "the built-in rule chooses then";
  EXPECT_TRUE(machine.reply_to(waiting).has_value());
}

TEST(asking, what_is_not_so_any_more_is_passed_over) {
  Machine machine = asking_machine();
  fill_and_ask(machine);
  const SpillWanted wanted = take_question(machine);
  Evict answer = answer_to(wanted, machine, {0, 1, 2, 3, 4});
  machine.lease(1, 100);
  Pin pin;
  pin.id = make_id(2);
  machine.call(pin);
  machine.label(3, {{"key", "value"}});
  answer.choices[2].generation += 1'000;
  answer.choices[3].target = shm;
  machine.apply(answer);
  machine.do_effects();
  for (const std::uint64_t number : {1, 2, 3, 4}) EXPECT_EQ(machine.see(number).tier, shm);
  EXPECT_EQ(machine.see(5).tier, disk);
}

TEST(asking, a_late_answer_does_nothing) {
  Machine machine = asking_machine();
  fill_and_ask(machine);
  const SpillWanted wanted = take_question(machine);
  const Evict late = answer_to(wanted, machine, {0});
  machine.apply(answer_to(wanted, machine, {3}));
  machine.do_effects();
  Allocate next;
  next.id = make_id(18);
  next.size_bytes = 4 * kib;
  next.tier = shm;
  machine.commit(17);
  EXPECT_FALSE(machine.call(next).has_value());
  const Ticket waiting = machine.ticket;
  const SpillWanted open = take_question(machine);
  machine.apply(late);
  EXPECT_TRUE(machine.effects.empty()) << "an answer to the question before was taken";
  EXPECT_EQ(machine.see(1).tier, shm);
  machine.apply(answer_to(open, machine, {1}));
  machine.do_effects();
  EXPECT_TRUE(machine.reply_to(waiting).has_value()) << "the open question was closed";
}

TEST(asking, a_victim_may_be_sent_to_another_tier_or_deleted) {
  Machine machine = asking_machine();
  fill_and_ask(machine);
  machine.apply(answer_to(take_question(machine), machine, {0}, nowhere));
  machine.do_effects();
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
  EXPECT_EQ(machine.see(17).tier, shm);
}

TEST(asking, pinned_leased_and_protected_payloads_are_no_candidates) {
  Machine machine = asking_machine();
  Retention stays;
  stays.no_evict = true;
  machine.put(100, 4 * kib, shm, 0, stays);
  machine.put(101, 4 * kib);
  machine.lease(101, 1, 60 * second_ns);
  machine.put(102, 4 * kib);
  machine.put(103, 4 * kib);
  Pin pin;
  pin.id = make_id(103);
  machine.call(pin);
  ASSERT_EQ(look(machine).candidates.size(), 1u);
  EXPECT_EQ(look(machine).candidates[0].id, make_id(102));
}

// POLICY-2
TEST(asking, a_choice_is_held_to_what_the_payload_requires) {
  Machine machine = asking_machine();
  Retention durable;
  durable.require_durable = true;
  for (std::uint64_t number = 1; number <= 16; ++number) {
    machine.put(number, 4 * kib, shm, 0, durable);
  }
  Allocate next;
  next.id = make_id(17);
  next.size_bytes = 4 * kib;
  next.tier = shm;
  machine.call(next);
  machine.apply(answer_to(take_question(machine), machine, {0, 1}, nowhere));
  machine.do_effects();
  EXPECT_EQ(machine.see(1).tier, shm);
  EXPECT_EQ(machine.see(2).tier, shm);
  EXPECT_FALSE(machine.questions.empty()) << "it is asked again";
}

// Both tiers ask, and the lower one has nobody who may leave.
TEST(asking, who_cannot_be_let_in_is_told_when_the_tier_below_is_full_too) {
  std::vector<TierFacts> tiers = three_tiers(64 * kib, 16 * kib);
  tiers[disk].spill_to = nowhere;
  Machine machine(tiers);
  machine.apply(PolicyInUse{true, true, VictimOrder::oldest});
  Retention stays;
  stays.min_residency = disk;
  for (std::uint64_t number = 1; number <= 4; ++number) {
    machine.put(100 + number, 4 * kib, disk, 0, stays);
  }
  fill_and_ask(machine);
  const Ticket waiting = machine.ticket;
  for (int answers = 0; !machine.questions.empty(); ++answers) {
    ASSERT_LT(answers, 200) << "it asks for ever";
    const auto wanted = std::get<SpillWanted>(machine.questions.front());
    machine.questions.pop_front();
    SpillLook found;
    machine.catalog->look_at_victims(wanted.tier, 64, machine.now, found);
    Evict answer{wanted.tier, wanted.number, true, 7, {}};
    for (const Candidate& candidate : found.candidates) {
      answer.choices.push_back({candidate.id, candidate.generation, no_tier});
    }
    machine.apply(answer);
    machine.do_effects();
  }
  ASSERT_TRUE(machine.reply_to(waiting).has_value());
  EXPECT_EQ(machine.reply_to(waiting)->reason, Reason::tier_full);
}

// ---- facts ----

TEST(facts, count_reads_and_tell_how_long_ago_the_last_one_was) {
  Machine machine = asking_machine();
  machine.put(1, 4 * kib);
  machine.pass(10 * second_ns);
  Candidate found;
  ASSERT_TRUE(machine.catalog->look_at(make_id(1), machine.now, found));
  EXPECT_EQ(found.reads, 0u);
  EXPECT_EQ(found.unread_ns, 10 * second_ns) << "since it was made";
  for (std::uint64_t read = 0; read < 3; ++read) {
    machine.lease(1, 10 + read);
    machine.release(10 + read);
  }
  machine.pass(2 * second_ns);
  ASSERT_TRUE(machine.catalog->look_at(make_id(1), machine.now, found));
  EXPECT_EQ(found.reads, 3u);
  EXPECT_EQ(found.frequency, 3u);
  EXPECT_NEAR(static_cast<double>(found.unread_ns), 2e9, 2e8);
  EXPECT_EQ(found.tiers, std::vector<TierIndex>{shm});
}

TEST(facts, forget_by_halves_how_often_something_was_read) {
  Machine machine = asking_machine();
  machine.put(1, 4 * kib);
  machine.put(2, 4 * kib);
  const auto read = [&](std::uint64_t number) {
    machine.lease(number, 10);
    machine.release(10);
  };
  for (int count = 0; count < 100; ++count) read(1);
  for (int count = 0; count < 2 * 4'096; ++count) read(2);
  Candidate found;
  ASSERT_TRUE(machine.catalog->look_at(make_id(1), machine.now, found));
  EXPECT_EQ(found.reads, 100u);
  EXPECT_EQ(found.frequency, 25u);
}

TEST(facts, by_score_put_the_large_and_seldom_read_first) {
  Machine machine = asking_machine(VictimOrder::score);
  machine.put(1, 4 * kib);
  machine.put(2, 16 * kib);
  machine.put(3, 4 * kib);
  machine.put(4, 16 * kib);
  for (std::uint64_t lease = 10; lease < 20; ++lease) {
    machine.lease(4, lease);
    machine.release(lease);
  }
  std::vector<Id> order;
  for (const Candidate& candidate : look(machine).candidates) order.push_back(candidate.id);
  EXPECT_EQ(order, (std::vector<Id>{make_id(2), make_id(1), make_id(3), make_id(4)}));
  Candidate first;
  ASSERT_TRUE(machine.catalog->look_at_first_victim(shm, machine.now, first));
  EXPECT_EQ(first.id, make_id(2));
}

TEST(facts, by_score_put_those_first_that_nobody_has_used_since_scores_are_kept) {
  Machine machine;
  machine.put(1, 4 * kib);
  machine.put(2, 4 * kib);
  machine.apply(PolicyInUse{true, false, VictimOrder::score});
  machine.put(3, 16 * kib);
  machine.lease(1, 10);
  machine.release(10);
  std::vector<Id> order;
  for (const Candidate& candidate : look(machine).candidates) order.push_back(candidate.id);
  EXPECT_EQ(order, (std::vector<Id>{make_id(2), make_id(3), make_id(1)}));
}

std::vector<Id> shown_order(const Machine& machine) {
  std::vector<Id> order;
  for (const Candidate& candidate : look(machine).candidates) order.push_back(candidate.id);
  return order;
}

TEST(facts, by_score_show_each_priority_in_turn_those_without_a_score_first) {
  Retention high;
  high.priority = Priority::high;
  Machine machine;
  machine.put(1, 4 * kib);
  machine.put(2, 4 * kib, shm, 0, high);
  machine.apply(PolicyInUse{true, false, VictimOrder::score});
  machine.put(3, 4 * kib);
  machine.put(4, 4 * kib, shm, 0, high);
  EXPECT_EQ(shown_order(machine),
            (std::vector<Id>{make_id(1), make_id(3), make_id(2), make_id(4)}));
}

TEST(facts, by_score_hide_nobody_who_was_used_while_scores_were_not_asked_for) {
  Machine machine;
  machine.apply(PolicyInUse{true, false, VictimOrder::score});
  machine.put(1, 4 * kib);
  machine.apply(PolicyInUse{true, false, VictimOrder::oldest});
  machine.put(2, 4 * kib);
  machine.apply(PolicyInUse{true, false, VictimOrder::score});
  EXPECT_EQ(shown_order(machine), (std::vector<Id>{make_id(1), make_id(2)}));
}

// ---- owners ----

TEST(owners, take_what_their_payloads_take_and_survive_a_restart) {
  Machine machine;
  const auto put_for = [&](std::uint64_t number, const std::string& owner) {
    Allocate command;
    command.id = make_id(number);
    command.size_bytes = 5 * kib;
    command.tier = shm;
    command.owner = owner;
    EXPECT_EQ(machine.finish(command).reason, Reason::none);
    machine.commit(number);
  };
  put_for(1, "uid:1");
  put_for(2, "uid:1");
  put_for(3, "uid:2");
  EXPECT_EQ(machine.catalog->usage_of("uid:1").payloads, 2u);
  EXPECT_EQ(machine.catalog->usage_of("uid:1").charged_bytes,
            (std::vector<std::uint64_t>{16 * kib, 0, 0}));
  machine.spill(1, disk);
  EXPECT_EQ(machine.catalog->usage_of("uid:1").charged_bytes,
            (std::vector<std::uint64_t>{8 * kib, 8 * kib, 0}));
  Machine next = machine.restart();
  EXPECT_EQ(next.catalog->usage_of("uid:1").charged_bytes,
            (std::vector<std::uint64_t>{8 * kib, 8 * kib, 0}));
  next.erase(1);
  next.erase(2);
  EXPECT_EQ(next.catalog->usage_of("uid:1").payloads, 0u);
  EXPECT_EQ(next.catalog->usage_of("uid:2").payloads, 1u);
  EXPECT_EQ(next.catalog->usage_of("nobody").payloads, 0u);
}

TEST(owners, take_room_from_the_moment_they_ask_for_it) {
  Machine machine;
  Allocate command;
  command.id = make_id(1);
  command.size_bytes = 4 * kib;
  command.tier = disk;
  command.owner = "uid:1";
  machine.call(command);
  EXPECT_EQ(machine.catalog->usage_of("uid:1").charged_bytes[disk], 4 * kib);
  machine.do_effects();
  EXPECT_EQ(machine.catalog->usage_of("uid:1").charged_bytes[disk], 4 * kib);
}

// ---- copies besides, and ends ----

TEST(second_copy, is_made_on_commit_and_makes_leaving_free) {
  Machine machine;
  Allocate command;
  command.id = make_id(1);
  command.size_bytes = 4 * kib;
  command.tier = shm;
  command.copy_to = disk;
  machine.finish(command);
  machine.commit(1);
  machine.do_effects();
  EXPECT_EQ(machine.see(1).tier, shm);
  EXPECT_EQ(machine.charged(disk), 4 * kib);
  machine.spill(1, disk);
  EXPECT_EQ(machine.see(1).tier, disk);
  EXPECT_EQ(machine.charged(disk), 4 * kib) << "it was copied again";
  EXPECT_EQ(machine.charged(shm), 0u);
}

TEST(retain, is_asked_before_the_end_and_lets_a_payload_live_longer) {
  Machine machine = asking_machine();
  machine.put(1, 4 * kib, shm, 10 * second_ns);
  machine.put(2, 4 * kib, shm, 10 * second_ns);
  machine.pass(9 * second_ns);
  ASSERT_EQ(machine.questions.size(), 2u);
  EXPECT_EQ(std::get<RetainWanted>(machine.questions.front()).id, make_id(1));
  machine.apply(Retain{make_id(1), 5 * second_ns, disk, 3});
  machine.do_effects();
  EXPECT_EQ(machine.see(1).tier, disk);
  machine.pass(2 * second_ns);
  EXPECT_EQ(machine.look(1), Reason::none);
  EXPECT_EQ(machine.look(2), Reason::payload_not_found) << "nobody answered for it";
  EXPECT_EQ(machine.questions.size(), 2u) << "asked twice";
  machine.pass(3 * second_ns);
  EXPECT_EQ(machine.questions.size(), 3u) << "its new end is asked about, too";
  machine.pass(2 * second_ns);
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
}

TEST(retain, is_asked_of_those_too_that_were_made_before_there_was_a_rule) {
  Machine machine(three_tiers(UINT64_MAX));
  constexpr std::uint64_t count = 600;  // More than one Tick may touch.
  for (std::uint64_t number = 1; number <= count; ++number) {
    machine.put(number, 4 * kib, shm, 10 * second_ns);
  }
  machine.put(count + 1, 4 * kib, shm, 20 * second_ns);
  machine.put(count + 2, 4 * kib);
  machine.apply(PolicyInUse{false, true, VictimOrder::oldest});
  int ticks = 0;
  for (; machine.catalog->next_due_mono_ns() != 0 && ticks < 10; ++ticks) machine.pass(0);
  EXPECT_EQ(ticks, 3) << "of 601 payloads 256 at a time";
  EXPECT_TRUE(machine.questions.empty());
  for (int tick = 0; tick < 10; ++tick) machine.pass(tick == 0 ? 9 * second_ns : 0);
  EXPECT_EQ(machine.questions.size(), count);
  machine.apply(Retain{make_id(1), 5 * second_ns, no_tier, 3});
  for (int tick = 0; tick < 10; ++tick) machine.pass(tick == 0 ? second_ns : 0);
  EXPECT_EQ(machine.look(1), Reason::none);
  EXPECT_EQ(machine.look(2), Reason::payload_not_found);
  EXPECT_EQ(machine.questions.size(), count) << "asked twice";
}

TEST(retain, is_asked_about_nobody_once_the_rule_has_gone) {
  Machine machine;
  machine.put(1, 4 * kib, shm, 10 * second_ns);
  machine.apply(PolicyInUse{false, true, VictimOrder::oldest});
  machine.apply(PolicyInUse{});
  EXPECT_EQ(machine.catalog->next_due_mono_ns(), 0u);
  machine.pass(9 * second_ns);
  EXPECT_TRUE(machine.questions.empty());
  machine.pass(second_ns);
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
}

}  // namespace
}  // namespace pm::catalog::test
