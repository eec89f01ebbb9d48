#include "segments.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace pm::shm {
namespace {

constexpr mode_t write_bits = 0222;
// Where shm_open(3) of the C library keeps its objects.
constexpr char shm_directory[] = "/dev/shm";

bool is_sealed(const struct stat& status) { return (status.st_mode & write_bits) == 0; }

std::uint64_t length_of(const struct stat& status) {
  return static_cast<std::uint64_t>(status.st_size);
}

std::string expected(std::uint64_t there, std::uint64_t length) {
  return " has " + std::to_string(there) + " bytes, expected " + std::to_string(length);
}

}  // namespace

Status Segments::allocate(const pm_call_context_t* context, const pm_object_id_t& object,
                          std::uint64_t length, bool host_writes) const {
  const std::string name = names_.segment(object);
  auto file = ShmFile::create(name, mode_);
  if (!file.ok()) return file.status();
  Status status;
  if (node_ != nullptr) status = node_->bind(*file, length);
  // Pages that are written whole need not be zeroed first: a third of the time of a large move.
  if (status.ok()) {
    status = host_writes ? file->set_length(length) : file->reserve(length, context);
  }
  if (!status.ok()) ::shm_unlink(name.c_str());
  return status;
}

Status Segments::adopt(const pm_object_id_t& object, std::uint64_t length) const {
  const std::string name = names_.segment(object);
  const auto file = ShmFile::open(name, O_RDONLY);
  if (!file.ok()) {
    if (file.status().code() != Code::permission_denied) return file.status();
    return {Code::data_loss, file.status().message()};
  }
  const auto status = file->stat();
  if (!status.ok()) return status.status();
  if (length_of(*status) != length) {
    return {Code::data_loss, "segment " + name + expected(length_of(*status), length)};
  }
  if (!is_sealed(*status)) return {Code::data_loss, "segment " + name + " was never sealed"};
  return {};
}

Result<std::uint64_t> Segments::read(const pm_object_id_t& object, std::uint64_t offset,
                                     void* target, std::uint64_t length) const {
  const auto file = ShmFile::open(names_.segment(object), O_RDONLY);
  if (!file.ok()) return file.status();
  const auto status = file->stat();
  if (!status.ok()) return status.status();
  if (offset >= length_of(*status)) return std::uint64_t{0};
  return file->read(offset, target, std::min(length, length_of(*status) - offset));
}

Status Segments::write(const pm_object_id_t& object, std::uint64_t offset, const void* source,
                       std::uint64_t length) const {
  const std::string name = names_.segment(object);
  const auto file = ShmFile::open(name, O_RDWR);
  if (!file.ok()) {
    // A sealed segment cannot be opened for writing, unless the host is root.
    if (file.status().code() != Code::permission_denied) return file.status();
    return {Code::failed_precondition, file.status().message()};
  }
  const auto status = file->stat();
  if (!status.ok()) return status.status();
  if (is_sealed(*status)) return {Code::failed_precondition, "segment " + name + " is sealed"};
  const std::uint64_t there = length_of(*status);
  if (offset > there || length > there - offset) {
    return {Code::out_of_range,
            "the write ends past the " + std::to_string(there) + " bytes of segment " + name};
  }
  return file->write(offset, source, length);
}

Status Segments::seal(const pm_object_id_t& object, std::uint64_t length) const {
  const std::string name = names_.segment(object);
  const auto file = ShmFile::open(name, O_RDONLY);
  if (!file.ok()) return file.status();
  const auto status = file->stat();
  if (!status.ok()) return status.status();
  if (length_of(*status) != length) {
    return {Code::failed_precondition, "segment " + name + expected(length_of(*status), length)};
  }
  return file->set_mode(status->st_mode & 0777 & ~write_bits);
}

Status Segments::remove(const pm_object_id_t& object) const {
  const std::string name = names_.segment(object);
  if (::shm_unlink(name.c_str()) == 0) return {};
  return errno_status(errno, "cannot remove segment " + name);
}

Result<int> Segments::share(const pm_object_id_t& object, std::uint64_t length,
                            bool writable) const {
  const std::string name = names_.segment(object);
  auto file = ShmFile::open(name, writable ? O_RDWR : O_RDONLY);
  if (!file.ok()) {
    if (!writable || file.status().code() != Code::permission_denied) return file.status();
    return Status(Code::failed_precondition, file.status().message());
  }
  const auto status = file->stat();
  if (!status.ok()) return status.status();
  if (is_sealed(*status) == writable) {
    return Status(Code::failed_precondition,
                  "segment " + name + (writable ? " is sealed" : " is not sealed yet"));
  }
  if (length_of(*status) != length) {
    return Status(Code::data_loss, "segment " + name + expected(length_of(*status), length));
  }
  return file->hand_over();
}

bool Segments::holds(const pm_object_id_t& object) const {
  const std::string path = shm_directory + names_.segment(object);
  return ::faccessat(AT_FDCWD, path.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

Status Segments::enumerate(const std::function<bool(const Found&)>& visit) const {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(shm_directory), ::closedir);
  if (!directory) return errno_status(errno, std::string("cannot list ") + shm_directory);
  while (const dirent* entry = ::readdir(directory.get())) {
    const auto object = names_.parse_segment(entry->d_name);
    if (!object) continue;
    struct stat status {};
    if (::fstatat(::dirfd(directory.get()), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;  // Removed meanwhile.
    }
    if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid()) continue;
    if (!visit({*object, length_of(status), is_sealed(status)})) break;
  }
  return {};
}

}  // namespace pm::shm
