#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <map>
#include <random>

#include "core/catalog/victims.h"
#include "harness.h"

namespace pm::catalog::test {
namespace {

std::vector<Slot> walk(const Victims& victims, const Slots<Payload>& payloads) {
  std::vector<Slot> order;
  for (Slot slot = victims.first(); slot != no_slot; slot = victims.after(payloads, slot)) {
    order.push_back(slot);
  }
  return order;
}

TEST(victims, stand_in_the_order_of_priority_and_of_joining_over_random_changes) {
  std::mt19937_64 random(5);
  Slots<Payload> payloads;
  Victims victims;
  std::map<Priority, std::list<Slot>> model;
  std::vector<Slot> slots;
  for (int count = 0; count < 60; ++count) {
    slots.push_back(payloads.add());
    payloads[slots.back()].retention.priority = static_cast<Priority>(1 + random() % 3);
  }
  for (int step = 0; step < 50'000; ++step) {
    const Slot slot = slots[random() % slots.size()];
    std::list<Slot>& peers = model[payloads[slot].retention.priority];
    const bool growing = step % 10'000 < 6000;
    ASSERT_EQ(payloads[slot].victim, std::find(peers.begin(), peers.end(), slot) != peers.end());
    if (payloads[slot].victim) {
      victims.remove(payloads, slot);
      peers.remove(slot);
    }
    if (growing || random() % 8 == 0) {
      victims.push_back(payloads, slot);
      peers.push_back(slot);
    }
    std::vector<Slot> wanted;
    for (const auto& [priority, list] : model)
      wanted.insert(wanted.end(), list.begin(), list.end());
    ASSERT_EQ(walk(victims, payloads), wanted) << "step " << step;
  }
}

// The order in which payloads leave a tier, against a model of who was used when.
TEST(victims, leave_by_priority_and_last_use_after_random_leases) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    constexpr std::uint64_t count = 64;
    Machine machine(three_tiers(count * 4 * kib));
    std::map<std::uint64_t, std::pair<Priority, std::uint64_t>> used;  // By payload.
    std::uint64_t uses = 0;
    for (std::uint64_t number = 1; number <= count; ++number) {
      Retention retention;
      retention.priority = static_cast<Priority>(1 + random() % 3);
      ASSERT_EQ(machine.put(number, 4 * kib, shm, 0, retention).reason, Reason::none);
      used[number] = {retention.priority, ++uses};
    }
    std::map<std::uint64_t, std::uint64_t> leases;  // Lease -> payload.
    std::map<std::uint64_t, int> leased;
    for (std::uint64_t lease = 1000; lease < 1300; ++lease) {
      const std::uint64_t number = 1 + random() % count;
      ASSERT_EQ(machine.lease(number, lease).reason, Reason::none);
      leases[lease] = number;
      ++leased[number];
      for (std::uint64_t ends = random() % 3; ends > 0 && !leases.empty(); --ends) {
        const auto one =
            std::next(leases.begin(), static_cast<std::ptrdiff_t>(random() % leases.size()));
        machine.release(one->first);
        if (--leased[one->second] == 0) used[one->second].second = ++uses;
        leases.erase(one);
      }
    }
    std::vector<std::pair<std::pair<Priority, std::uint64_t>, std::uint64_t>> wanted;
    for (const auto& [number, use] : used) {
      if (leased[number] == 0) wanted.emplace_back(use, number);
    }
    std::sort(wanted.begin(), wanted.end());
    // Who comes in is not to leave again before them.
    Retention stays;
    stays.no_evict = true;
    for (std::size_t place = 0; place < wanted.size(); ++place) {
      ASSERT_EQ(machine.see(wanted[place].second).tier, shm) << "left too early";
      ASSERT_EQ(machine.put(count + 1 + place, 4 * kib, shm, 0, stays).reason, Reason::none);
      ASSERT_EQ(machine.see(wanted[place].second).tier, disk) << "stayed too long";
    }
    EXPECT_EQ(machine.allocate(1000, 4 * kib, shm).reason, Reason::tier_full);
  }
}

}  // namespace
}  // namespace pm::catalog::test
