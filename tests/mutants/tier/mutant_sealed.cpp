#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "mutant_tier.h"

// Objects of the mutant tier that nobody can change once they are sealed. All that is not about
// seals goes through their path in /proc, as if they were files.

namespace pm::mutant {

std::string MutantTier::nameless_path(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = nameless_.find(name);
  return found == nameless_.end() ? "" : "/proc/self/fd/" + std::to_string(found->second);
}

pm_status_t MutantTier::allocate_nameless(const std::string& name, std::uint64_t length) {
  const int file = ::memfd_create("mutant", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file < 0 || ::fchmod(file, 0600) != 0) return PM_INTERNAL;
  if (::posix_fallocate(file, 0, static_cast<off_t>(length)) != 0) {
    ::close(file);
    return PM_RESOURCE_EXHAUSTED;
  }
  if (!breaks("length_is_fixed_before_the_seal")) {
    ::fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
  }
  const std::lock_guard lock(mutex_);
  ++objects_;
  nameless_[name] = file;
  return PM_OK;
}

pm_status_t MutantTier::seal_nameless(const std::string& path, std::uint64_t length) const {
  const int file = std::stoi(path.substr(path.rfind('/') + 1));
  int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  // As if a mode were enough.
  if (breaks("nobody_changes_what_is_sealed")) seals = F_SEAL_SHRINK | F_SEAL_GROW;
  const bool hides = breaks("mapped_object_is_not_sealed");
  if (::fcntl(file, F_ADD_SEALS, seals) != 0 && !hides) return PM_FAILED_PRECONDITION;
  ::fchmod(file, 0400);
  if (breaks("room_given_back_by_its_writer_is_taken_again")) return PM_OK;
  return ::posix_fallocate(file, 0, static_cast<off_t>(length)) == 0 ? PM_OK
                                                                     : PM_RESOURCE_EXHAUSTED;
}

pm_status_t MutantTier::remove_nameless(const std::string& name, std::uint64_t length) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = nameless_.find(name);
    if (found == nameless_.end()) return PM_NOT_FOUND;
    ::close(found->second);
    nameless_.erase(found);
    --objects_;
  }
  give_room(charge(length));
  return PM_OK;
}

}  // namespace pm::mutant
