#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "content.h"
#include "host_process.h"
#include "leftovers.h"

// Many clients do everything to the same few payloads at once, on tiers that are too small for
// them. A refusal is fine; wrong bytes, a broken tier or a leak is not.

namespace pm::integration {
namespace {

constexpr int threads = 8;
constexpr int run_ms = 4'000;

// The payloads that all clients know.
class Pool {
 public:
  void add(const client::PayloadId& id, Digest digest) {
    const std::lock_guard lock(mutex_);
    digests_[id] = std::move(digest);
  }
  void remove(const client::PayloadId& id) {
    const std::lock_guard lock(mutex_);
    digests_.erase(id);
  }
  std::size_t size() {
    const std::lock_guard lock(mutex_);
    return digests_.size();
  }
  std::optional<std::pair<client::PayloadId, Digest>> pick(std::uint64_t dice) {
    const std::lock_guard lock(mutex_);
    if (digests_.empty()) return std::nullopt;
    return *std::next(digests_.begin(), static_cast<std::ptrdiff_t>(dice % digests_.size()));
  }

 private:
  std::mutex mutex_;
  std::map<client::PayloadId, Digest> digests_;
};

class Rival {
 public:
  Rival(const HostProcess& host, Pool& pool, unsigned seed)
      : client_(host.client()), pool_(pool), random_(seed) {}

  void run(const std::atomic<bool>& stop) {
    while (!stop && errors.empty()) act();
  }

  std::vector<std::string> errors;
  int good = 0;

 private:
  // What others may have done in between explains these.
  void check(const Status& status, const char* what) {
    switch (status.code()) {
      case Code::ok: ++good; break;
      case Code::not_found:
      case Code::aborted:
      case Code::resource_exhausted:
      case Code::failed_precondition: break;
      default: errors.push_back(std::string(what) + ": " + status.to_string());
    }
  }

  void act() {
    const auto dice = random_() % 100;
    const auto picked = pool_.pick(random_());
    if (!picked || (dice < 25 && pool_.size() < 40)) return make();
    const auto& [id, digest] = *picked;
    const client::Tier up = client::Tier::ram;
    if (dice < 45) {
      read(id, digest);
    } else if (dice < 60) {
      client::PromoteOptions options{.drop_source = random_() % 2 == 0};
      if (random_() % 4 == 0) options.policy = client::PromotionPolicy::best_effort;
      check(client_.promote(id, up, options).status(), "promote");
    } else if (dice < 80) {
      spill(id);
    } else if (dice < 90) {
      const Status erased = client_.erase(id, random_() % 2 == 0);
      check(erased, "delete");
      if (erased.ok()) pool_.remove(id);
    } else if (dice < 95) {
      check(client_.resolve(id).status(), "resolve");
    } else {
      check(client_.list({.page_size = 5}).status(), "list");
    }
  }

  void make() {
    client::CreateOptions options;
    options.tier = random_() % 3 == 0 ? client::Tier::disk : client::Tier::ram;
    options.layout = random_() % 2 == 0 ? client::Layout::slab : client::Layout::segment;
    options.no_evict = random_() % 8 == 0;
    if (random_() % 8 == 0) options.ttl_ms = 50 + random_() % 500;
    const auto stored = put(client_, 1 + random_() % 150'000, random_(), options);
    check(stored.status(), "put");
    if (stored) pool_.add(stored->descriptor.id, stored->digest);
  }

  void read(const client::PayloadId& id, const Digest& digest) {
    client::LeaseOptions options;
    if (random_() % 3 == 0) options.min_tier = client::Tier::ram;
    auto lease = client_.open(id, options);
    check(lease.status(), "lease");
    if (!lease) return;
    if (sha256(lease->bytes()) != digest) errors.push_back(id.to_string() + ": wrong bytes");
    if (random_() % 4 == 0) sleep_ms(5);
    if (sha256(lease->bytes()) != digest) errors.push_back(id.to_string() + ": bytes changed");
    check(lease->release(), "release");
  }

  void spill(const client::PayloadId& id) {
    client::SpillOptions options;
    options.wait_for_leases = random_() % 2 == 0;
    options.best_effort = random_() % 4 == 0;
    if (random_() % 2 == 0) options.to = client::Tier::disk;
    const auto outcomes = client_.spill(std::span(&id, 1), options);
    check(outcomes ? outcomes->front().status : outcomes.status(), "spill");
  }

  client::Client client_;
  Pool& pool_;
  std::minstd_rand random_;
};

class Contention : public testing::TestWithParam<const char*> {};

TEST_P(Contention, rivals_for_the_same_payloads_see_right_bytes_or_a_refusal) {
  HostOptions options;
  options.repository = GetParam();
  options.shm_capacity_bytes = 2 << 20;
  options.slab_bytes = 512 << 10;
  options.disk_capacity_bytes = 3 << 20;
  options.allocate_wait_ms_max = 500;
  HostProcess host(options);
  ASSERT_TRUE(host.start_ready()) << host.log();
  Pool pool;
  std::vector<std::unique_ptr<Rival>> rivals;
  std::atomic<bool> stop{false};
  std::vector<std::thread> running;
  for (unsigned n = 0; n < threads; ++n) {
    rivals.push_back(std::make_unique<Rival>(host, pool, n + 1));
  }
  for (auto& rival : rivals) running.emplace_back([&] { rival->run(stop); });
  sleep_ms(run_ms);
  stop = true;
  for (std::thread& thread : running) thread.join();
  int good = 0;
  for (const auto& rival : rivals) {
    good += rival->good;
    for (const std::string& error : rival->errors) ADD_FAILURE() << error;
  }
  EXPECT_GT(good, 100);
  std::printf("%s: %d calls that succeeded\n", GetParam(), good);

  client::Client client = host.client();
  std::vector<client::PayloadId> left;
  ASSERT_TRUE(client
                  .list_each({},
                             [&](const client::Summary& summary) {
                               EXPECT_NE(summary.state, client::State::lost);
                               left.push_back(summary.id);
                               return true;
                             })
                  .ok());
  for (const client::PayloadId& id : left) {
    EXPECT_TRUE(eventually([&] {
      const Code code = client.erase(id).code();
      return code == Code::ok || code == Code::not_found;
    })) << id.to_string();
  }
  EXPECT_EQ(leftovers(host, client), "");
  const auto exit = host.terminate();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 0) << "signal " << exit->signal << "\n" << host.log();
}

INSTANTIATE_TEST_SUITE_P(repositories, Contention, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
