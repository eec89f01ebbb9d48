#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "local_scene.h"

// Many processes lease the same payloads with and without calls while others move them up and
// down.

namespace pm::local::test {
namespace {

constexpr std::size_t payloads_count = 1'000;
constexpr std::uint64_t size_bytes = 16 << 10;
constexpr int movers_count = 8;

// Shared by all processes of a run.
struct Tally {
  std::atomic<std::uint64_t> direct{0};
  std::atomic<std::uint64_t> called{0};
  std::atomic<std::uint64_t> torn{0};
  std::atomic<std::uint64_t> failed{0};
  std::atomic<bool> ends{false};
};

class LocalStress : public testing::Test {
 protected:
  void SetUp() override {
    void* memory =
        ::mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    tally_ = new (memory) Tally;
    ASSERT_TRUE(host_.start_ready()) << host_.log();
  }

  int read(unsigned seed) {
    client::Client client = connect(host_);
    std::minstd_rand random(seed);
    while (!tally_->ends.load(std::memory_order_relaxed)) {
      const std::size_t which = random() % payloads_count;
      auto lease = client.open(ids_[which]);
      if (!lease) {
        // On its way down or up, or all of its deadline long.
        tally_->failed.fetch_add(1);
        std::fprintf(stderr, "open: %s\n", lease.status().to_string().c_str());
        continue;
      }
      if (!has(lease->bytes(), which + 1)) tally_->torn.fetch_add(1);
      (lease->is_direct() ? tally_->direct : tally_->called).fetch_add(1);
      // So many at full speed would leave two processors no time to move anything.
      if (random() % 32 == 0) {
        lease = Status(Code::unavailable, "let go");
        ::usleep(20'000);
      }
    }
    return 0;
  }

  void move(unsigned seed) {
    client::Client client = connect(host_, false);
    std::minstd_rand random(seed);
    while (!tally_->ends.load(std::memory_order_relaxed)) {
      std::vector<client::PayloadId> some;
      for (int n = 0; n < 16; ++n) some.push_back(ids_[random() % payloads_count]);
      client::SpillOptions down;
      down.to = client::Tier::disk;
      // Refused for those that are leased or on their way.
      static_cast<void>(client.spill(some, down));
      client::PromoteOptions up;
      up.layout = client::Layout::slab;
      for (const client::PayloadId& id : some) {
        static_cast<void>(client.promote(id, client::Tier::ram, up));
      }
    }
  }

  integration::HostProcess host_{local_options()};
  std::vector<client::PayloadId> ids_;
  Tally* tally_ = nullptr;
};

TEST_F(LocalStress, nothing_is_leased_where_its_bytes_are_not) {
  const long seconds = number_from("PM_LOCAL_SECONDS", "PM_LOCAL_SECONDS_DEFAULT", 8);
  client::Client client = connect(host_);
  for (std::size_t n = 0; n < payloads_count; ++n) ids_.push_back(put(client, n + 1, size_bytes));
  const long processes = number_from("PM_LOCAL_PROCESSES", "PM_LOCAL_PROCESSES_DEFAULT", 64);
  std::vector<pid_t> children;
  for (long n = 0; n < processes; ++n) {
    children.push_back(in_child([&, n] { return read(static_cast<unsigned>(n + 1)); }));
  }
  for (int n = 0; n < movers_count; ++n) {
    children.push_back(in_child([&, n] {
      move(static_cast<unsigned>(100 + n));
      return 0;
    }));
  }
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  tally_->ends.store(true);
  for (const pid_t child : children) EXPECT_EQ(wait_for(child), 0);
  // Each move is a revision, and a payload begins with the second.
  std::uint64_t moved = 0;
  for (const client::PayloadId& id : ids_) moved += client.resolve(id)->version - 2;
  std::printf("local stress: %ld s, %llu leases without a call, %llu by calls, %llu moves\n",
              seconds, static_cast<unsigned long long>(tally_->direct.load()),
              static_cast<unsigned long long>(tally_->called.load()),
              static_cast<unsigned long long>(moved));
  EXPECT_EQ(tally_->torn.load(), 0u);
  EXPECT_EQ(tally_->failed.load(), 0u);
  // A million leases and ten thousand moves in a minute; a tenth of that is asked for here.
  EXPECT_GT(tally_->direct.load() + tally_->called.load(),
            static_cast<std::uint64_t>(seconds) * 1'000'000 / 60 / 10);
  EXPECT_GT(tally_->direct.load(), 0u);
  EXPECT_GT(moved, static_cast<std::uint64_t>(seconds) * 10'000 / 60 / 10);
  // Nobody holds anything: every payload can be deleted.
  for (std::size_t n = 0; n < payloads_count; ++n) {
    Status erased;
    until([&] { return (erased = client.erase(ids_[n])).ok(); });
    EXPECT_TRUE(erased.ok()) << erased.to_string();
  }
  EXPECT_EQ(client.stats()->leases_active, 0u);
}

}  // namespace
}  // namespace pm::local::test
