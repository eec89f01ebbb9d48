#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <pm/cpp/result.hpp>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "core/catalog/command.h"
#include "core/catalog/holds.h"
#include "sdk/local/pages.h"
#include "shared_memory.h"

namespace pm::directory {

struct Options {
  std::uint32_t entries_max = 131'072;  // 64 bytes each.
  std::uint32_t sessions_max = 256;     // Whose pages are looked at for each payload that leaves.
  // Slots are looked at so often while somebody waits for the end of a hold, and the reads that
  // sessions noted are taken so often. [simulation: never, see look()]
  std::uint64_t look_every_us = 1'000;
  std::uint64_t reads_every_us = 20'000;
};

// The host's side of leases without a call (sdk/local/pages.h): the directory, the pages of the
// sessions, and who looks at them. [thread-safe]
//
// What it is asked by the catalog is asked under the ledger's lock, and takes no longer than a look
// at the used slots of all sessions. It never calls `submit` with a lock held.
class Directory final : public catalog::Holds {
 public:
  // `submit` takes Unheld and NoteReads, on a thread of the directory's, from start() to stop().
  Directory(const Options& options, std::function<void(const catalog::Command&)> submit);
  ~Directory() override;
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  // Gives a session its page; the same one when it asks again. The descriptors are the caller's.
  // The memory itself is made for the first session that asks. RESOURCE_EXHAUSTED: too many.
  struct Attached {
    int directory = -1;  // Read-only, also through /proc for other users.
    int page = -1;
  };
  Result<Attached> attach(std::uint64_t session);
  // What the session held is held no more. OK also for one without a page.
  void detach(std::uint64_t session);
  // A client let go of something that is waited for.
  void released();

  // The name of a slab by its place in the directory; nothing when there is none.
  std::optional<std::string> slab_name(std::uint32_t place) const;

  // Ends the thread: nothing is submitted any more.
  void stop();

  bool has_room() const override { return has_room_.load(std::memory_order_relaxed); }
  bool publish(const catalog::HeldPlace& place) override;
  void revise(std::uint64_t generation, std::uint64_t revision) override;
  bool withdraw(std::uint64_t generation) override;
  void watch(std::uint64_t generation) override;
  void close(std::uint64_t generation) override;

 private:
  struct Session {
    std::uint64_t id = 0;
    SharedMemory memory;
    local::SessionPage* page() const { return static_cast<local::SessionPage*>(memory.base()); }
  };
  // What clients need not know of an entry.
  struct Watched {
    std::uint32_t entry = 0;
    std::uint64_t generation = 0;
  };

  Status make_memory();
  std::optional<std::uint32_t> place_of_slab(const catalog::HeldPlace& place);
  std::uint32_t entry_of(std::uint64_t generation) const;
  bool is_held(std::uint32_t entry) const;
  void link(std::uint32_t entry);
  void unlink(std::uint32_t entry);
  void free_entry(std::uint32_t entry, std::uint64_t generation);
  void run();
  void look(std::vector<catalog::Command>& reports);
  void take_reads(std::unique_lock<std::mutex>& lock, std::vector<catalog::Command>& reports);

  local::DirectoryHeader& header() const {
    return *static_cast<local::DirectoryHeader*>(memory_.base());
  }
  local::Entry& at(std::uint32_t entry) const { return entries_[entry]; }

  const Options options_;
  const std::function<void(const catalog::Command&)> submit_;
  std::atomic<bool> has_room_{false};

  mutable std::mutex mutex_;  // Round all that follows.
  std::condition_variable wake_;
  bool stops_ = false;
  bool is_nudged_ = false;
  SharedMemory memory_;
  local::Entry* entries_ = nullptr;
  std::atomic<std::uint32_t>* buckets_ = nullptr;
  std::vector<std::uint32_t> free_;
  std::unordered_map<std::uint64_t, std::uint32_t> by_generation_;
  std::vector<std::string> slabs_;
  std::vector<Watched> watched_;
  std::vector<std::shared_ptr<Session>> sessions_;
  std::thread thread_;
};

}  // namespace pm::directory
