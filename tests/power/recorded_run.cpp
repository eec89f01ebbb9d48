#include "recorded_run.h"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <thread>

namespace pm::power {

namespace {

constexpr unsigned workers_count = 4;
constexpr unsigned audits_at_a_time = 2;
constexpr std::size_t kinds_of_cut = 5;

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
    const auto kind = n % kinds_of_cut;
    if (kind < 3) {
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

Summary audit_all(Replay& replay, const std::vector<ClientLog>& logs, const std::vector<Cut>& cuts,
                  std::size_t findings_max) {
  Summary sum;
  std::mutex mutex;
  std::size_t next = 0;
  std::size_t bad = 0;
  const auto work = [&] {
    for (;;) {
      std::unique_lock lock(mutex);
      if (next == cuts.size() || bad >= findings_max) return;
      const Cut& cut = cuts[next++];
      const Tree tree = replay.cut(cut);
      lock.unlock();
      const Verdict verdict = audit(tree, logs, cut);
      if (!verdict.findings.empty()) keep(tree, cut, verdict);
      lock.lock();
      ++sum.cuts;
      sum.required += verdict.required;
      sum.read += verdict.read;
      sum.lost += verdict.lost;
      bad += verdict.findings.empty() ? 0 : 1;
      for (const std::string& finding : verdict.findings) {
        sum.findings.push_back(cut.to_text() + ": " + finding);
      }
      if (!verdict.findings.empty()) sum.findings.push_back(verdict.log);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned n = 0; n < audits_at_a_time; ++n) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  return sum;
}

}  // namespace pm::power
