#include "fake_directory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace pm::test {

using local::DirectoryHeader;
using local::Entry;
using local::SessionPage;

FakeMemory::FakeMemory(std::uint64_t bytes)
    : bytes_(bytes), descriptor_(::memfd_create("pm-fake", MFD_CLOEXEC)) {
  if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0) std::abort();
  void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
  if (base == MAP_FAILED) std::abort();
  base_ = static_cast<std::byte*>(base);
}

FakeMemory::~FakeMemory() {
  ::munmap(base_, bytes_);
  ::close(descriptor_);
}

int FakeMemory::read_only() const {
  return ::open(("/proc/self/fd/" + std::to_string(descriptor_)).c_str(), O_RDONLY | O_CLOEXEC);
}

client::PayloadId id_of(std::uint64_t number) {
  // Spread as the host's random ids are.
  const std::uint64_t words[2] = {number * 0x9e3779b97f4a7c15, number};
  client::PayloadId id;
  std::memcpy(id.bytes.data(), words, sizeof words);
  return id;
}

FakeDirectory::FakeDirectory(std::uint32_t entries, std::uint32_t buckets, std::uint64_t slab_bytes)
    : memory_(sizeof(DirectoryHeader) + sizeof(std::uint32_t) * buckets + 64 +
              sizeof(Entry) * entries),
      slab_(slab_bytes),
      is_linked_(entries) {
  DirectoryHeader& made = header();
  made.magic = local::directory_magic;
  made.version = local::pages_version;
  made.entries = entries;
  made.buckets = buckets;
  made.buckets_offset = sizeof(DirectoryHeader);
  made.entries_offset = (sizeof(DirectoryHeader) + sizeof(std::uint32_t) * buckets + 63) / 64 * 64;
  made.bytes = memory_.bytes();
  made.slabs[0].mapping_bytes = slab_bytes;
  made.slabs[0].number = 3;
}

FakeDirectory::~FakeDirectory() = default;

void FakeDirectory::put(std::uint32_t number, const client::PayloadId& id, std::uint64_t offset,
                        std::uint64_t length) {
  Entry& made = entry(number);
  std::uint64_t words[2];
  std::memcpy(words, id.bytes.data(), sizeof words);
  made.id[0] = words[0];
  made.id[1] = words[1];
  made.offset = offset;
  made.length = length;
  made.revision = 7;
  made.tier = static_cast<std::uint32_t>(client::Tier::ram);
  if (!is_linked_[number]) {
    auto& first = bucket(local::bucket_of(words[0], header().buckets));
    made.next = first.load();
    first = number + 1;
    is_linked_[number] = true;
  }
  reopen(number);
}

bool FakeDirectory::close(std::uint32_t number, bool is_wanted) {
  entry(number).word = is_wanted ? unsigned{local::entry_is_wanted} : 0U;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!is_held(number)) return true;
  if (!is_wanted) reopen(number);
  return false;
}

void FakeDirectory::reopen(std::uint32_t number) {
  entry(number).word.store(local::entry_is_open, std::memory_order_release);
}

bool FakeDirectory::is_held(std::uint32_t number) const {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < pages_.size(); ++i) {
    SessionPage& shown = *reinterpret_cast<SessionPage*>(pages_[i]->base());
    const std::uint32_t used = std::min(shown.used.load(), local::slots_max);
    for (std::uint32_t slot = 0; slot < used; ++slot) {
      if (shown.slots[slot].load(std::memory_order_acquire) == number + 1) return true;
    }
  }
  return false;
}

DirectoryHeader& FakeDirectory::header() {
  return *reinterpret_cast<DirectoryHeader*>(memory_.base());
}

std::atomic<std::uint32_t>& FakeDirectory::bucket(std::uint32_t number) {
  return reinterpret_cast<std::atomic<std::uint32_t>*>(memory_.base() +
                                                       header().buckets_offset)[number];
}

Entry& FakeDirectory::entry(std::uint32_t number) {
  return reinterpret_cast<Entry*>(memory_.base() + header().entries_offset)[number];
}

FakeMemory& FakeDirectory::add_page() {
  const std::lock_guard lock(mutex_);
  pages_.push_back(std::make_unique<FakeMemory>(sizeof(SessionPage)));
  return *pages_.back();
}

SessionPage& FakeDirectory::page(std::size_t number) const {
  const std::lock_guard lock(mutex_);
  return *reinterpret_cast<SessionPage*>(pages_.at(number)->base());
}

}  // namespace pm::test
