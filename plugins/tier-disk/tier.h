#pragma once

#include <pm/ext/draft/tier_async.h>
#include <pm/ext/draft/tier_enumerate.h>
#include <pm/ext/draft/tier_upload.h>

#include <atomic>
#include <memory>
#include <pm/cpp/plugin.hpp>
#include <string>

#include "file.h"
#include "found_objects.h"
#include "ring.h"
#include "root.h"
#include "unsealed.h"

namespace pm::disk {

struct Options {
  std::string root;
  std::uint64_t capacity_bytes = UINT64_MAX;
  mode_t file_mode = 0600;
  bool direct = true;
  unsigned depth = 8;
};

// A size for one transfer of a long move. Measured (ext4 on virtio, 1 GiB, depth 8):
// writes 2.2, 2.3, 2.1 GiB/s with 1, 2, 4 MiB; reads 1.2 GiB/s with each. The kernel cannot be
// interrupted while it hands a transfer to the device: of calls during moves, the 99th percentile
// is 0.9 ms with 1 MiB and 1.3 ms with 2 MiB.
inline constexpr std::uint64_t chunk_bytes = 1024 * 1024;

// The operations of pm_tier_t and its extensions, with C++ types. What each one promises stands in
// pm/tier.h. Sealed objects take no memory here, but for the time of a start: the file system alone
// knows them.
class DiskTier {
 public:
  static Result<std::unique_ptr<DiskTier>> open(const sdk::Host& host, const Options& options);

  const sdk::Host& host() const { return host_; }
  bool has_async() const { return ring_ != nullptr; }
  pm_tier_info_t info() const;
  pm_tier_usage_t usage() const;

  Status allocate(const pm_object_id_t& object, std::uint64_t length, pm_allocation_t* allocation);
  Status adopt(const pm_object_id_t& object, std::uint64_t length, std::uint64_t* bytes_charged);
  Status locate(const pm_object_id_t& object, std::uint64_t length, pm_location_t* location) const;
  Status read(const pm_call_context_t* context, const pm_object_id_t& object, std::uint64_t offset,
              void* target, std::uint64_t length, std::uint64_t* count);
  Status write(const pm_call_context_t* context, const pm_object_id_t& object, std::uint64_t offset,
               const void* source, std::uint64_t length);
  Status seal(const pm_object_id_t& object, std::uint64_t length);
  Status set_length(const pm_object_id_t& object, std::uint64_t allocated, std::uint64_t length);
  Status remove(const pm_object_id_t& object);
  Status enumerate(const pm_call_context_t* context, pm_on_tier_object_t on_object, void* data);
  Status submit(const pm_transfer_t& transfer);
  // share.cpp
  Result<Descriptor> open_object(const pm_object_id_t& object, std::uint64_t length, bool writable);

 private:
  DiskTier(const sdk::Host& host, const Options& options, std::unique_ptr<Root> root);

  Status count_objects();
  Status reserve(std::uint64_t bytes);
  void give_back(std::uint64_t bytes);
  void release(std::uint64_t bytes);
  Result<std::shared_ptr<File>> create_file(const pm_object_id_t& object, std::uint64_t length);
  Result<std::shared_ptr<File>> file_to_read(const pm_object_id_t& object);
  Result<std::shared_ptr<File>> file_to_write(const pm_object_id_t& object, std::uint64_t offset,
                                              std::uint64_t length);
  Status move(const pm_call_context_t* context, File& file, bool is_write, std::uint64_t offset,
              void* data, std::uint64_t length, std::uint64_t* count) const;
  Status check_unsealed_file(int bucket, const pm_object_id_t& object, int fd,
                             std::uint64_t length) const;
  Status seal_again(const pm_object_id_t& object, const Descriptor& bucket);
  Status make_sealed(const pm_object_id_t& object, const Descriptor& bucket, int fd);
  Status missing(const pm_object_id_t& object) const;
  Result<std::uint64_t> length_of_sealed(const pm_object_id_t& object) const;

  const sdk::Host host_;
  const Options options_;
  const std::unique_ptr<Root> root_;
  const bool direct_;
  FoundObjects found_;
  UnsealedObjects unsealed_;
  FileCache files_;
  std::atomic<std::uint64_t> bytes_used_{0};
  std::atomic<std::uint64_t> objects_{0};
  std::unique_ptr<Ring> ring_;  // Last, so that it ends first.
};

}  // namespace pm::disk
