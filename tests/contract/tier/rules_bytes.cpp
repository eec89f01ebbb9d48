#include <algorithm>
#include <exception>
#include <thread>

#include "rules.h"

// Rules about bytes: what was written is what is read.

namespace pm::check {
namespace {

constexpr std::uint64_t odd_lengths[] = {1, 4095, 4096, 4097, (1 << 20) + 7};

void bytes_come_back(Bench& bench) {
  for (const auto length : odd_lengths) {
    const Object object = bench.make_sealed(length, 3);
    bench.require_bytes(object, 3);
    require_status(bench.remove(object), PM_OK, "remove");
  }
}

void writes_at_offsets_join(Bench& bench) {
  const Object object = bench.make(10000);
  const auto bytes = pattern(10000, 4);
  for (const auto& [offset, length] :
       {std::pair<std::uint64_t, std::uint64_t>{7000, 3000}, {0, 1}, {1, 4095}, {4096, 2904}}) {
    require_status(bench.write(object, offset, bytes.data() + offset, length), PM_OK,
                   "write at " + std::to_string(offset));
  }
  require_status(bench.seal(object), PM_OK, "seal");
  bench.require_bytes(object, 4);
}

void reads_at_offsets_are_short_only_at_the_end(Bench& bench) {
  const std::uint64_t length = 10001;
  const Object object = bench.make_sealed(length, 5);
  const auto bytes = pattern(length, 5);
  std::vector<std::uint8_t> got(length + 100);
  for (const std::uint64_t offset : {0u, 1u, 4095u, 4096u, 9999u, 10000u, 10001u}) {
    for (const std::uint64_t asked : {1u, 4096u, 10001u}) {
      std::uint64_t count = UINT64_MAX;
      std::fill(got.begin(), got.end(), std::uint8_t{0});
      require_status(bench.read(object, offset, got.data(), asked, count), PM_OK,
                     "read at " + std::to_string(offset));
      const std::uint64_t expected = std::min(asked, length - offset);
      require(count == expected, "read of " + std::to_string(asked) + " at " +
                                     std::to_string(offset) + " gave " + std::to_string(count) +
                                     " bytes, expected " + std::to_string(expected));
      require(std::equal(got.begin(), got.begin() + static_cast<std::ptrdiff_t>(count),
                         bytes.begin() + static_cast<std::ptrdiff_t>(offset)),
              "read at " + std::to_string(offset) + " gave other bytes");
      require(std::all_of(got.begin() + static_cast<std::ptrdiff_t>(count), got.end(),
                          [](std::uint8_t byte) { return byte == 0; }),
              "read wrote past the count it gave");
    }
  }
}

void write_past_the_end_is_refused(Bench& bench) {
  const Object object = bench.make(5000);
  bench.fill(object, 6);
  const auto bytes = pattern(5001, 7);
  const struct {
    std::uint64_t offset, length;
  } cases[] = {{0, 5001}, {5000, 1}, {4999, 2}, {5001, 1}, {UINT64_MAX, 2}, {UINT64_MAX - 1, 1}};
  for (const auto& [offset, length] : cases) {
    require_status(bench.write(object, offset, bytes.data(), length), PM_OUT_OF_RANGE,
                   "write of " + std::to_string(length) + " at " + std::to_string(offset));
  }
  require_status(bench.seal(object), PM_OK, "seal");
  bench.require_bytes(object, 6);
}

void parallel_ranges_join(Bench& bench) {
  constexpr std::uint64_t part = 64 * 1024 + 13;
  const Object object = bench.make(part * 8);
  const auto bytes = pattern(part * 8, 8);
  std::vector<pm_status_t> statuses(8, PM_UNKNOWN);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      // From the last byte backwards, so that ranges of several threads are open at a time.
      for (std::uint64_t end = part; end > 0;) {
        const std::uint64_t step = std::min<std::uint64_t>(end, 9001);
        end -= step;
        const std::uint64_t offset = i * part + end;
        statuses[i] = bench.write(object, offset, bytes.data() + offset, step);
        if (statuses[i] != PM_OK) return;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto status : statuses) require_status(status, PM_OK, "write of one of 8 ranges");
  require_status(bench.seal(object), PM_OK, "seal");
  bench.require_bytes(object, 8);
}

// One thread's part of the next rule.
void use_objects(Bench& bench, unsigned seed) {
  for (unsigned round = 0; round < 25; ++round) {
    const std::uint64_t length = 1 + (seed * 7919 + round * 4099) % 20000;
    const Object object = bench.make_sealed(length, seed * 100 + round);
    const Object second = bench.make_sealed(4096, seed * 100 + round + 50);
    bench.require_bytes(object, seed * 100 + round);
    require_status(bench.remove(object), PM_OK, "remove");
    bench.require_bytes(second, seed * 100 + round + 50);
    require_status(bench.remove(second), PM_OK, "remove");
  }
}

void threads_on_different_objects_do_not_mix(Bench& bench) {
  std::vector<std::string> failures(8);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      try {
        use_objects(bench, i + 1);
      } catch (const std::exception& error) {
        failures[i] = error.what();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& failure : failures) require(failure.empty(), failure);
  const auto usage = bench.usage();
  require(usage.objects == 0 && usage.bytes_used == 0,
          "usage is not zero after 8 threads removed all they made");
}

void bytes_of_another_owner_are_gone(Bench& bench) {
  constexpr std::uint64_t length = 20000;
  const auto secret = pattern(length, 9);
  for (int round = 0; round < 4; ++round) {
    const Object first = bench.make(length, 1001);
    require_status(bench.write(first, 0, secret.data(), length), PM_OK, "write");
    require_status(bench.remove(first), PM_OK, "remove");
    const Object second = bench.make(length - static_cast<unsigned>(round) * 4096, 1002);
    require_status(bench.seal(second), PM_OK, "seal");
    std::vector<std::uint8_t> got(second.length);
    std::uint64_t count = 0;
    require_status(bench.read(second, 0, got.data(), got.size(), count), PM_OK, "read");
    require(std::all_of(got.begin(), got.end(), [](std::uint8_t byte) { return byte == 0; }),
            "a new object shows bytes of another owner");
    require_status(bench.remove(second), PM_OK, "remove");
  }
}

void keeps_nothing(Bench& bench) {
  const Object object = bench.make(5000);
  bench.fill(object, 10);
  require_status(bench.seal(object), PM_OK, "seal");
  std::uint8_t byte = 0;
  std::uint64_t count = 1;
  require_status(bench.read(object, 0, &byte, 1, count), PM_NOT_FOUND, "read");
  require(count == 0, "a failed read gave a count");
  pm_location_t location;
  require_status(bench.locate(object, location), PM_OK, "locate");
  require(location.kind == PM_LOCATION_NONE, "locate names a place that keeps nothing");
  Object again = object;
  require_status(bench.adopt(again), PM_NOT_FOUND, "adopt");
  require_status(bench.remove(object), PM_OK, "remove");
  require(bench.usage().bytes_used == 0 && bench.usage().objects == 0, "usage is not zero");
}

}  // namespace

std::vector<Rule> byte_rules() {
  return {
      {"TIER-10", "bytes_come_back",
       "What was written and sealed is read back, for objects of any length.", needs_bytes,
       bytes_come_back},
      {"TIER-11", "writes_at_offsets_join",
       "Ranges may be written in any order and size, aligned or not.", needs_bytes,
       writes_at_offsets_join},
      {"TIER-12", "reads_at_offsets_are_short_only_at_the_end",
       "A read gives all it was asked for unless the object ends; at the end it gives nothing.",
       needs_bytes, reads_at_offsets_are_short_only_at_the_end},
      {"TIER-13", "write_past_the_end_is_refused",
       "A write past the length allocated is OUT_OF_RANGE and changes nothing.", needs_bytes,
       write_past_the_end_is_refused},
      {"TIER-14", "parallel_ranges_join",
       "With PARALLEL_RANGES, several threads may write ranges of one object.",
       needs_bytes | needs_parallel_ranges, parallel_ranges_join},
      {"TIER-15", "threads_on_different_objects_do_not_mix",
       "Calls about different objects may overlap freely.", needs_bytes,
       threads_on_different_objects_do_not_mix},
      {"TIER-16", "bytes_of_another_owner_are_gone",
       "Bytes that another owner left are not visible in a new object.", needs_bytes,
       bytes_of_another_owner_are_gone},
      {"TIER-17", "keeps_nothing",
       "A tier without KEEPS_BYTES takes writes and finds nothing again.", needs_no_bytes,
       keeps_nothing},
  };
}

}  // namespace pm::check
