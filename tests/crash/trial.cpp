#include "trial.h"

#include <signal.h>

#include <chrono>
#include <exception>
#include <filesystem>
#include <fstream>
#include <thread>

#include "leftovers.h"
#include "victim.h"

namespace pm::crash {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Short, as each trial waits for its end; where it is about leases, so long that they can be looked
// at on a busy machine, too.
std::uint64_t quarantine_ms(const Trial& trial) {
  return trial.cell.operation == Operation::lease ? 2'000 : 400;
}

integration::HostOptions host_options(const Trial& trial) {
  integration::HostOptions options;
  options.shm_capacity_bytes = 32 << 20;
  options.slab_bytes = trial.seed % 2 == 0 ? 0 : 4 << 20;
  options.orphan_grace_ms = 150;
  options.quarantine_ms = quarantine_ms(trial);
  options.more_tiers = true;
  return options;
}

class Run {
 public:
  explicit Run(const Trial& trial)
      : trial_(trial),
        host_(host_options(trial)),
        workload_(trial.seed),
        victim_(trial.cell, workload_) {}

  Outcome run() {
    if (first_life() && recover()) last_life();
    outcome_.violations = workload_.violations();
    if (!outcome_.violations.empty()) outcome_.log = host_.whole_log();
    return std::move(outcome_);
  }

 private:
  bool fails(const std::string& what) {
    workload_.violations().push_back(what);
    return false;
  }

  integration::Environment environment() const {
    if (trial_.mutant == catalog::Mutant::none) return {};
    return {{"PM_MUTANT", std::to_string(static_cast<int>(trial_.mutant))}};
  }

  fs::path begun_file() const { return host_.directory() / "begun"; }

  integration::Environment dies_at(const std::string& point, bool from_start) const {
    integration::Environment variables = environment();
    variables.emplace_back("PM_CRASH_AT", point);
    if (!from_start) variables.emplace_back("PM_CRASH_WHEN", begun_file().string());
    return variables;
  }

  // It dies there and nowhere else.
  bool await_death(const std::string& point) {
    const auto exit = host_.wait_exit(30s);
    if (!exit) return fails("the host did not come to " + point);
    const std::string line = "failpoint " + point.substr(0, point.find(':')) + "\n";
    if (exit->signal != SIGKILL || host_.log().find(line) == std::string::npos) {
      return fails("the host did not die at " + point + " but by signal " +
                   std::to_string(exit->signal) + ", exit code " + std::to_string(exit->code));
    }
    ++outcome_.kills;
    return true;
  }

  void kill() {
    host_.kill();
    ++outcome_.kills;
  }

  // Until the catalog counts what is there, and nothing moves any more.
  bool settle(client::Client& client) {
    const auto begin = Clock::now();
    while (!integration::is_settled(host_, client, victim_.uncommitted())) {
      if (Clock::now() - begin > 10s) return fails("the host does not come to rest");
      std::this_thread::sleep_for(1ms);
    }
    // What was counted last may still be on its way out of the ledger.
    std::this_thread::sleep_for(3ms);
    return true;
  }

  bool first_life() {
    const std::string point = victim_.first_point();
    if (!host_.start_ready(dies_at(point, false))) return fails("the host does not start");
    names_ = integration::own_names(host_);
    client::Client client = host_.client(20'000);
    victim_.prepare(client);
    if (!workload_.violations().empty() || !settle(client)) return false;
    std::ofstream(begun_file()).flush();
    victim_.act(client, [this] { kill(); });
    if (point.empty()) {
      if (host_.running()) kill();
    } else if (!await_death(point)) {
      return false;
    }
    victim_.after_death(host_);
    return workload_.violations().empty();
  }

  // A death in recovery, where the cell or the trial wants one.
  bool recover() {
    std::string point = victim_.second_point();
    if (point.empty() && trial_.dies_twice) point = victim_.any_point_of_recovery();
    if (!point.empty()) {
      host_.start(dies_at(point, true));
      return await_death(point);
    }
    if (!trial_.dies_twice) return true;
    host_.start(environment());
    static_cast<void>(host_.wait_exit(std::chrono::milliseconds(workload_.random(60))));
    kill();
    const std::string words = host_.strange_death();
    return words.empty() || fails(words);
  }

  void last_life() {
    const auto begin = Clock::now();
    if (!host_.start_ready(environment())) {
      fails("the host does not start again");
      return;
    }
    if (Clock::now() - begin > integration::ready_max) fails("I9: not ready in time");
    client::Client client = host_.client(20'000);
    Violations& violations = workload_.violations();
    // First of all, as it can be told only while the quarantine runs.
    victim_.end_lease(client);
    Violations of_lease;
    victim_.check_lease(of_lease);
    if (Clock::now() - begin < std::chrono::milliseconds(quarantine_ms(trial_))) {
      outcome_.lease_was_held = true;
      violations.insert(violations.end(), of_lease.begin(), of_lease.end());
    }
    audit(client);
    integration::audit_repeats(client, workload_.requests(), workload_.known(), violations);
    // What is wrong already makes the rest wait in vain.
    if (!violations.empty()) return;
    integration::audit_room(host_, client, violations);
    audit(client);
    if (!violations.empty()) return;
    for (const client::PayloadId& id : integration::committed_ids(workload_.known())) {
      workload_.erase(client, id);
    }
    const std::string left = integration::leftovers(host_, client);
    if (!left.empty()) fails("I4: after everything was deleted: " + left);
    integration::audit_names(host_, names_, violations);
    const auto exit = host_.terminate();
    if (!exit || exit->code != 0) fails("the host does not stop well");
  }

  void audit(client::Client& client) {
    Violations& violations = workload_.violations();
    const bool whole =
        integration::audit_payloads(client, workload_.known(), violations) &&
        integration::audit_list(client, integration::committed_ids(workload_.known()), violations);
    if (!whole) fails("the host went away");
  }

  const Trial& trial_;
  HostProcess host_;
  Workload workload_;
  Victim victim_;
  std::set<std::string> names_;
  Outcome outcome_;
};

}  // namespace

Outcome run(const Trial& trial) {
  try {
    return Run(trial).run();
  } catch (const std::exception& error) {
    return {{std::string("the test itself failed: ") + error.what()}, 0, false, {}};
  }
}

}  // namespace pm::crash
