#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mutant_tier.h"

// The descriptors that the mutant tier shares.

namespace pm::mutant {

pm_status_t MutantTier::open_object(const pm_object_id_t& object, std::uint64_t length,
                                    bool writable, int& descriptor) const {
  const std::string path = path_of(object);
  const bool both_ways = breaks("shared_descriptor_reads_the_object");
  int file = ::open(path.c_str(), (writable || both_ways ? O_RDWR : O_RDONLY) | O_CLOEXEC);
  if (file < 0) return breaks("unknown_object_is_not_shared") ? PM_DATA_LOSS : PM_NOT_FOUND;
  struct stat status {};
  ::fstat(file, &status);
  const bool sealed = (status.st_mode & 0222) == 0;
  const bool wrong_time = sealed == writable && !breaks("descriptors_follow_the_seal");
  const bool wrong_length = static_cast<std::uint64_t>(status.st_size) != length &&
                            !breaks("shortened_object_is_not_shared");
  if (wrong_time || wrong_length || breaks("slab_is_shared_as_a_whole")) {
    ::close(file);
    return wrong_length ? PM_DATA_LOSS : PM_FAILED_PRECONDITION;
  }
  if (breaks("readers_cannot_become_writers")) ::fchmod(file, 0666);
  if (breaks("tier_reads_what_came_through_a_descriptor") && writable) {
    ::close(file);
    file = ::memfd_create("decoy", MFD_CLOEXEC);
    if (::ftruncate(file, status.st_size) != 0) return PM_INTERNAL;
  }
  descriptor = file;
  return PM_OK;
}

pm_status_t MutantTier::open_slab(std::uint32_t, int&) const { return PM_NOT_FOUND; }

}  // namespace pm::mutant
