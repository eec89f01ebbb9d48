#include <gtest/gtest.h>

#include "harness.h"

namespace pm::catalog::test {
namespace {

RequestKey key(std::uint64_t number, std::uint64_t digest = 1) {
  return {true, make_id(number), digest};
}

// PAYLOAD-6
TEST(request_id, repeats_the_answer_and_acts_once) {
  Machine machine;
  Allocate command;
  command.id = make_id(1);
  command.size_bytes = 1;
  command.tier = shm;
  command.request = key(500);
  const Reply first = machine.finish(command);
  command.id = make_id(2);
  const Reply second = machine.finish(command);
  EXPECT_EQ(second.view.id, first.view.id);
  EXPECT_EQ(machine.charged(shm), 4 * kib);
}

TEST(request_id, given_twice_at_a_time_is_answered_twice) {
  Machine machine;
  Allocate command;
  command.id = make_id(1);
  command.size_bytes = 1;
  command.tier = shm;
  command.request = key(500);
  machine.call(command);
  const Ticket first = machine.ticket;
  machine.call(command);
  const Ticket second = machine.ticket;
  machine.do_effects();
  EXPECT_EQ(machine.reply_to(first)->view.id, machine.reply_to(second)->view.id);
}

// PAYLOAD-6
TEST(request_id, with_another_request_is_refused) {
  Machine machine;
  machine.put(1, 1);
  machine.put(2, 1);
  Delete command;
  command.id = make_id(1);
  command.request = key(500, 1);
  EXPECT_EQ(machine.finish(command).reason, Reason::none);
  command.id = make_id(2);
  command.request = key(500, 2);
  EXPECT_EQ(machine.finish(command).reason, Reason::request_id_reused);
  EXPECT_EQ(machine.look(2), Reason::none);
}

TEST(request_id, of_a_failure_is_tried_anew) {
  Machine machine;
  Commit command;
  command.id = make_id(1);
  command.request = key(500);
  EXPECT_EQ(machine.finish(command).reason, Reason::payload_not_found);
  machine.allocate(1, 1);
  EXPECT_EQ(machine.finish(command).reason, Reason::none);
  EXPECT_EQ(machine.finish(command).reason, Reason::none);
}

// PAYLOAD-6
TEST(request_id, survives_a_restart_with_what_it_changed) {
  Machine machine;
  machine.allocate(1, 1);
  Commit command;
  command.id = make_id(1);
  command.request = key(500);
  const Reply first = machine.finish(command);
  Machine next = machine.restart();
  const Reply second = next.finish(command);
  EXPECT_EQ(second.reason, Reason::none);
  EXPECT_EQ(second.view.revision, first.view.revision);
  EXPECT_LE(second.lsn, restored_lsn) << "the answer would wait for a record that never comes";
}

TEST(request_id, is_forgotten_after_an_hour_and_bounded_in_number) {
  Limits limits;
  limits.requests_max = 10;
  Machine machine(three_tiers(), limits);
  machine.allocate(1, 1);
  Commit command;
  command.id = make_id(1);
  command.request = key(500);
  machine.finish(command);
  for (std::uint64_t number = 0; number < 20; ++number) {
    AcquireLease lease;
    lease.id = make_id(1);
    lease.lease = make_id(1000 + number);
    lease.request = key(600 + number);
    machine.finish(lease);
  }
  EXPECT_EQ(machine.finish(command).reason, Reason::payload_already_committed) << "pushed out";
  Machine patient;
  patient.allocate(1, 1);
  patient.finish(command);
  patient.pass(3601 * second_ns);
  EXPECT_EQ(patient.finish(command).reason, Reason::payload_already_committed);
}

}  // namespace
}  // namespace pm::catalog::test
