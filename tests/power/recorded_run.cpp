#include "recorded_run.h"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace pm::power {

namespace {

constexpr unsigned workers_count = 4;
constexpr unsigned audits_at_a_time = 4;  // Each mostly waits.
constexpr std::size_t boundary_kinds = 3;
constexpr std::size_t kinds_of_nine[] = {0, 3, 4, 1, 3, 4, 2, 3, 4};  // In turn.
constexpr std::size_t second_cuts = std::size(kinds_of_nine);

void keep(const Tree& tree, const Cut& cut, const Verdict& verdict) {
  const char* folder = std::getenv("PM_POWER_KEEP");
  if (folder == nullptr) return;
  const std::filesystem::path kept =
      std::filesystem::path(folder) /
      (std::to_string(cut.seed) + "-" + std::to_string(cut.sequence));
  std::filesystem::create_directories(kept);
  tree.write_below(kept);
  std::ofstream words(kept / "findings");
  words << cut.to_text() << '\n';
  for (const std::string& finding : verdict.findings) words << finding << '\n';
  words << '\n' << verdict.log;
}

}  // namespace

RecordedRun::RecordedRun(unsigned seed, integration::Environment planted)
    : host_(host_options()), planted_(std::move(planted)) {
  recording_ =
      std::make_unique<Recording>(host_.directory() / "power.log", host_.state_directory());
  for (unsigned n = 0; n < workers_count; ++n) {
    workers_.push_back(std::make_unique<Worker>(n, seed * 31 + n + 1, *recording_));
  }
}

bool RecordedRun::live(int ms, std::uint64_t kill_after) {
  auto environment = recording_->environment();
  environment.emplace_back(variable::shared, host_.disk_root().string());
  environment.insert(environment.end(), planted_.begin(), planted_.end());
  if (kill_after != 0) {
    environment.emplace_back(variable::kill_at, std::to_string(recording_->now() + kill_after));
  }
  if (!host_.start_ready(environment)) return kill_after != 0;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (auto& worker : workers_) {
    threads.emplace_back([this, &stop, &worker] {
      client::Client client = host_.client(20'000);
      worker->work(client, stop);
    });
  }
  const auto ended = host_.wait_exit(std::chrono::milliseconds(ms));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  if (ended) return kill_after != 0 && ended->signal == SIGKILL;
  const auto exit = host_.terminate();
  return exit && (exit->code == 0 || (kill_after != 0 && exit->signal == SIGKILL));
}

std::vector<ClientLog> RecordedRun::logs() const {
  std::vector<ClientLog> logs;
  for (const auto& worker : workers_) logs.push_back(worker->log());
  return logs;
}

std::vector<std::string> RecordedRun::strange() const {
  std::vector<std::string> all;
  for (const auto& worker : workers_) {
    all.insert(all.end(), worker->strange().begin(), worker->strange().end());
  }
  return all;
}

std::uint64_t RecordedRun::answers() const {
  std::uint64_t sum = 0;
  for (const auto& worker : workers_) sum += worker->answers();
  return sum;
}

std::vector<Cut> choose_cuts(const Replay& replay, std::size_t count, unsigned seed) {
  std::minstd_rand random(seed);
  const auto& boundaries = replay.boundaries();
  constexpr Keep others[] = {Keep::synced, Keep::issued, Keep::some};
  std::vector<Cut> cuts;
  for (std::size_t n = 0; n < count && !boundaries.empty(); ++n) {
    Cut cut;
    cut.seed = seed * 65'537 + static_cast<unsigned>(n);
    cut.sequence = boundaries[random() % boundaries.size()];
    const auto kind = kinds_of_nine[n % std::size(kinds_of_nine)];
    if (kind < boundary_kinds) {
      constexpr Keep keeps[] = {Keep::synced, Keep::named, Keep::issued};
      cut.store = cut.apart = keeps[kind];
    } else {
      cut.sequence = 1 + random() % replay.last();
      cut.store = kind == 3 ? Keep::some : others[random() % std::size(others)];
      cut.apart = kind == 4 ? Keep::some : others[random() % std::size(others)];
    }
    cuts.push_back(cut);
  }
  std::stable_sort(cuts.begin(), cuts.end(),
                   [](const Cut& a, const Cut& b) { return a.sequence < b.sequence; });
  return cuts;
}

namespace {

// Cuts of one recording, audited by several threads.
class Auditors {
 public:
  Auditors(Replay& replay, const std::vector<ClientLog>& logs, const std::vector<Cut>& cuts,
           const AuditOptions& options)
      : replay_(replay), logs_(logs), cuts_(cuts), options_(options) {}

  Summary run() {
    std::vector<std::thread> threads;
    for (unsigned n = 0; n < audits_at_a_time; ++n) threads.emplace_back([this] { work(); });
    for (std::thread& thread : threads) thread.join();
    return std::move(sum_);
  }

 private:
  void work() {
    try {
      audit_until_over();
    } catch (const std::exception& error) {
      add(error.what());
    }
  }

  void audit_until_over() {
    for (;;) {
      std::unique_lock lock(mutex_);
      if (next_ == cuts_.size() || bad_ >= options_.findings_max) return;
      const std::size_t number = next_++;
      const Cut& cut = cuts_[number];
      const Tree tree = replay_.cut(cut);
      lock.unlock();
      const std::vector<Account> accounts{{&logs_, cut.sequence}};
      Audit audit(cut);
      const auto every = options_.second_cut_every;
      if (every != 0 && number % every == 0) {
        add(audit.run_recorded(tree, accounts), tree, cut, false);
        cut_again(audit, accounts, cut);
      } else {
        add(audit.run(tree, accounts), tree, cut, false);
      }
    }
  }

  // What was owed after the first cut is owed after the second one.
  void cut_again(const Audit& first, std::vector<Account> accounts, const Cut& cut) {
    if (!first.recording().trouble().empty()) return add(first.recording().trouble());
    Replay replay(first.recording(), RecordedRun::payloads, first.base(), first.base_inodes());
    accounts.push_back({&first.own_log(), 0});
    for (const Cut& second : choose_cuts(replay, second_cuts, cut.seed)) {
      accounts.back().sequence = second.sequence;
      const Tree tree = replay.cut(second);
      add(Audit(second).run(tree, accounts), tree, second, true);
    }
  }

  void add(const std::string& trouble) {
    const std::lock_guard lock(mutex_);
    ++bad_;
    sum_.findings.push_back(trouble);
  }

  void add(const Verdict& verdict, const Tree& tree, const Cut& cut, bool is_second) {
    if (!verdict.findings.empty()) keep(tree, cut, verdict);
    const std::lock_guard lock(mutex_);
    ++(is_second ? sum_.second_cuts : sum_.cuts);
    sum_.required += verdict.required;
    sum_.read += verdict.read;
    sum_.lost += verdict.lost;
    if (verdict.findings.empty()) return;
    ++bad_;
    for (const std::string& finding : verdict.findings) {
      sum_.findings.push_back((is_second ? "second " : "") + cut.to_text() + ": " + finding);
    }
    sum_.findings.push_back(verdict.log);
  }

  Replay& replay_;
  const std::vector<ClientLog>& logs_;
  const std::vector<Cut>& cuts_;
  const AuditOptions options_;
  std::mutex mutex_;
  std::size_t next_ = 0;
  std::size_t bad_ = 0;
  Summary sum_;
};

}  // namespace

Summary audit_all(Replay& replay, const std::vector<ClientLog>& logs, const std::vector<Cut>& cuts,
                  const AuditOptions& options) {
  return Auditors(replay, logs, cuts, options).run();
}

}  // namespace pm::power
