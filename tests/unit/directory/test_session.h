#pragma once

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <optional>

#include "core/directory/directory.h"
#include "sdk/local/pages.h"

// A client's side of leases without a call, as short as can be (sdk/local/pages.h).

namespace pm::directory::test {

class TestSession {
 public:
  // Takes the descriptors over.
  explicit TestSession(const Directory::Attached& attached) {
    struct stat facts {};
    ::fstat(attached.directory, &facts);
    bytes_ = static_cast<std::size_t>(facts.st_size);
    base_ = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, attached.directory, 0);
    page_ = static_cast<local::SessionPage*>(::mmap(
        nullptr, sizeof(local::SessionPage), PROT_READ | PROT_WRITE, MAP_SHARED, attached.page, 0));
    ::close(attached.directory);
    ::close(attached.page);
  }
  ~TestSession() {
    ::munmap(const_cast<void*>(base_), bytes_);
    ::munmap(page_, sizeof(local::SessionPage));
  }
  TestSession(const TestSession&) = delete;
  TestSession& operator=(const TestSession&) = delete;

  local::SessionPage& page() { return *page_; }
  const local::DirectoryHeader& header() const {
    return *static_cast<const local::DirectoryHeader*>(base_);
  }
  const local::Entry& entry(std::uint32_t number) const {
    const auto* entries = static_cast<const std::byte*>(base_) + header().entries_offset;
    return reinterpret_cast<const local::Entry*>(entries)[number];
  }

  // Holds a payload in a slot; nothing when it is not there.
  std::optional<std::uint32_t> hold(const catalog::Id& id, std::uint32_t slot) {
    std::uint64_t halves[2];
    std::memcpy(halves, id.bytes.data(), sizeof halves);
    const auto* buckets = reinterpret_cast<const std::atomic<std::uint32_t>*>(
        static_cast<const std::byte*>(base_) + header().buckets_offset);
    std::uint32_t next = buckets[local::bucket_of(halves[0], header().buckets)].load();
    for (std::uint32_t step = 0; next != 0 && step < local::chain_max; ++step) {
      const std::uint32_t number = next - 1;
      if (number >= header().entries) return std::nullopt;
      const local::Entry& found = entry(number);
      if (page_->used.load(std::memory_order_relaxed) <= slot) page_->used.store(slot + 1);
      page_->slots[slot].store(number + 1, std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_seq_cst);
      const bool is_open = (found.word.load(std::memory_order_acquire) & local::entry_is_open) != 0;
      if (is_open && found.id[0].load() == halves[0] && found.id[1].load() == halves[1]) {
        return number;
      }
      page_->slots[slot].store(0, std::memory_order_release);
      next = found.next.load();
    }
    return std::nullopt;
  }
  void let_go(std::uint32_t slot) { page_->slots[slot].store(0, std::memory_order_release); }

 private:
  const void* base_ = nullptr;
  std::size_t bytes_ = 0;
  local::SessionPage* page_ = nullptr;
};

inline catalog::Id make_id(std::uint64_t number) {
  catalog::Id id;
  std::memcpy(id.bytes.data(), &number, sizeof number);
  return id;
}

inline catalog::HeldPlace place_of(std::uint64_t number, std::uint64_t generation,
                                   std::uint64_t offset = 0) {
  catalog::HeldPlace place;
  place.payload = make_id(number);
  place.generation = generation;
  place.length = 100;
  place.revision = 2;
  place.tier = 2;
  place.slab = "/a-slab";
  place.slab_number = 5;
  place.mapping_bytes = 1 << 20;
  place.offset_bytes = offset;
  return place;
}

}  // namespace pm::directory::test
