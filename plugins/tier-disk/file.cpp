#include "file.h"

#include <fcntl.h>

#include <utility>

namespace pm::disk {

File::File(const Root& root, const pm_object_id_t& object, bool sealed, Descriptor cached,
           bool direct)
    : root_(root),
      object_(object),
      sealed_(sealed),
      cached_(std::move(cached)),
      wants_direct_(direct) {}

Result<std::shared_ptr<File>> File::open(const Root& root, const pm_object_id_t& object,
                                         bool sealed, bool direct) {
  auto cached = open_regular(root.fd(), relative_path(object, sealed).c_str(),
                             sealed ? O_RDONLY : O_RDWR, root.absolute_path(object, sealed));
  if (!cached.ok()) return cached.status();
  // With O_DIRECT at hand only the odd ends go through the page cache: reading ahead is waste.
  if (direct && sealed) (void)::posix_fadvise(cached->get(), 0, 0, POSIX_FADV_RANDOM);
  return std::make_shared<File>(root, object, sealed, std::move(*cached), direct);
}

int File::direct() {
  if (!wants_direct_) return -1;
  std::call_once(direct_once_, [this] {
    auto opened = open_regular(root_.fd(), relative_path(object_, sealed_).c_str(),
                               (sealed_ ? O_RDONLY : O_RDWR) | O_DIRECT, shown());
    if (opened.ok()) direct_ = std::move(*opened);
  });
  return direct_.get();
}

Result<std::shared_ptr<File>> FileCache::get(const pm_object_id_t& object, const Opener& open) {
  {
    std::lock_guard lock(mutex_);
    if (auto found = index_.find(object); found != index_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      return found->second->file;
    }
  }
  auto opened = open();
  if (!opened.ok()) return opened;
  std::shared_ptr<File> evicted;  // Closed after the lock is gone: close(2) may take long.
  std::lock_guard lock(mutex_);
  if (auto found = index_.find(object); found != index_.end()) return found->second->file;
  entries_.push_front({object, *opened});
  index_.emplace(object, entries_.begin());
  if (entries_.size() > files_max_) {
    evicted = std::move(entries_.back().file);
    index_.erase(entries_.back().object);
    entries_.pop_back();
  }
  return opened;
}

void FileCache::drop(const pm_object_id_t& object) {
  std::shared_ptr<File> dropped;
  std::lock_guard lock(mutex_);
  const auto found = index_.find(object);
  if (found == index_.end()) return;
  dropped = std::move(found->second->file);
  entries_.erase(found->second);
  index_.erase(found);
}

}  // namespace pm::disk
