#pragma once

#include <pm/tier.h>

#include <optional>
#include <string>
#include <string_view>

// How the POSIX shared memory objects of one instance are called. shm_open(3) knows no folders, so
// the name carries everything: whose it is and what it holds.
//
//   /PREFIX-INSTANCE-UUID.GENERATION   a segment: one object (UUID in lower case, 16 hex digits)
//   /PREFIX-INSTANCE-slab-N            a slab: many objects

namespace pm::shm {

class Names {
 public:
  // `instance_id` is the host's (pm_host_identity).
  Names(const std::string& prefix, const std::string& instance_id)
      : stem_(prefix + "-" + instance_id + "-") {}

  // What all names of this instance begin with, without the slash.
  const std::string& stem() const { return stem_; }

  // With the leading slash, as shm_open(3) takes it.
  std::string segment(const pm_object_id_t& object) const;
  std::string slab(unsigned number) const;

  // The object of a directory entry (no slash); nothing when it is no segment of this instance.
  std::optional<pm_object_id_t> parse_segment(std::string_view entry) const;

 private:
  std::string stem_;
};

}  // namespace pm::shm
