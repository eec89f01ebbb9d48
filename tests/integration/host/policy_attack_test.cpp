#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "answers.h"
#include "count.h"
#include "host_process.h"
#include "payload/manager/admin/v1/policy.pb.h"
#include "tests/unit/policy/attacks.h"

// Hostile scripts in a host that has work to do.

namespace pm::integration {
namespace {

using std::chrono::microseconds;
using std::chrono::steady_clock;

namespace wire_admin = payload::manager::admin::v1;

// Leases and lists at a fixed rate, whether the last ones have been answered or not: what is late
// counts from when it was due.
class OpenLoop {
 public:
  OpenLoop(const HostProcess& host, const wire_core::PayloadID& id) {
    for (int thread = 0; thread < threads; ++thread) {
      threads_.emplace_back([this, &host, id, thread] { run(host, id, thread); });
    }
  }
  ~OpenLoop() { end(); }

  // Of what was called since the last time: the 99th percentile in milliseconds.
  double take_p99_ms() {
    const std::lock_guard lock(mutex_);
    std::vector<double> taken = std::exchange(late_ms_, {});
    if (taken.size() < 100) return 0;
    std::sort(taken.begin(), taken.end());
    return taken[taken.size() * 99 / 100];
  }
  int failures() const { return failures_.load(); }
  void end() {
    ends_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

 private:
  static constexpr int threads = 8;
  static constexpr microseconds every{8'000};  // 1,000 a second of all.

  void run(const HostProcess& host, const wire_core::PayloadID& id, int thread) {
    Wire wire(host);
    auto due = steady_clock::now() + every * thread / threads;
    for (int call = 0; !ends_; ++call, due += every) {
      std::this_thread::sleep_until(due);
      const bool is_ok = call % 2 == 0 ? lease(wire, id) : list(wire);
      if (!is_ok) ++failures_;
      const std::chrono::duration<double, std::milli> late = steady_clock::now() - due;
      const std::lock_guard lock(mutex_);
      late_ms_.push_back(late.count());
    }
  }
  static bool lease(Wire& wire, const wire_core::PayloadID& id) {
    wire_runtime::AcquireReadLeaseRequest request;
    *request.mutable_id() = id;
    wire_runtime::AcquireReadLeaseResponse response;
    return wire.lease(request, &response).ok() && wire.release(response.lease_id()).ok();
  }
  static bool list(Wire& wire) {
    wire_catalog::ListPayloadsRequest request;
    request.set_page_size(10);
    return wire.list(request).ok();
  }

  std::atomic<bool> ends_{false};
  std::atomic<int> failures_{0};
  std::mutex mutex_;
  std::vector<double> late_ms_;
  std::vector<std::thread> threads_;
};

// Each script is loaded, asked four times, and goes again.
TEST(PolicyAttacks, slow_nobody_down_and_end_in_the_built_in_rules) {
  HostProcess host;
  const std::filesystem::path scripts = host.directory() / "policies";
  std::filesystem::create_directory(scripts);
  host.options().more = "[policy]\ndirectory = \"" + scripts.string() + "\"\nlook_ms = 0\n";
  host.write_config();
  ASSERT_TRUE(host.start_ready()) << host.log();
  Wire wire(host);
  const auto id = wire.make(wire_core::TIER_RAM);
  OpenLoop load(host, id);
  sleep_ms(1'000);
  load.take_p99_ms();
  sleep_ms(4'000);
  const double calm_ms = load.take_p99_ms();
  // What the attacks put themselves before.
  std::ofstream(scripts / "good.lua") << "policy.place {name = 'good', rule = function(facts) "
                                         "return facts.hint end}";
  // How long each is looked at from its loading on.
  const long after_ms = number_from({"PM_ATTACK_MS"}, 100);
  int suspended = 0;
  int refused = 0;
  for (const policy::test::Attack& attack : policy::test::attacks) {
    SCOPED_TRACE(attack.name);
    std::ofstream(scripts / "attack.lua") << policy::test::source_of(attack);
    wire_admin::ReloadPoliciesResponse loaded;
    const grpc::Status status =
        wire.call(wire.admin, &wire_services::PayloadAdminService::Stub::ReloadPolicies,
                  wire_admin::ReloadPoliciesRequest(), &loaded);
    if (!status.ok()) {
      EXPECT_EQ(answer_of(status), "INVALID_ARGUMENT POLICY_INVALID");
      ++refused;
    }
    for (int n = 0; n < 4; ++n) expect_ok(wire.erase(wire.make(wire_core::TIER_RAM)));
    const auto shown = wire.ask<wire_services::PayloadAdminService::Stub,
                                wire_admin::GetPoliciesRequest, wire_admin::GetPoliciesResponse>(
        wire.admin, &wire_services::PayloadAdminService::Stub::GetPolicies);
    for (const auto& rule : shown.rules()) {
      if (!status.ok() || rule.name() != "attack") continue;
      EXPECT_LE(rule.failed(), 3u);
      suspended += rule.suspended() ? 1 : 0;
    }
    sleep_ms(after_ms);
  }
  const double attacked_ms = load.take_p99_ms();
  load.end();
  EXPECT_EQ(load.failures(), 0);
  EXPECT_GE(suspended, 30);
  std::printf("attacks: p99 %.2f ms, %.2f ms without (%.1fx); %d suspended, %d refused\n",
              attacked_ms, calm_ms, attacked_ms / calm_ms, suspended, refused);
  // Ten times what it is to be, as machines that test are busy.
  EXPECT_LT(attacked_ms, 20 * std::max(calm_ms, 1.0));
}

}  // namespace
}  // namespace pm::integration
