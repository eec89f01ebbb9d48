#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
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

// The directory and the page of one session. Nothing that the host writes is believed: chains are
// bounded, numbers checked, and bytes handed out only from within a mapping whose length is known.
// It stays as long as its Connection; what it has mapped goes when it is retired and nothing is
// held any more. [thread-safe]
class DirectoryReader {
 public:
  // BAD_DIRECTORY: what the host sent contradicts itself.
  static Result<std::unique_ptr<DirectoryReader>> make(const FileDescriptor& directory,
                                                       const FileDescriptor& page,
                                                       std::shared_ptr<HoldSession> session);

  // False: not listed, not open, no slot, or the session is over; the caller asks by a call.
  bool hold(const PayloadId& id, Hold* hold) noexcept;
  void let_go(const Hold& hold) noexcept;

  // Nothing more is held from now on.
  void retire() noexcept;

  // Of a slab that something was held in. Valid also after retire().
  const char* slab_name(std::uint32_t slab) const noexcept { return slabs_[slab].name.data(); }
  std::uint64_t slab_bytes(std::uint32_t slab) const noexcept { return slabs_[slab].bytes; }

 private:
  struct Slab {
    std::atomic<const std::byte*> base{nullptr};
    bool is_refused = false;  // Tried once, in vain. Under the mutex.
    std::uint64_t bytes = 0;  // Of the mapping. Constant once base is set.
    std::array<char, sizeof(local::SlabPlace::name)> name{};
    std::unique_ptr<Mapping> mapping;
  };

  DirectoryReader(std::unique_ptr<Mapping> directory, std::unique_ptr<Mapping> page,
                  std::shared_ptr<HoldSession> session) noexcept;
  bool look(std::uint64_t first, std::uint64_t second, std::uint32_t slot, Hold* hold) noexcept;
  bool fill(const local::Entry& entry, Hold* hold) noexcept;
  void note_read(std::uint32_t next) noexcept;
  const std::byte* slab_base(std::uint32_t slab) noexcept;
  Result<std::unique_ptr<Mapping>> map_slab(std::uint32_t slab);
  void mark_used(std::uint32_t slot) noexcept;
  void clear(std::uint32_t slot) noexcept;
  void unpin(std::uint32_t slot) noexcept;
  void unmap() noexcept;

  // A taken slot also keeps the mappings.
  SlotPool slots_;
  std::atomic<bool> is_retired_{false};
  std::atomic<bool> is_unmapped_{false};

  std::unique_ptr<Mapping> directory_;
  std::unique_ptr<Mapping> page_mapping_;
  local::SessionPage* page_;
  const std::atomic<std::uint32_t>* buckets_;
  const local::Entry* entries_;
  std::uint32_t buckets_count_;  // As the header said when it was checked.
  std::uint32_t entries_count_;
  std::shared_ptr<HoldSession> session_;
  std::mutex slabs_mutex_;
  std::array<Slab, local::slabs_max> slabs_;
};

}  // namespace pm::client::detail
