// Readers that hold without a call while the host moves payloads about: bytes never change under a
// hold.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>

#include "fake_host.h"
#include "pm/client/client.h"

namespace pm::client {
namespace {

using test::FakeDirectory;
using test::FakeHost;
using test::id_of;

constexpr std::uint32_t entries = 4;
constexpr std::uint64_t size = 64;
constexpr std::chrono::milliseconds duration(1000);

// Payload n is full of its number, in words of eight bytes.
void write(FakeDirectory& directory, std::uint64_t block, std::uint64_t n) {
  auto* words = reinterpret_cast<std::uint64_t*>(directory.slab().base() + block * size);
  for (std::uint64_t i = 0; i < size / 8; ++i) words[i] = n;
}

bool is_all(std::span<const std::byte> bytes, std::uint64_t n) {
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    if (word != n) return false;
  }
  return bytes.size() == size;
}

struct Counts {
  std::atomic<std::uint64_t> held{0};
  std::atomic<std::uint64_t> by_call{0};
  std::atomic<std::uint64_t> changed{0};
};

// Opens what is likely there; looks at it twice.
void read_on(Client& client, const std::atomic<std::uint64_t>* shown, unsigned seed,
             const std::atomic<bool>& stop, Counts& counts) {
  std::minstd_rand random(seed);
  while (!stop) {
    const std::uint64_t n = shown[random() % entries];
    const auto lease = client.open(id_of(n));
    if (!lease || !lease->is_direct()) {
      ++counts.by_call;
      continue;
    }
    ++counts.held;
    if (!is_all(lease->bytes(), n)) ++counts.changed;
    if (random() % 8 == 0) std::this_thread::yield();
    if (!is_all(lease->bytes(), n)) ++counts.changed;
  }
}

// Gives each entry to another payload, as soon as nobody holds it, and overwrites the old bytes.
std::uint64_t move_on(FakeDirectory& directory, std::atomic<std::uint64_t>* shown,
                      const std::atomic<bool>& stop) {
  std::minstd_rand random(1);
  std::uint64_t next = entries;
  std::uint64_t moved = 0;
  while (!stop) {
    const auto entry = static_cast<std::uint32_t>(random() % entries);
    if (!directory.close(entry)) continue;
    write(directory, entry, ~std::uint64_t{0});
    write(directory, entry, next);
    directory.put(entry, id_of(next), entry * size, size);
    shown[entry] = next++;
    ++moved;
    if (moved % 16 == 0) std::this_thread::yield();
  }
  return moved;
}

TEST(direct_race, bytes_never_change_under_a_hold) {
  FakeDirectory directory(entries, 1, entries * size);
  std::atomic<std::uint64_t> shown[entries];
  for (std::uint32_t n = 0; n < entries; ++n) {
    write(directory, n, n);
    directory.put(n, id_of(n), n * size, size);
    shown[n] = n;
  }
  FakeHost host;
  host.show(&directory);
  Client client = *Client::connect(host.address());
  ASSERT_TRUE(client.call("/test.Service/Echo", "").ok());
  std::atomic<bool> stop{false};
  Counts counts;
  std::vector<std::thread> readers;
  for (unsigned seed = 1; seed <= 3; ++seed) {
    readers.emplace_back([&, seed] { read_on(client, shown, seed, stop, counts); });
  }
  std::uint64_t moved = 0;
  std::thread mover([&] { moved = move_on(directory, shown, stop); });
  std::this_thread::sleep_for(duration);
  stop = true;
  for (std::thread& reader : readers) reader.join();
  mover.join();
  EXPECT_EQ(counts.changed, 0U);
  EXPECT_GT(counts.held, 1000U);
  EXPECT_GT(moved, 100U);
  for (std::uint32_t n = 0; n < entries; ++n) EXPECT_FALSE(directory.is_held(n));
  RecordProperty("held", std::to_string(counts.held));
  RecordProperty("moved", std::to_string(moved));
}

TEST(direct_race, connections_that_break_under_readers_harm_nobody) {
  FakeDirectory directory(entries, 16, entries * size);
  std::atomic<std::uint64_t> shown[entries];
  FakeHost host;
  for (std::uint32_t n = 0; n < entries; ++n) {
    write(directory, n, n);
    directory.put(n, id_of(n), n * size, size);
    shown[n] = n;
  }
  host.show(&directory);
  Client client = *Client::connect(host.address());
  std::atomic<bool> stop{false};
  Counts counts;
  std::vector<std::thread> readers;
  for (unsigned seed = 1; seed <= 3; ++seed) {
    readers.emplace_back([&, seed] { read_on(client, shown, seed, stop, counts); });
  }
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(duration / 20);
    host.hang_up();
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(counts.changed, 0U);
  EXPECT_GT(counts.held, 1000U);
  EXPECT_GE(host.connections(), 5);
}

}  // namespace
}  // namespace pm::client
