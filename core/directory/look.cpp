#include <algorithm>
#include <chrono>
#include <cstring>
#include <unordered_set>

#include "directory.h"

// Looking at what sessions hold and have read.

namespace pm::directory {

namespace {

// Of NoteReads.
constexpr std::size_t reads_of_a_command_max = 256;
constexpr std::size_t reads_of_a_round_max = 1'024;

std::uint32_t used_slots(const local::SessionPage& page) {
  return std::min(page.used.load(std::memory_order_acquire), local::slots_max);
}

}  // namespace

// A session may write anything into its page: a number that is no entry's holds nothing.
bool Directory::is_held(std::uint32_t entry) const {
  for (const auto& session : sessions_) {
    const local::SessionPage& page = *session->page();
    const std::uint32_t used = used_slots(page);
    for (std::uint32_t slot = 0; slot < used; ++slot) {
      if (page.slots[slot].load(std::memory_order_acquire) == entry + 1) return true;
    }
  }
  return false;
}

void Directory::run() {
  std::unique_lock lock(mutex_);
  std::vector<catalog::Command> reports;
  const auto look_every = std::chrono::microseconds(options_.look_every_us);
  const auto reads_every = std::chrono::microseconds(options_.reads_every_us);
  auto reads_due = std::chrono::steady_clock::now();
  while (!stops_) {
    if (sessions_.empty() && watched_.empty()) {
      wake_.wait(lock);
    } else if (!is_nudged_) {
      wake_.wait_for(lock, watched_.empty() ? reads_every : look_every);
    }
    is_nudged_ = false;
    look(reports);
    if (std::chrono::steady_clock::now() >= reads_due) {
      take_reads(lock, reports);
      reads_due = std::chrono::steady_clock::now() + reads_every;
    }
    lock.unlock();
    for (const catalog::Command& report : reports) submit_(report);
    reports.clear();
    lock.lock();
  }
}

// What nobody holds any more is reported once.
void Directory::look(std::vector<catalog::Command>& reports) {
  if (watched_.empty()) return;
  // Of a closed entry: whoever stored its number after this fence sees that it is closed.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  std::unordered_set<std::uint32_t> wanted;
  for (const Watched& one : watched_) wanted.insert(one.entry + 1);
  std::unordered_set<std::uint32_t> held;
  for (const auto& session : sessions_) {
    const local::SessionPage& page = *session->page();
    const std::uint32_t used = used_slots(page);
    for (std::uint32_t slot = 0; slot < used; ++slot) {
      const std::uint32_t number = page.slots[slot].load(std::memory_order_acquire);
      if (number != 0 && wanted.contains(number)) held.insert(number);
    }
  }
  std::erase_if(watched_, [&](const Watched& one) {
    if (held.contains(one.entry + 1)) return false;
    local::Entry& entry = at(one.entry);
    catalog::Unheld report;
    const std::uint64_t halves[] = {entry.id[0].load(std::memory_order_relaxed),
                                    entry.id[1].load(std::memory_order_relaxed)};
    std::memcpy(report.payload.bytes.data(), halves, sizeof halves);
    report.generation = one.generation;
    report.closed = (entry.word.load(std::memory_order_relaxed) & local::entry_is_open) == 0;
    if (report.closed) {
      free_entry(one.entry, one.generation);
    } else {
      entry.word.fetch_and(~std::uint32_t{local::entry_is_wanted}, std::memory_order_relaxed);
    }
    reports.emplace_back(report);
    return true;
  });
}

// The pages are looked at without the lock, as others wait for it with the ledger's. What a round
// does not take is lost, or taken by the next one.
void Directory::take_reads(std::unique_lock<std::mutex>& lock,
                           std::vector<catalog::Command>& reports) {
  const std::vector<std::shared_ptr<Session>> sessions = sessions_;
  lock.unlock();
  std::unordered_set<std::uint32_t> read;
  for (const auto& session : sessions) {
    if (read.size() >= reads_of_a_round_max) break;
    if (session->page()->has_reads.load(std::memory_order_relaxed) == 0) continue;
    session->page()->has_reads.store(0, std::memory_order_relaxed);
    for (std::atomic<std::uint32_t>& noted : session->page()->reads) {
      if (noted.load(std::memory_order_relaxed) == 0) continue;
      const std::uint32_t number = noted.exchange(0, std::memory_order_relaxed);
      const bool is_entry = number != 0 && number <= options_.entries_max;
      if (is_entry && read.size() < reads_of_a_round_max) read.insert(number - 1);
    }
  }
  lock.lock();
  catalog::NoteReads command;
  const auto hand_over = [&] {
    if (!command.payloads.empty()) reports.emplace_back(std::move(command));
    command.payloads.clear();
  };
  for (const std::uint32_t number : read) {
    const local::Entry& entry = at(number);
    if ((entry.word.load(std::memory_order_relaxed) & local::entry_is_open) == 0) continue;
    const std::uint64_t halves[] = {entry.id[0].load(std::memory_order_relaxed),
                                    entry.id[1].load(std::memory_order_relaxed)};
    catalog::Id& id = command.payloads.emplace_back();
    std::memcpy(id.bytes.data(), halves, sizeof halves);
    if (command.payloads.size() == reads_of_a_command_max) hand_over();
  }
  hand_over();
}

}  // namespace pm::directory
