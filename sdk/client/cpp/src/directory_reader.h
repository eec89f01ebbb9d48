#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <forward_list>
#include <memory>
#include <mutex>
#include <string>

#include "file_descriptor.h"
#include "mapping.h"
#include "pm/client/client.h"
#include "sdk/local/pages.h"
#include "slot_pool.h"

// Leases without a call: the client's side of the protocol that sdk/local/pages.h describes.

namespace pm::client::detail {

// What a reader needs of the session whose page it writes into. [thread-safe]
class HoldSession {
 public:
  virtual ~HoldSession() = default;
  // Whether the host still watches the page. Cheap most of the time.
  virtual bool is_over() noexcept = 0;
  // Tells the host of a hold that ended and that somebody waits for.
  virtual void released() noexcept = 0;
  // A descriptor of a slab, by its place in the directory.
  virtual Result<FileDescriptor> open_slab(std::uint32_t slab) = 0;
};

// Whether what failed so fails again: there is no use in asking soon.
bool is_lasting(const Status& status) noexcept;

// A slab that something was held in.
struct SlabInfo {
  std::array<char, sizeof(local::SlabPlace::name)> name{};
  std::uint32_t number = 0;  // Of the tier.
  std::uint64_t bytes = 0;   // Of the mapping.
  friend bool operator==(const SlabInfo&, const SlabInfo&) = default;
};

// The directory and the page of one session, and of another one afterwards. Nothing that the host
// writes is believed: chains are bounded, numbers checked, and bytes handed out only from within a
// mapping whose length is known.
// It stays as long as its Connection, as somebody may just be on the way into hold(), whatever has
// become of the session; who comes late may hold in the next one. What it has mapped goes when it
// is retired and nothing is held any more; then it is free for another session. [thread-safe]
class DirectoryReader {
 public:
  DirectoryReader() noexcept = default;

  // Of one that is free, for one caller at a time. BAD_DIRECTORY: what the host sent contradicts
  // itself; it is free as before.
  Status begin(const FileDescriptor& directory, const FileDescriptor& page,
               std::shared_ptr<HoldSession> session);
  bool is_free() const noexcept { return phase_of(state_.load()) == Phase::free; }

  // False: not listed, not open, no slot, or the session is over; the caller asks by a call.
  bool hold(const PayloadId& id, Hold* hold) noexcept;
  void let_go(const Hold& hold) noexcept;

  // Nothing more is held from now on. Once for each begin().
  void retire() noexcept;

 private:
  // One after the other, life after life: a state is a number that only grows, so that who has
  // looked at one that is past changes nothing.
  enum class Phase { free, live, retired, ending };
  static Phase phase_of(std::uint64_t state) noexcept { return static_cast<Phase>(state % 4); }

  // Under the mutex but for what says otherwise.
  struct Slab {
    std::atomic<const std::byte*> base{nullptr};  // Read without it, and before `info`.
    const SlabInfo* info = nullptr;               // Constant once base is set.
    std::unique_ptr<Mapping> mapping;
    std::chrono::steady_clock::time_point next_try{};  // After one in vain.
    std::chrono::milliseconds pause{0};
  };

  bool look(std::uint64_t first, std::uint64_t second, std::uint32_t slot, Hold* hold) noexcept;
  bool fill(const local::Entry& entry, Hold* hold) noexcept;
  void note_read(std::uint32_t next) noexcept;
  const std::byte* slab_base(std::uint32_t slab) noexcept;
  Status map_slab(std::uint32_t slab);
  const SlabInfo* known(const SlabInfo& info);
  void mark_used(std::uint32_t slot) noexcept;
  void clear(std::uint32_t slot) noexcept;
  void unpin(std::uint32_t slot) noexcept;
  void end_if_unused() noexcept;

  // A taken slot also keeps the mappings.
  SlotPool slots_;
  std::atomic<std::uint64_t> state_{0};

  std::unique_ptr<Mapping> directory_;
  std::unique_ptr<Mapping> page_mapping_;
  local::SessionPage* page_ = nullptr;
  const std::atomic<std::uint32_t>* buckets_ = nullptr;
  const local::Entry* entries_ = nullptr;
  std::uint32_t buckets_count_ = 0;  // As the header said when it was checked.
  std::uint32_t entries_count_ = 0;
  std::shared_ptr<HoldSession> session_;
  std::mutex slabs_mutex_;
  std::array<Slab, local::slabs_max> slabs_;
  // Of all lives, each once: leases that have ended still say where they were.
  std::forward_list<SlabInfo> infos_;
};

}  // namespace pm::client::detail
