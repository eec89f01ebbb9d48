#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "core/catalog/mutant.h"
#include "count.h"
#include "scene.h"

// Clients that die by SIGKILL, whatever they are about: what they had comes back by its time, and
// nobody else notices.

namespace pm::clients {
namespace {

constexpr std::uint64_t ms_ns = 1'000'000;
constexpr std::uint64_t second_ns = 1'000 * ms_ns;
constexpr std::uint64_t grace_ms = 200;
constexpr long poses_count = static_cast<long>(Pose::works) + 1;

class Kills {
 public:
  explicit Kills(std::uint32_t seed) : scene_(seed, grace_ms) {}

  // Until so many have died, or something is wrong.
  void run(long kills, const integration::Environment& environment = {}) {
    if (!scene_.begin(environment)) return fail("the host does not start");
    while (killed_ < kills && scene_.violations().empty()) round(kills - killed_);
    if (scene_.violations().empty()) scene_.end();
  }

  long killed() const { return killed_; }
  std::uint64_t leases() const { return leases_; }
  const std::array<long, poses_count>& by_pose() const { return by_pose_; }
  const integration::Violations& violations() { return scene_.violations(); }
  std::string log() { return scene_.host().log(); }

 private:
  void fail(const std::string& what) { scene_.violations().push_back(what); }

  void round(long at_most) {
    constexpr long clients_max = 50;
    std::vector<Pose> poses;
    for (long n = 0; n < std::min(at_most, clients_max); ++n) {
      poses.push_back(static_cast<Pose>(n % poses_count));
    }
    scene_.share_one();
    auto occupied = occupy_fast();
    if (!occupied) return;
    {
      ClientProcesses clients = scene_.start(poses);
      if (!scene_.violations().empty()) return;
      scene_.erase_shared();
      kill_all(clients);
    }
    scene_.check_shared();
    scene_.audit_leases(2, leases_end_ns_ + second_ns);
    scene_.check_shared();
    if (!scene_.violations().empty()) return;
    retake_fast(*occupied);
    const std::uint64_t given_up_ns = allocated_ns_ + uncommitted_ms_max * ms_ns;
    sleep_until(given_up_ns + second_ns);
    scene_.audit();
    scene_.fill_all_room([] {});
    scene_.end_shared();
    scene_.audit_room(std::max(monotonic_ns(), given_up_ns + grace_ms * ms_ns) + second_ns);
  }

  // One payload has all of the tier "fast": it is deleted and leased, so others wait for its room.
  std::optional<client::ReadLease> occupy_fast() {
    client::CreateOptions options;
    options.tier = client::Tier{100};
    const auto stored = integration::put(scene_.client(), 4 << 20, 1, options);
    Status status = stored.status();
    if (stored.ok()) {
      auto lease = scene_.client().open(stored->descriptor.id, {.duration_ms = 60'000});
      status = lease.status();
      if (lease.ok()) status = scene_.client().erase(stored->descriptor.id, true);
      if (status.ok()) return std::optional<client::ReadLease>(*std::move(lease));
    }
    fail("the tier fast cannot be taken: " + status.to_string());
    return std::nullopt;
  }

  // Of those who wait for it only the dead are left: it is ours.
  void retake_fast(client::ReadLease& occupied) {
    const Status released = occupied.release();
    if (!released.ok()) fail("release: " + released.to_string());
    const std::uint64_t begin_ns = monotonic_ns();
    client::CreateOptions options;
    options.tier = client::Tier{100};
    const auto stored = integration::put(scene_.client(), 4 << 20, 2, options);
    if (!stored.ok()) return fail("the room of the dead: " + stored.status().to_string());
    if (monotonic_ns() - begin_ns > second_ns) fail("the room of the dead comes late");
    const Status erased = scene_.client().erase(stored->descriptor.id);
    if (!erased.ok()) fail("delete: " + erased.to_string());
  }

  void kill_all(ClientProcesses& clients) {
    leases_end_ns_ = 0;
    allocated_ns_ = 0;
    for (const auto& client : clients) {
      // Those that are at work die anywhere in it.
      if (client->pose() == Pose::works) {
        integration::sleep_ms(static_cast<std::int64_t>(scene_.random(30)));
      }
      client->send(SIGKILL);
    }
    for (const auto& client : clients) {
      if (!client->kill()) fail("a client died by itself: " + client->output());
      ++killed_;
      ++by_pose_[static_cast<std::size_t>(client->pose())];
      const Story story = client->story();
      scene_.take_over(story);
      leases_ += story.leases;
      leases_end_ns_ = std::max(leases_end_ns_, story.leases_end_ns);
      allocated_ns_ = std::max(allocated_ns_, story.allocated_at_ns);
    }
    // What was in flight when they died was granted later than they could write down.
    leases_end_ns_ = std::max(leases_end_ns_, monotonic_ns() + 300 * ms_ns);
    allocated_ns_ = std::max(allocated_ns_, monotonic_ns());
  }

  Scene scene_;
  long killed_ = 0;
  std::uint64_t leases_ = 0;
  std::uint64_t leases_end_ns_ = 0;
  std::uint64_t allocated_ns_ = 0;
  std::array<long, poses_count> by_pose_{};
};

// LEASE-8
TEST(clients, killed_at_anything_leave_nothing_behind_and_harm_nobody) {
  const long count = integration::number_from({"PM_CLIENT_KILLS", "PM_CLIENT_KILLS_DEFAULT"}, 200);
  const auto seed = static_cast<std::uint32_t>(integration::number_from({"PM_SEED"}, ::getpid()));
  std::printf("PM_SEED=%u PM_CLIENT_KILLS=%ld\n", seed, count);
  std::fflush(stdout);
  Kills kills(seed);
  kills.run(count);
  for (const std::string& violation : kills.violations()) ADD_FAILURE() << violation;
  std::printf("clients: %ld kills (", kills.killed());
  for (long pose = 0; pose < poses_count; ++pose) {
    std::printf("%s%ld %s", pose == 0 ? "" : ", ", kills.by_pose()[static_cast<size_t>(pose)],
                name_of(static_cast<Pose>(pose)));
  }
  std::printf("), %llu leases, %zu findings\n", static_cast<unsigned long long>(kills.leases()),
              kills.violations().size());
  EXPECT_FALSE(HasFailure()) << "PM_SEED=" << seed << "\n" << kills.log();
}

class Mistakes : public testing::TestWithParam<std::pair<catalog::Mutant, const char*>> {};

TEST_P(Mistakes, about_the_leases_of_the_dead_are_found) {
  Kills kills(7);
  kills.run(5, {{"PM_MUTANT", std::to_string(static_cast<int>(GetParam().first))}});
  EXPECT_THAT(kills.violations(), testing::Contains(testing::HasSubstr(GetParam().second)));
}

INSTANTIATE_TEST_SUITE_P(
    mutants, Mistakes,
    testing::Values(std::pair(catalog::Mutant::lease_never_ends, "leases are there"),
                    std::pair(catalog::Mutant::removes_leased_copy, "I6")),
    [](const auto& info) { return info.index == 0 ? "lease_never_ends" : "removes_leased_copy"; });

}  // namespace
}  // namespace pm::clients
