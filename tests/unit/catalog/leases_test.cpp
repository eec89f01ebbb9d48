#include <gtest/gtest.h>

#include <set>

#include "harness.h"

namespace pm::catalog::test {
namespace {

Reply renew(Machine& machine, std::uint64_t lease, std::uint64_t duration_ns = 0) {
  RenewLease command;
  command.lease = make_id(lease);
  command.duration_ns = duration_ns;
  return machine.finish(command);
}

AcquireLease acquire(std::uint64_t number, std::uint64_t lease, const std::string& holder = {}) {
  AcquireLease command;
  command.id = make_id(number);
  command.lease = make_id(lease);
  command.holder = holder;
  return command;
}

template <typename Subject>
std::vector<LeaseView> all_leases(const Machine& machine, const Subject& subject,
                                  std::uint32_t page = 3) {
  std::vector<LeaseView> all;
  OrderedIndex::Entry at{0, no_slot};
  while (true) {
    std::vector<LeaseView> some;
    machine.catalog->list_leases(subject, page, at, machine.now, some);
    all.insert(all.end(), some.begin(), some.end());
    if (some.size() < page) return all;
  }
}

TEST(renew, lets_a_lease_end_later_and_never_earlier) {
  Machine machine;
  machine.put(1, 5000);
  machine.lease(1, 100, 10 * second_ns);
  machine.pass(8 * second_ns);
  EXPECT_EQ(renew(machine, 100, 10 * second_ns).lease_duration_ns, 10 * second_ns);
  EXPECT_EQ(renew(machine, 100, second_ns).lease_duration_ns, 10 * second_ns);
  machine.pass(9 * second_ns);
  EXPECT_EQ(machine.see(1).leases, 1u);
  machine.pass(second_ns);
  EXPECT_EQ(machine.see(1).leases, 0u);
  EXPECT_EQ(renew(machine, 100).reason, Reason::lease_not_found);
  EXPECT_EQ(renew(machine, 4711).reason, Reason::lease_not_found);
}

TEST(renew, is_bounded_as_a_lease_is) {
  Machine machine;
  machine.put(1, 5000);
  machine.lease(1, 100, second_ns);
  EXPECT_EQ(renew(machine, 100).lease_duration_ns, 20 * second_ns);
  EXPECT_EQ(renew(machine, 100, UINT64_MAX).lease_duration_ns, 120 * second_ns);
}

TEST(renew, is_refused_once_the_payload_was_deleted_by_force) {
  Machine machine;
  machine.put(1, 5000);
  machine.lease(1, 100);
  machine.erase(1, true);
  EXPECT_EQ(renew(machine, 100).reason, Reason::lease_not_found);
}

TEST(lease_list, has_those_of_a_payload_on_all_of_its_copies) {
  Machine machine;
  machine.put(1, 5000, disk);
  machine.put(2, 5000);
  for (std::uint64_t lease = 100; lease < 105; ++lease) machine.call(acquire(1, lease));
  machine.promote(1, shm);
  for (std::uint64_t lease = 105; lease < 108; ++lease) machine.call(acquire(1, lease));
  machine.call(acquire(2, 200));
  const auto leases = all_leases(machine, make_id(1));
  std::set<std::array<std::uint8_t, 16>> ids;
  for (const LeaseView& lease : leases) {
    ids.insert(lease.id.bytes);
    EXPECT_EQ(lease.payload, make_id(1));
  }
  EXPECT_EQ(leases.size(), 8u);
  EXPECT_EQ(ids.size(), 8u);
  EXPECT_EQ(leases.front().tier, disk);
  EXPECT_EQ(leases.back().tier, shm);
  machine.release(100);
  EXPECT_EQ(all_leases(machine, make_id(1), 7).size(), 7u);
  EXPECT_TRUE(all_leases(machine, make_id(99)).empty());
}

TEST(lease_list, has_those_of_a_holder_also_on_what_is_on_its_way_out) {
  Machine machine;
  machine.put(1, 5000);
  machine.put(2, 5000);
  machine.call(acquire(1, 100, "alice"));
  machine.call(acquire(1, 101, "bob"));
  machine.call(acquire(2, 102, "alice"));
  machine.call(acquire(2, 103));
  EXPECT_EQ(all_leases(machine, std::string("alice"), 1).size(), 2u);
  EXPECT_EQ(all_leases(machine, std::string("bob")).front().payload, make_id(1));
  EXPECT_TRUE(all_leases(machine, std::string("carol")).empty());
  machine.erase(1, true);
  const auto leases = all_leases(machine, std::string("alice"));
  ASSERT_EQ(leases.size(), 2u);
  EXPECT_EQ(leases.front().payload, make_id(1));
  EXPECT_EQ(leases.front().holder, "alice");
  machine.release(100);
  machine.release(102);
  EXPECT_TRUE(all_leases(machine, std::string("alice")).empty());
  machine.pass(121 * second_ns);
  EXPECT_TRUE(all_leases(machine, std::string("bob")).empty());
}

TEST(lease_range, lies_within_the_payload) {
  Machine machine;
  machine.put(1, 5000);
  struct Case {
    std::uint64_t offset;
    std::uint64_t length;
    Reason reason;
  };
  const Case cases[] = {{0, 0, Reason::none},
                        {0, 5000, Reason::none},
                        {4999, 1, Reason::none},
                        {4999, 0, Reason::none},
                        {5000, 0, Reason::range_outside_payload},
                        {4999, 2, Reason::range_outside_payload},
                        {1, UINT64_MAX, Reason::range_outside_payload},
                        {UINT64_MAX, 2, Reason::range_outside_payload}};
  std::uint64_t lease = 100;
  for (const Case& item : cases) {
    AcquireLease command = acquire(1, ++lease);
    command.range_offset_bytes = item.offset;
    command.range_length_bytes = item.length;
    const Reply reply = machine.finish(command);
    EXPECT_EQ(reply.reason, item.reason) << item.offset << " + " << item.length;
    if (item.reason == Reason::none) {
      EXPECT_EQ(reply.range_offset_bytes, item.offset);
    }
  }
}

}  // namespace
}  // namespace pm::catalog::test
