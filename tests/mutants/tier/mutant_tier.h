#pragma once

#include <pm/ext/draft/tier_enumerate.h>
#include <pm/ext/draft/tier_share.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

// A small tier that keeps each object in a file, and every rule - but the one that its
// configuration names. With the name of no rule it is simply a tier.

namespace pm::mutant {

class MutantTier {
 public:
  MutantTier(std::string directory, std::uint64_t capacity_bytes, std::string broken_rule);
  ~MutantTier();

  // True when this instance is to break the rule of that name.
  bool breaks(const char* rule) const { return broken_rule_ == rule; }

  void info(pm_tier_info_t& info) const;
  void usage(pm_tier_usage_t& usage) const;
  pm_status_t allocate(const pm_object_id_t& object, std::uint64_t length, std::uint32_t flags,
                       std::uint64_t& bytes_charged);
  pm_status_t adopt(const pm_object_id_t& object, std::uint64_t length,
                    std::uint64_t& bytes_charged) const;
  pm_status_t locate(const pm_object_id_t& object, std::uint64_t length,
                     pm_location_t& location) const;
  pm_status_t read(const pm_object_id_t& object, std::uint64_t offset, void* target,
                   std::uint64_t length, std::uint64_t& count) const;
  pm_status_t write(const pm_object_id_t& object, std::uint64_t offset, const void* source,
                    std::uint64_t length);
  pm_status_t seal(const pm_object_id_t& object, std::uint64_t length);
  pm_status_t remove(const pm_object_id_t& object, std::uint64_t length);
  pm_status_t open_object(const pm_object_id_t& object, std::uint64_t length, bool writable,
                          int& descriptor) const;
  pm_status_t open_slab(std::uint32_t slab, int& descriptor) const;
  pm_status_t enumerate(pm_on_tier_object_t on_object, void* data) const;

 private:
  std::string name_of(const pm_object_id_t& object) const;
  std::string path_of(const pm_object_id_t& object) const;
  // Where an object without a name is reached; empty when there is none of that name.
  std::string nameless_path(const std::string& name) const;
  pm_status_t allocate_nameless(const std::string& name, std::uint64_t length);
  pm_status_t seal_nameless(const std::string& path, std::uint64_t length) const;
  pm_status_t remove_nameless(const std::string& name, std::uint64_t length);
  std::uint64_t charge(std::uint64_t length) const;
  bool take_room(std::uint64_t bytes);
  void give_room(std::uint64_t bytes);
  pm_status_t write_by_rewriting(int file, std::uint64_t offset, const void* source,
                                 std::uint64_t length) const;
  pm_status_t write_by_shared_buffer(int file, std::uint64_t offset, const void* source,
                                     std::uint64_t length);

  std::string directory_;
  const std::uint64_t capacity_bytes_;
  const std::string broken_rule_;

  mutable std::mutex mutex_;
  std::uint64_t bytes_used_ = 0;
  std::uint64_t objects_ = 0;
  std::map<std::string, int> nameless_;             // With PM_ALLOCATE_SEALED: descriptors.
  std::map<std::uint64_t, unsigned> room_by_size_;  // For removed_room_serves_other_sizes.
  std::vector<char> buffer_;                        // For threads_on_different_objects_...
  std::vector<char> left_over_;                     // For bytes_of_another_owner_are_gone.
  std::vector<int> kept_;                           // For objects_hold_no_descriptor.
};

}  // namespace pm::mutant
