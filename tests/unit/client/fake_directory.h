#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "pm/client/client.h"
#include "sdk/local/pages.h"

namespace pm::test {

// Memory without a name, mapped here for writing.
class FakeMemory {
 public:
  explicit FakeMemory(std::uint64_t bytes);
  FakeMemory(const FakeMemory&) = delete;
  FakeMemory& operator=(const FakeMemory&) = delete;
  ~FakeMemory();
  std::byte* base() const { return base_; }
  std::uint64_t bytes() const { return bytes_; }
  int descriptor() const { return descriptor_; }
  // Another one, of the same memory, that cannot be mapped for writing. The caller closes it.
  int read_only() const;

 private:
  const std::uint64_t bytes_;
  int descriptor_ = -1;
  std::byte* base_ = nullptr;
};

client::PayloadId id_of(std::uint64_t number);

// A fake of what a host shows to trusted clients: a directory, one slab and the sessions' pages,
// and the host's side of the protocol of sdk/local/pages.h. For one thread at a time, but for
// is_held() and add_page().
class FakeDirectory {
 public:
  explicit FakeDirectory(std::uint32_t entries, std::uint32_t buckets, std::uint64_t slab_bytes);
  ~FakeDirectory();
  FakeDirectory(const FakeDirectory&) = delete;
  FakeDirectory& operator=(const FakeDirectory&) = delete;

  // Writes an entry over whatever was there, links it where it is new, and opens it.
  void put(std::uint32_t number, const client::PayloadId& id, std::uint64_t offset,
           std::uint64_t length);
  // True: nobody holds it, and nobody will; else it is open as before, or, if wanted, stays closed.
  bool close(std::uint32_t number, bool is_wanted = false);
  void reopen(std::uint32_t number);
  bool is_held(std::uint32_t number) const;

  local::DirectoryHeader& header();
  std::atomic<std::uint32_t>& bucket(std::uint32_t number);
  local::Entry& entry(std::uint32_t number);
  FakeMemory& memory() { return memory_; }
  FakeMemory& slab() { return slab_; }

  // Another session's page.
  FakeMemory& add_page();
  local::SessionPage& page(std::size_t number) const;

 private:
  FakeMemory memory_;
  FakeMemory slab_;
  std::vector<bool> is_linked_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<FakeMemory>> pages_;
};

}  // namespace pm::test
