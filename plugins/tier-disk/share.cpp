#include <fcntl.h>
#include <sys/stat.h>

#include "tier.h"

// Descriptors for other processes (pm.tier.share/1).

namespace pm::disk {

// A writer gets a file that is not sealed, a reader one that is: of such a file, which has lost its
// write bits, a user who does not own it can make no writer's descriptor.
Result<Descriptor> DiskTier::open_object(const pm_object_id_t& object, std::uint64_t length,
                                         bool writable) {
  const bool is_unsealed = unsealed_.contains(object);
  const std::string shown = root_->absolute_path(object, !is_unsealed);
  if (is_unsealed && !writable) return Status(Code::failed_precondition, shown + " is not sealed");
  auto file = open_regular(root_->fd(), relative_path(object, !is_unsealed).c_str(),
                           is_unsealed ? O_RDWR : O_RDONLY, shown);
  if (!file.ok()) return file.status();
  if (!is_unsealed && writable) {
    return Status(Code::failed_precondition, shown + " is sealed, and not written again");
  }
  struct stat state {};
  if (::fstat(file->get(), &state) != 0) return errno_status(errno, "cannot stat " + shown);
  if (static_cast<std::uint64_t>(state.st_size) != length) {
    return Status(Code::data_loss, shown + " has " + std::to_string(state.st_size) +
                                       " bytes and should have " + std::to_string(length));
  }
  if (!writable && (state.st_mode & 022) != 0) {
    return Status(Code::failed_precondition,
                  shown + " can be written by others: somebody has changed its mode; chmod a-w it");
  }
  return file;
}

}  // namespace pm::disk
