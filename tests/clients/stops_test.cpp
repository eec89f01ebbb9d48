#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "core/catalog/mutant.h"
#include "count.h"
#include "scene.h"

// Clients that are stopped past the end of their leases and allocations, and then go on as if
// nothing had happened: they are refused, and what they write harms nobody.

namespace pm::clients {
namespace {

constexpr std::uint64_t ms_ns = 1'000'000;
// So long that all go on within it, or none.
constexpr std::uint64_t long_grace_ms = 10'000;
constexpr std::uint64_t short_grace_ms = 200;

class Stops {
 public:
  // While the grace runs, the block of a slab that was given up is nobody else's. Later only what
  // has a name of its own, a segment or a file, is its writer's.
  Stops(std::uint32_t seed, bool past_grace)
      : past_grace_(past_grace), scene_(seed, past_grace ? short_grace_ms : long_grace_ms) {}

  void run(long stops, const integration::Environment& environment = {}) {
    if (!scene_.begin(environment)) return fail("the host does not start");
    while (stopped_ < stops && scene_.violations().empty()) round(stops - stopped_);
    // What was given up keeps its room until then.
    if (!past_grace_) sleep_until(monotonic_ns() + long_grace_ms * ms_ns);
    if (scene_.violations().empty()) scene_.end();
  }

  long stopped() const { return stopped_; }
  long answers() const { return answers_; }
  const integration::Violations& violations() { return scene_.violations(); }
  std::string log() { return scene_.host().log(); }

 private:
  void fail(const std::string& what) { scene_.violations().push_back(what); }

  void round(long at_most) {
    constexpr long clients_max = 50;
    const std::vector<Pose> poses(static_cast<std::size_t>(std::min(at_most, clients_max)),
                                  past_grace_ ? Pose::later : Pose::late);
    scene_.share_one();
    {
      ClientProcesses clients = scene_.start(poses);
      if (!scene_.violations().empty()) return;
      for (const auto& client : clients) client->stop();
      scene_.erase_shared();
      wait_past(clients);
      scene_.audit_leases(1, 0);
      scene_.fill_all_room([&] { let_go_on(clients); });
      for (const auto& client : clients) check(*client);
    }
    scene_.end_shared();
    scene_.audit();
    if (past_grace_) scene_.audit_room(monotonic_ns() + 1'000 * ms_ns);
  }

  void wait_past(const ClientProcesses& clients) {
    std::uint64_t ends_ns = 0;
    for (const auto& client : clients) {
      const Story story = client->story();
      const std::uint64_t given_up_ns = story.allocated_at_ns + uncommitted_ms_max * ms_ns;
      ends_ns = std::max({ends_ns, story.leases_end_ns, given_up_ns});
    }
    // The host looks at wall time once a second.
    ends_ns += 1'000 * ms_ns;
    if (past_grace_) ends_ns += short_grace_ms * ms_ns;
    sleep_until(ends_ns);
  }

  void let_go_on(ClientProcesses& clients) {
    for (const auto& client : clients) client->go_on();
    for (const auto& client : clients) {
      const auto exit = client->wait_exit(std::chrono::seconds(30));
      ++stopped_;
      if (!exit || exit->code != 0) fail("a late client does not end well: " + client->output());
    }
  }

  void check(const ClientProcess& client) {
    const Story story = client.story();
    scene_.take_over(story);
    const auto wants = [&](const std::string& name, const std::string& answer) {
      const auto found = story.answers.find(name);
      const std::string got = found == story.answers.end() ? "nothing" : found->second;
      if (got != answer) fail("a late " + name + " is answered " + got + ", not " + answer);
      ++answers_;
    };
    wants("write", "OK");
    wants("renew", "NOT_FOUND LEASE_NOT_FOUND");
    wants("release", "OK");
    wants("renew-other", "NOT_FOUND LEASE_NOT_FOUND");
    for (const char* commit : {"commit-0", "commit-1", "commit-2"}) {
      wants(commit, "NOT_FOUND PAYLOAD_NOT_FOUND");
    }
  }

  const bool past_grace_;
  Scene scene_;
  long stopped_ = 0;
  long answers_ = 0;
};

class Late : public testing::TestWithParam<bool> {};

// PAYLOAD-8
TEST_P(Late, clients_are_refused_and_harm_nobody) {
  const long count =
      integration::number_from({"PM_CLIENT_STOPS", "PM_CLIENT_STOPS_DEFAULT"}, 100) / 2;
  const auto seed = static_cast<std::uint32_t>(integration::number_from({"PM_SEED"}, ::getpid()));
  std::printf("PM_SEED=%u PM_CLIENT_STOPS=%ld\n", seed, 2 * count);
  std::fflush(stdout);
  Stops stops(seed, GetParam());
  stops.run(count);
  for (const std::string& violation : stops.violations()) ADD_FAILURE() << violation;
  std::printf("clients: %ld stops, %ld late answers, %zu findings\n", stops.stopped(),
              stops.answers(), stops.violations().size());
  EXPECT_FALSE(HasFailure()) << "PM_SEED=" << seed << "\n" << stops.log();
}

INSTANTIATE_TEST_SUITE_P(stopped, Late, testing::Values(false, true), [](const auto& info) {
  return info.param ? "past_the_grace" : "within_the_grace";
});

TEST(clients, whose_block_is_given_away_before_its_grace_has_passed_are_found) {
  const auto mutant = static_cast<int>(catalog::Mutant::given_up_copy_goes_at_once);
  Stops stops(7, false);
  stops.run(5, {{"PM_MUTANT", std::to_string(mutant)}});
  EXPECT_THAT(stops.violations(), testing::Contains(testing::HasSubstr("were overwritten")));
}

}  // namespace
}  // namespace pm::clients
