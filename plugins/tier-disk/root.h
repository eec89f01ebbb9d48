#pragma once

#include <pm/tier.h>
#include <sys/types.h>

#include <array>
#include <atomic>
#include <memory>
#include <pm/cpp/plugin.hpp>
#include <string>

#include "posix.h"

namespace pm::disk {

// The directory that holds everything: whose it is, and its subdirectories. All methods may be
// called from any thread.
//
// A marker file in it, pm-tier-disk.json, tells the format, the host instance it belongs to and
// the medium's id (random, drawn with the marker). It stays locked (flock) while the root is open,
// so that no two tiers write in one root.
class Root {
 public:
  static constexpr const char* marker_name = "pm-tier-disk.json";

  // Makes the directory and its parents where missing. `path` may be relative to the working
  // directory; path() is absolute. `instance_id` is the host's.
  static Result<std::unique_ptr<Root>> open(const sdk::Host& host, const std::string& path,
                                            const std::string& instance_id, mode_t file_mode);

  const std::string& path() const { return path_; }
  const std::string& medium_id() const { return medium_id_; }
  int fd() const { return directory_.get(); }
  std::string absolute_path(const pm_object_id_t& object, bool sealed) const;

  // Whether files here take O_DIRECT, found out by trying.
  bool accepts_direct() const;

  // Opens the directory that the object belongs in. PM_NOT_FOUND when there is none.
  Result<Descriptor> open_bucket(const pm_object_id_t& object) const;
  Status make_bucket(const pm_object_id_t& object) const;

  // Makes the names of the object's directory survive a loss of power. Costs two fsyncs the first
  // time for each directory in the life of this object, and nothing later.
  Status sync_bucket_names(const pm_object_id_t& object);

 private:
  Root() = default;
  Status open_marker(const sdk::Host& host, const std::string& instance_id);
  Status write_marker(const std::string& instance_id);
  Status check_marker(const std::string& text, const std::string& instance_id);

  std::string path_;
  std::string medium_id_;
  mode_t directory_mode_ = 0700;
  Descriptor directory_;
  Descriptor marker_;
  // Directories whose names are known to be durable: one bit for each `ab`, for each `ab/cd`.
  std::array<std::atomic<bool>, 256> upper_durable_{};
  std::array<std::atomic<std::uint8_t>, 65536 / 8> lower_durable_{};
};

}  // namespace pm::disk
