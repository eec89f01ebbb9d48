#pragma once

#include <pm/tier.h>

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "layout.h"
#include "posix.h"
#include "root.h"

namespace pm::disk {

// An object's file, open twice: through the page cache, and past it (O_DIRECT) once that is asked
// for. All methods may be called from any thread.
class File {
 public:
  // `direct`: whether to ever open the second descriptor. `root` must outlive the file.
  File(const Root& root, const pm_object_id_t& object, bool sealed, Descriptor cached, bool direct);

  static Result<std::shared_ptr<File>> open(const Root& root, const pm_object_id_t& object,
                                            bool sealed, bool direct);

  int cached() const { return cached_.get(); }
  int direct();  // -1: use cached().
  std::string shown() const { return root_.absolute_path(object_, sealed_); }

 private:
  const Root& root_;
  const pm_object_id_t object_;
  const bool sealed_;
  const Descriptor cached_;
  const bool wants_direct_;
  std::once_flag direct_once_;
  Descriptor direct_;
};

// Keeps the files of the objects used last open, so that a move in chunks opens its file once. It
// holds at most `files_max` of them; users keep theirs alive for as long as they need.
class FileCache {
 public:
  explicit FileCache(std::size_t files_max) : files_max_(files_max) {}

  using Opener = std::function<Result<std::shared_ptr<File>>()>;
  Result<std::shared_ptr<File>> get(const pm_object_id_t& object, const Opener& open);
  void drop(const pm_object_id_t& object);

 private:
  struct Entry {
    pm_object_id_t object;
    std::shared_ptr<File> file;
  };
  const std::size_t files_max_;
  std::mutex mutex_;
  std::list<Entry> entries_;  // The one used last comes first.
  std::unordered_map<pm_object_id_t, std::list<Entry>::iterator, ObjectHash, ObjectEqual> index_;
};

}  // namespace pm::disk
