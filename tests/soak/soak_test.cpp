#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "client_process.h"
#include "core/catalog/mutant.h"
#include "count.h"
#include "faked_clock.h"
#include "load.h"
#include "vital_signs.h"

// A real host at half of what it can do, for long, while something goes wrong every now and then:
// nothing that was promised breaks, and the host does not grow.

namespace pm::soak {
namespace {

using namespace integration;
using clients::ClientProcess;
using clients::Pose;
using std::chrono::duration;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

struct Plan {
  double seconds = 20;
  double fault_every_s = 10;
  double check_every_s = 60;
  bool faults = true;
  std::uint32_t seed = 1;
  Environment more{};
};

HostOptions host_options() {
  HostOptions options;
  options.shm_capacity_bytes = 48 << 20;
  options.slab_bytes = 16 << 20;
  options.orphan_grace_ms = 200;
  options.quarantine_ms = 200;
  options.allocate_wait_ms_max = 1'000;
  options.limits = "uncommitted_ms_max = " + std::to_string(clients::uncommitted_ms_max) + "\n";
  options.disk_faults = true;
  options.repository_faults = true;
  options.more_tiers = true;
  return options;
}

class Soak {
 public:
  explicit Soak(const Plan& plan)
      : plan_(plan),
        host_(host_options()),
        clock_(host_.directory()),
        load_(host_, 4, plan.seed),
        random_(plan.seed) {}

  void run() {
    faults_off();
    if (!start()) return;
    const auto begin = Clock::now();
    const auto passed_s = [&] { return duration<double>(Clock::now() - begin).count(); };
    measure_peak();
    load_.run(peak_ / 2);
    double next_fault_s = passed_s() + std::min(plan_.fault_every_s, plan_.seconds / 8);
    double next_check_s = passed_s() + plan_.check_every_s;
    // Two lives of a quarter, then one of half of the time.
    double next_end_s = plan_.seconds / 4;
    while (passed_s() < plan_.seconds && violations_.empty()) {
      sleep_ms(plan_.seconds < 120 ? 200 : 1'000);
      sample();
      if (plan_.faults && passed_s() > next_end_s && lives_.size() < 3) {
        restart();
        next_end_s += plan_.seconds / 4;
      }
      if (plan_.faults && passed_s() > next_fault_s) {
        fault();
        next_fault_s = passed_s() + plan_.fault_every_s;
      }
      if (faults_end_ && Clock::now() > *faults_end_) faults_off();
      if (passed_s() > next_check_s) {
        check();
        load_.run(peak_ / 2);
        next_check_s = passed_s() + plan_.check_every_s;
      }
    }
    if (plan_.faults) check();
    load_.rest();
    judge();
  }

  const Violations& violations() const { return violations_; }
  std::string log() const { return host_.whole_log(); }

  void report() {
    std::printf("soak: peak %.0f calls/s; p99 of a put in ms, by check:", peak_);
    for (const double p99 : p99_ms_) std::printf(" %.2f", p99);
    std::printf("\n");
    for (std::size_t n = 0; n < lives_.size(); ++n) {
      const Slope slope = slope_of(warm_part(lives_[n]));
      if (lives_[n].empty()) continue;
      const Sample& last = lives_[n].back();
      std::printf(
          "soak: life %zu: %.0f s, slope %.2f +- %.2f MiB/h, resident %.1f MiB, %llu descriptors, "
          "%llu threads, %llu maps\n",
          n + 1, last.at_s, slope.bytes_per_s * 3'600 / (1 << 20),
          slope.error_bytes_per_s * 3'600 / (1 << 20),
          static_cast<double>(last.resident_bytes) / (1 << 20),
          static_cast<unsigned long long>(last.descriptors),
          static_cast<unsigned long long>(last.threads),
          static_cast<unsigned long long>(last.maps));
    }
    for (std::size_t n = 0; n < at_rest_.size(); ++n) {
      for (const Sample& sample : at_rest_[n]) {
        std::printf(
            "soak: life %zu at rest after %.0f s: %llu descriptors, %llu threads, %llu maps\n",
            n + 1, sample.at_s, static_cast<unsigned long long>(sample.descriptors),
            static_cast<unsigned long long>(sample.threads),
            static_cast<unsigned long long>(sample.maps));
      }
    }
    std::printf("soak: %llu calls, %llu refused, %d faults, %d checks, %zu lives, %zu findings\n",
                static_cast<unsigned long long>(load_.calls()),
                static_cast<unsigned long long>(load_.refusals()), faults_, checks_, lives_.size(),
                violations_.size());
  }

 private:
  void fail(const std::string& what) { violations_.push_back(what); }

  bool start() {
    Environment environment = clock_.environment();
    environment.insert(environment.end(), plan_.more.begin(), plan_.more.end());
    if (!host_.start_ready(environment)) {
      fail("the host does not start");
      return false;
    }
    if (names_.empty()) names_ = own_names(host_);
    lives_.emplace_back();
    at_rest_.emplace_back();
    ready_at_ = Clock::now();
    return true;
  }

  void sample() {
    const double at_s = duration<double>(Clock::now() - ready_at_).count();
    lives_.back().push_back(take_sample(host_.pid(), at_s));
  }

  void measure_peak() {
    const auto begin = Clock::now();
    load_.run(0);
    sleep_ms(plan_.seconds < 120 ? 1'000 : 5'000);
    load_.rest();
    peak_ = static_cast<double>(load_.calls()) / duration<double>(Clock::now() - begin).count();
    for (auto& worker : load_.workers()) worker->take_latencies();
  }

  // ---- what goes wrong ----

  void fault() {
    ++faults_;
    switch (random_() % 4) {
      case 0: return kill_client();
      case 1:
        host_.set_disk_faults(
            "[[fault]]\nkind = 'error'\noperation = ['allocate', 'read', 'write', 'remove']\n"
            "status = 'INTERNAL'\nevery = 5\n[[fault]]\nkind = 'latency'\nlatency_ms = 5\n");
        break;
      case 2:
        host_.set_repository_faults(
            "[[fault]]\nkind = 'error'\noperation = 'apply'\nstatus = 'UNAVAILABLE'\nevery = 4\n"
            "[[fault]]\nkind = 'latency'\nlatency_ms = 3\n");
        break;
      default: return set_clock();
    }
    faults_end_ =
        Clock::now() + std::chrono::milliseconds(static_cast<int>(plan_.fault_every_s * 300));
  }

  void faults_off() {
    host_.set_disk_faults("");
    host_.set_repository_faults("");
    faults_end_.reset();
  }

  void set_clock() {
    static constexpr long steps_s[] = {1, -1, 30, -30, 3'600, -3'600, 86'400, -86'400};
    const long step_s = steps_s[random_() % std::size(steps_s)];
    clock_.set_offset(clock_.offset() + seconds(step_s));
  }

  void kill_client() {
    while (clients_.size() < 3) {
      static constexpr Pose poses[] = {Pose::works, Pose::allocates, Pose::writes};
      clients::Part part{host_.address(),
                         {},
                         {},
                         ++clients_started_,
                         poses[clients_started_ % std::size(poses)],
                         {}};
      clients_.push_back(std::make_unique<ClientProcess>(host_.directory(), std::move(part)));
    }
    take_over(*clients_.front());
    clients_.erase(clients_.begin());
  }

  // Under faults it may have given up by itself; wrong bytes are no excuse.
  void take_over(ClientProcess& client) {
    client.kill();
    for (const Known& known : client.story().payloads) others_.push_back(known);
  }

  void restart() {
    faults_off();
    if (lives_.size() % 2 == 1) {
      host_.kill();
      if (const std::string words = host_.strange_death(); !words.empty()) fail(words);
    } else {
      const auto exit = host_.terminate();
      if (!exit || exit->code != 0) fail("the host does not stop well");
    }
    start();
  }

  // ---- what must hold ----

  void check() {
    ++checks_;
    load_.rest();
    faults_off();
    for (auto& client : clients_) take_over(*client);
    clients_.clear();
    // Allocations are given up a second after their time at the latest.
    sleep_ms(static_cast<std::int64_t>(clients::uncommitted_ms_max) + 1'200);
    client::Client client = host_.client();
    std::set<client::PayloadId> ids;
    const auto audit = [&](std::vector<Known>& known) {
      if (!audit_payloads(client, known, violations_)) fail("the host went away");
      std::erase_if(known, [](const Known& gone) { return gone.fate != Fate::committed; });
      ids.merge(committed_ids(known));
    };
    std::vector<double> latencies;
    for (auto& worker : load_.workers()) {
      audit(worker->known());
      violations_.insert(violations_.end(), worker->violations().begin(),
                         worker->violations().end());
      const auto taken = worker->take_latencies();
      latencies.insert(latencies.end(), taken.begin(), taken.end());
    }
    audit(others_);
    if (!audit_list(client, ids, violations_)) fail("the host went away");
    audit_room(host_, client, violations_, seconds(30));
    audit_names(host_, names_, violations_);
    at_rest_.back().push_back(
        take_sample(host_.pid(), duration<double>(Clock::now() - ready_at_).count()));
    for (const Known& known : others_) {
      if (!client.erase(known.id).ok()) fail("a dead client's payload cannot be deleted");
    }
    others_.clear();
    if (latencies.empty()) return;  // The last check may follow upon another one.
    std::sort(latencies.begin(), latencies.end());
    p99_ms_.push_back(latencies[latencies.size() * 99 / 100]);
  }

  void judge() {
    if (plan_.faults && p99_ms_.empty()) fail("nothing was put");
    for (std::size_t n = 0; n < lives_.size(); ++n) {
      std::vector<std::string> growth = growth_of_memory(lives_[n]);
      const auto counts = growth_of_counts(plan_.faults ? at_rest_[n] : warm_part(lives_[n]));
      growth.insert(growth.end(), counts.begin(), counts.end());
      for (const std::string& what : growth) fail("life " + std::to_string(n + 1) + ": " + what);
    }
    const auto exit = host_.terminate();
    if (!exit || exit->code != 0) fail("the host does not stop well");
  }

  const Plan plan_;
  HostProcess host_;
  clients::FakedClock clock_;
  Load load_;
  std::minstd_rand random_;
  clients::ClientProcesses clients_;
  std::uint32_t clients_started_ = 0;
  std::vector<Known> others_;
  std::set<std::string> names_;
  std::vector<std::vector<Sample>> lives_;    // Under load.
  std::vector<std::vector<Sample>> at_rest_;  // Of the same lives.
  Clock::time_point ready_at_;
  std::optional<Clock::time_point> faults_end_;
  double peak_ = 0;
  std::vector<double> p99_ms_;
  int faults_ = 0;
  int checks_ = 0;
  Violations violations_;
};

TEST(soak, under_faults_breaks_no_promise_and_the_host_does_not_grow) {
  Plan plan;
  plan.seconds = static_cast<double>(integration::number_from({"PM_SOAK_SECONDS"}, 18));
  plan.seed = static_cast<std::uint32_t>(integration::number_from({"PM_SEED"}, ::getpid()));
  if (plan.seconds < 300) {
    plan.fault_every_s = 1;
    plan.check_every_s = plan.seconds / 5;
  }
  std::printf("PM_SEED=%u PM_SOAK_SECONDS=%.0f\n", plan.seed, plan.seconds);
  std::fflush(stdout);
  Soak soak(plan);
  soak.run();
  for (const std::string& violation : soak.violations()) ADD_FAILURE() << violation;
  soak.report();
  EXPECT_FALSE(HasFailure()) << "PM_SEED=" << plan.seed << "\n" << soak.log();
}

class Leaks : public testing::TestWithParam<std::pair<catalog::Mutant, const char*>> {};

TEST_P(Leaks, are_found) {
  Plan plan;
  plan.seconds = 5;
  plan.faults = false;
  plan.more = {{"PM_MUTANT", std::to_string(static_cast<int>(GetParam().first))}};
  Soak soak(plan);
  soak.run();
  EXPECT_THAT(soak.violations(), testing::Contains(testing::HasSubstr(GetParam().second)));
}

INSTANTIATE_TEST_SUITE_P(
    mutants, Leaks,
    testing::Values(std::pair(catalog::Mutant::call_leaks_memory, "resident memory grows"),
                    std::pair(catalog::Mutant::call_leaks_descriptor, "descriptors grow")),
    [](const auto& info) { return info.index == 0 ? "of_memory" : "of_descriptors"; });

}  // namespace
}  // namespace pm::soak
