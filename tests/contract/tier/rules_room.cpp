#include <thread>

#include "rules.h"

// Rules about room: what is charged, what is full, what comes free again.

namespace pm::check {
namespace {

void charge_is_rounded_up(Bench& bench) {
  const std::uint64_t granularity = bench.info().charge_granularity_bytes;
  for (const std::uint64_t length : {1u, 100u, 4095u, 4096u, 4097u, 65537u}) {
    const Object object = bench.make(length);
    const std::uint64_t expected = round_up(length, granularity);
    require(object.bytes_charged == expected, std::to_string(length) + " bytes are charged " +
                                                  std::to_string(object.bytes_charged) +
                                                  ", expected " + std::to_string(expected));
    bench.remove(object);
  }
}

void usage_counts_and_returns_to_zero(Bench& bench) {
  require(bench.usage().bytes_used == 0 && bench.usage().objects == 0, "a new instance has usage");
  std::uint64_t charged = 0;
  std::vector<Object> objects;
  for (unsigned i = 0; i < 12; ++i) {
    objects.push_back(i % 2 == 0 ? bench.make_sealed(1 + i * 3000, i) : bench.make(1 + i * 3000));
    charged += objects.back().bytes_charged;
    require(bench.usage().bytes_used == charged && bench.usage().objects == objects.size(),
            "usage is not what was charged");
  }
  Object again = objects.front();
  bench.allocate(again);
  require(bench.usage().bytes_used == charged, "a refused allocate changed the usage");
  for (const auto& object : objects) require_status(bench.remove(object), PM_OK, "remove");
  bench.remove(objects.front());
  require(bench.usage().bytes_used == 0 && bench.usage().objects == 0,
          "usage is not zero after everything was removed");
}

constexpr std::uint64_t small_capacity = 1 << 20;

void full_tier_refuses_and_recovers(Bench& bench) {
  Bench small(bench.subject(), small_capacity);
  require(small.info().capacity_bytes == small_capacity, "capacity_bytes is not as configured");
  std::vector<Object> objects;
  pm_status_t status = PM_OK;
  while (status == PM_OK) {
    Object object;
    object.id = new_id();
    object.length = 100001;
    status = small.allocate(object);
    if (status == PM_OK) objects.push_back(object);
    require(small.usage().bytes_used <= small_capacity, "usage is beyond capacity_bytes");
  }
  require_status(status, PM_RESOURCE_EXHAUSTED, "allocate in a full tier");
  require(objects.size() == small_capacity / objects[0].bytes_charged,
          "the tier was full after " + std::to_string(objects.size()) + " objects");
  for (const auto& object : objects) {
    small.fill(object, 1);
    require_status(small.seal(object), PM_OK, "seal in a full tier");
  }
  require_status(small.remove(objects.back()), PM_OK, "remove");
  objects.back() = small.make_sealed(100001, 2);
  for (std::size_t i = 0; i + 1 < objects.size(); ++i) small.require_bytes(objects[i], 1);
  small.require_bytes(objects.back(), 2);
}

void object_beyond_capacity_is_refused(Bench& bench) {
  Bench small(bench.subject(), small_capacity);
  for (const std::uint64_t length : {small_capacity + 1, std::uint64_t{1} << 60, UINT64_MAX}) {
    Object object;
    object.id = new_id();
    object.length = length;
    require_status(small.allocate(object), PM_RESOURCE_EXHAUSTED,
                   "allocate of " + std::to_string(length) + " bytes in a tier of 1 MiB");
  }
  require(small.usage().bytes_used == 0, "a refused allocate left usage");
  const Object whole = small.make_sealed(small_capacity, 1);
  small.require_bytes(whole, 1);
}

void threads_never_exceed_capacity(Bench& bench) {
  Bench small(bench.subject(), small_capacity);
  std::vector<std::vector<Object>> made(8);
  std::vector<std::thread> threads;
  for (auto& mine : made) {
    threads.emplace_back([&small, &mine] {
      for (int i = 0; i < 64; ++i) {
        Object object;
        object.id = new_id();
        object.length = 8192;
        if (small.allocate(object) == PM_OK) mine.push_back(object);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::uint64_t charged = 0;
  for (const auto& mine : made) {
    for (const auto& object : mine) charged += object.bytes_charged;
  }
  require(charged == small_capacity, "8 threads got " + std::to_string(charged) + " bytes of " +
                                         std::to_string(small_capacity));
}

void removed_room_serves_other_sizes(Bench& bench) {
  Bench small(bench.subject(), small_capacity);
  const std::uint64_t granularity = small.info().charge_granularity_bytes;
  const std::uint64_t piece = round_up(8192, granularity);
  std::vector<Object> pieces;
  for (std::uint64_t used = 0; used + piece <= small_capacity; used += piece) {
    pieces.push_back(small.make(piece));
  }
  for (const auto& object : pieces) require_status(small.remove(object), PM_OK, "remove");
  const Object whole = small.make_sealed(small_capacity, 3);
  small.require_bytes(whole, 3);
}

}  // namespace

std::vector<Rule> room_rules() {
  return {
      {"TIER-50", "charge_is_rounded_up",
       "An object is charged its length, rounded up to charge_granularity_bytes.", needs_nothing,
       charge_is_rounded_up},
      {"TIER-51", "usage_counts_and_returns_to_zero",
       "get_usage is the sum of what is charged, and zero when everything was removed.",
       needs_bytes, usage_counts_and_returns_to_zero},
      {"TIER-52", "full_tier_refuses_and_recovers",
       "A full tier says RESOURCE_EXHAUSTED, harms nothing, and serves again after a remove.",
       needs_bytes | needs_capacity, full_tier_refuses_and_recovers},
      {"TIER-53", "object_beyond_capacity_is_refused",
       "An object larger than the tier is RESOURCE_EXHAUSTED; one as large as the tier fits.",
       needs_bytes | needs_capacity, object_beyond_capacity_is_refused},
      {"TIER-54", "threads_never_exceed_capacity",
       "Threads that allocate at once get exactly the capacity.", needs_bytes | needs_capacity,
       threads_never_exceed_capacity},
      {"TIER-55", "removed_room_serves_other_sizes",
       "Room that many small objects gave back serves one large one.", needs_bytes | needs_capacity,
       removed_room_serves_other_sizes},
  };
}

}  // namespace pm::check
