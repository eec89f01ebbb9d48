#pragma once

#include <pm/tier.h>

#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "file.h"
#include "layout.h"

namespace pm::disk {

// An object between allocate and seal (or remove).
struct Unsealed {
  std::uint64_t length = 0;

  // Open from allocate to seal: the kernel tells a failed write-back only to descriptors that
  // were open when it happened, and forgets it with the inode. NULL once too many are open; then
  // seal opens the file anew, and a loss that somebody else's fsync was told of stays unknown.
  std::shared_ptr<File> file;

  // Not empty: syncing failed with these words, and is not tried again.
  std::string sync_failure;
};

// The objects of this life of the host that are not sealed, few at a time. Any thread.
class UnsealedObjects {
 public:
  explicit UnsealedObjects(std::size_t files_max) : files_max_(files_max) {}

  // Keeps object.file only while fewer than files_max are kept.
  void add(const pm_object_id_t& object, Unsealed unsealed) {
    std::lock_guard lock(mutex_);
    if (files_ >= files_max_) unsealed.file.reset();
    if (unsealed.file) ++files_;
    objects_.insert_or_assign(object, std::move(unsealed));
  }
  std::optional<Unsealed> find(const pm_object_id_t& object) const {
    std::lock_guard lock(mutex_);
    const auto found = objects_.find(object);
    return found == objects_.end() ? std::nullopt : std::optional(found->second);
  }
  bool contains(const pm_object_id_t& object) const {
    std::lock_guard lock(mutex_);
    return objects_.contains(object);
  }
  void set_length(const pm_object_id_t& object, std::uint64_t length) {
    std::lock_guard lock(mutex_);
    const auto found = objects_.find(object);
    if (found != objects_.end()) found->second.length = length;
  }
  void set_sync_failure(const pm_object_id_t& object, std::uint64_t length,
                        const std::string& words) {
    std::lock_guard lock(mutex_);
    Unsealed& unsealed = objects_[object];  // New for an object of an earlier life.
    unsealed.length = length;
    unsealed.sync_failure = words;
  }
  void erase(const pm_object_id_t& object) {
    std::shared_ptr<File> file;  // Closed after the lock is gone.
    std::lock_guard lock(mutex_);
    const auto found = objects_.find(object);
    if (found == objects_.end()) return;
    file = std::move(found->second.file);
    if (file) --files_;
    objects_.erase(found);
  }

 private:
  const std::size_t files_max_;
  mutable std::mutex mutex_;
  std::size_t files_ = 0;
  std::unordered_map<pm_object_id_t, Unsealed, ObjectHash, ObjectEqual> objects_;
};

}  // namespace pm::disk
