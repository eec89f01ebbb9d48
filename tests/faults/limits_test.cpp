#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "campaign.h"
#include "kill_writer.h"
#include "leftovers.h"

// A host that finds no memory, no descriptor and no address space. Without memory it ends, in
// words; without the others it refuses and goes on. Nothing that was acknowledged is lost.

namespace pm::faults {
namespace {

using namespace pm::integration;
using std::chrono::milliseconds;

class Limits : public testing::Test {
 protected:
  Limits() : host_(host_options()) {}
  static HostOptions host_options() {
    HostOptions options;
    options.shm_capacity_bytes = 4 << 20;
    options.slab_bytes = 1 << 20;
    options.allocate_wait_ms_max = 1'000;
    return options;
  }
  void begin(unsigned seed) {
    for (unsigned n = 0; n < 2; ++n) {
      writers_.push_back(std::make_unique<KillWriter>(seed * 31 + n + 1));
    }
  }
  void TearDown() override {
    if (HasFailure()) std::fprintf(stderr, "%s\n", host_.log().c_str());
  }

  void load(int run_ms) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (auto& writer : writers_) {
      threads.emplace_back([this, &stop, &writer] {
        client::Client client = host_.client(20'000);
        writer->work(client, stop);
      });
    }
    end_ = host_.wait_exit(milliseconds(run_ms));
    stop = true;
    for (std::thread& thread : threads) thread.join();
    // A call that was under way may have been its end.
    if (!end_) end_ = host_.wait_exit(milliseconds(0));
  }
  void audit() {
    client::Client client = host_.client();
    for (auto& writer : writers_) {
      EXPECT_TRUE(writer->audit(client)) << "the host went away";
      for (const std::string& violation : writer->violations()) ADD_FAILURE() << violation;
    }
  }
  std::uint64_t refusals() const {
    std::uint64_t sum = 0;
    for (const auto& writer : writers_) sum += writer->refusals();
    return sum;
  }
  void erase_all() {
    client::Client client = host_.client();
    for (const auto& writer : writers_) {
      for (const Known& known : writer->payloads()) EXPECT_TRUE(client.erase(known.id).ok());
    }
    EXPECT_EQ(leftovers(host_, client), "");
  }

  HostProcess host_;
  std::vector<std::unique_ptr<KillWriter>> writers_;
  std::optional<Exit> end_;
};

long calls_in(const std::string& log) {
  const std::string words = "memory-fault: ";
  const std::size_t at = log.rfind(words);
  return at == std::string::npos ? 0 : std::atol(log.c_str() + at + words.size());
}

TEST_F(Limits, host_without_memory_ends_in_words_and_the_next_has_what_was_acknowledged) {
  Campaign campaign("memory", 500);
  begin(campaign.seed());
  const Environment preloaded = {{"LD_PRELOAD", std::getenv("PM_MEMORY_FAULT_LIBRARY")}};
  ASSERT_TRUE(host_.start_ready(preloaded)) << host_.log();
  ASSERT_EQ(host_.terminate()->code, 0);
  const long in_a_start = calls_in(host_.log());
  ASSERT_GT(in_a_start, 1'000) << "operator new is not watched";
  int faults = 0;
  int in_start = 0;
  for (int tries = 0; faults < campaign.count() && !HasFailure(); ++tries) {
    ASSERT_LT(tries, campaign.count() * 4) << "hardly a fault takes effect";
    // Mostly at work, that is behind the better part of a start.
    const auto most = static_cast<std::uint64_t>(in_a_start);
    const std::uint64_t nth = (campaign.chance(70) ? most * 8 / 10 : 0) + 1 + campaign.draw(most);
    Environment environment = preloaded;
    environment.emplace_back("PM_MEMORY_FAULT", std::to_string(nth));
    SCOPED_TRACE(environment.back().second + "; seed " + std::to_string(campaign.seed()));
    host_.start(environment);
    end_.reset();
    const bool answers = eventually(
        [&] {
          end_ = host_.wait_exit(milliseconds(1));
          return end_ || host_.log().find("ready: version") != std::string::npos;
        },
        milliseconds(20'000));
    EXPECT_TRUE(answers) << "neither ready nor ended";
    if (end_) {
      ++in_start;
    } else {
      load(150);
    }
    if (!end_) end_ = host_.terminate();
    ASSERT_TRUE(end_.has_value()) << "it does not stop";
    const bool took_effect = host_.log().find("memory-fault: takes effect") != std::string::npos;
    faults += took_effect ? 1 : 0;
    // Libraries make things of their own before main(), and then there is nothing to lose.
    if (host_.log().find("memory-fault: before main()") == std::string::npos) {
      EXPECT_EQ(end_->signal, 0) << "ended by a signal";
      EXPECT_EQ(end_->code, took_effect ? 1 : 0);
      EXPECT_EQ(host_.log().find("out of memory") != std::string::npos, took_effect);
    }
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    audit();
    host_.kill();
  }
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  audit();
  erase_all();
  campaign.tell(faults, std::to_string(in_start) + " of them in a start, " +
                            std::to_string(in_a_start) + " calls in each");
}

// Of the host, from now on; what it was.
rlimit limit_host(pid_t pid, __rlimit_resource resource, std::uint64_t most) {
  rlimit before{};
  EXPECT_EQ(::prlimit(pid, resource, nullptr, &before), 0);
  const rlimit now{most, before.rlim_max};
  EXPECT_EQ(::prlimit(pid, resource, &now, nullptr), 0);
  return before;
}

TEST_F(Limits, host_without_descriptors_refuses_and_takes_again) {
  Campaign campaign("descriptors", 15);
  begin(campaign.seed());
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  load(100);
  audit();
  int refusals = 0;
  int faults = 0;
  for (; faults < campaign.count() && !HasFailure(); ++faults) {
    SCOPED_TRACE("seed " + std::to_string(campaign.seed()));
    client::Client client = host_.client(2'000);
    ASSERT_TRUE(client.stats().ok());
    const rlimit before =
        limit_host(host_.pid(), RLIMIT_NOFILE, host_.open_descriptors() + campaign.draw(6));
    std::vector<client::Descriptor> allocated;
    for (int n = 0; n < 12; ++n) {
      const auto one = client.allocate(1 + campaign.draw(20'000), {.tier = client::Tier::disk});
      if (one.ok()) {
        allocated.push_back(*one);
        continue;
      }
      ++refusals;
      EXPECT_EQ(one.status().code(), Code::resource_exhausted) << one.status().to_string();
    }
    // Those who are connected go on, and who comes now waits until there is a descriptor.
    EXPECT_TRUE(client.stats().ok());
    for (const client::Descriptor& one : allocated) {
      const auto committed = client.commit(one.id);
      EXPECT_TRUE(committed.ok() || committed.status().code() == Code::resource_exhausted)
          << committed.status().to_string();
    }
    EXPECT_EQ(::prlimit(host_.pid(), RLIMIT_NOFILE, &before, nullptr), 0);
    for (const client::Descriptor& one : allocated) {
      EXPECT_TRUE(eventually([&] { return client.erase(one.id, true).ok(); }));
    }
    ASSERT_FALSE(host_.wait_exit(milliseconds(0)).has_value()) << "the host ended";
    load(30);
    audit();
  }
  EXPECT_GT(refusals, 0) << "there was no want";
  erase_all();
  campaign.tell(faults, std::to_string(refusals) + " refusals");
}

// No stack for a thread, no mapping, in the end no memory.
TEST_F(Limits, host_without_address_space_refuses_or_ends_in_words) {
  Campaign campaign("address_space", 15);
  begin(campaign.seed());
  // Now and then a call hangs in gRPC, which had no memory for it, while the engine is idle.
  for (auto& writer : writers_) writer->let_host_fall_silent();
  int ended = 0;
  int faults = 0;
  for (int tries = 0; faults < campaign.count() && !HasFailure(); ++tries) {
    ASSERT_LT(tries, campaign.count() * 10) << "there is hardly a want";
    SCOPED_TRACE("seed " + std::to_string(campaign.seed()));
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    audit();
    std::ifstream pages("/proc/" + std::to_string(host_.pid()) + "/statm");
    std::uint64_t size_pages = 0;
    pages >> size_pages;
    const std::uint64_t before = refusals();
    const rlimit unlimited =
        limit_host(host_.pid(), RLIMIT_AS, size_pages * 4096 + (campaign.draw(24) << 18));
    load(150);
    faults += end_ || refusals() > before ? 1 : 0;
    if (!end_) {
      EXPECT_EQ(::prlimit(host_.pid(), RLIMIT_AS, &unlimited, nullptr), 0);
      load(30);
      EXPECT_FALSE(end_.has_value()) << "ended when there was enough again";
    }
    for (const char* words : {"Assertion", "terminate called"}) {
      EXPECT_EQ(host_.log().find(words), std::string::npos) << "it is our own that ended it";
    }
    if (end_) {
      ++ended;
      // Where malloc finds nothing gRPC calls abort(), and glibc, for a thread's variables, exit.
      const std::string log = host_.log();
      const bool in_words = end_->signal == 0 && (log.find("fatal") != std::string::npos ||
                                                  log.find("thread-local") != std::string::npos);
      EXPECT_TRUE(end_->signal == SIGABRT || in_words)
          << "ended by signal " << end_->signal << ", code " << end_->code << ": " << log;
    }
    host_.kill();
  }
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  audit();
  erase_all();
  campaign.tell(faults, std::to_string(ended) + " hosts ended");
}

}  // namespace
}  // namespace pm::faults
