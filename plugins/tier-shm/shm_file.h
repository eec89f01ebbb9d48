#pragma once

#include <pm/tier.h>
#include <sys/stat.h>

#include <cstdint>
#include <pm/cpp/result.hpp>
#include <string>
#include <utility>

// A descriptor of a POSIX shared memory object. Everything goes through pread and pwrite: a client
// may shorten the object at any time, and touching a mapping past its end would kill the host.

namespace pm::shm {

// "cannot open /pm-...: No space left on device", with the code that fits the errno.
Status errno_status(int error, const std::string& what);

class ShmFile {
 public:
  ShmFile() = default;
  explicit ShmFile(int descriptor) : descriptor_(descriptor) {}
  ShmFile(ShmFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  ShmFile& operator=(ShmFile&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ShmFile(const ShmFile&) = delete;
  ShmFile& operator=(const ShmFile&) = delete;
  ~ShmFile();

  // NOT_FOUND: no such object. PERMISSION_DENIED: there is one, of another user or of another
  // kind; nothing of it was read.
  static Result<ShmFile> open(const std::string& name, int flags);

  // Makes a new one whose permissions are exactly `mode`. ALREADY_EXISTS: the name is taken.
  static Result<ShmFile> create(const std::string& name, mode_t mode);

  // Makes one that has no name in the file system, and whose seals can be set (memfd_create(2)).
  // `label` is what /proc shows.
  static Result<ShmFile> create_nameless(const std::string& label, mode_t mode);

  int get() const { return descriptor_; }
  // Gives the descriptor away, as other processes want it.
  Result<int> hand_over();
  Result<struct stat> stat() const;
  Status set_mode(mode_t mode) const;

  // Of a nameless one. 0, or an errno: EBUSY: it is mapped for writing; EPERM: no seal can be added
  // any more.
  int add_seals(int seals) const;
  Result<int> seals() const;
  // A descriptor for another process, that shares neither offset nor flags with this one.
  Result<int> open_again(int flags) const;

  // Takes room for the first `length` bytes, for certain: tmpfs over-commits what ftruncate(2)
  // makes, and its writer would die of SIGBUS. RESOURCE_EXHAUSTED: the file system is full.
  // CANCELLED: `context` (which may be NULL) no longer wants it. Room taken so far stays.
  Status reserve(std::uint64_t length, const pm_call_context_t* context) const;

  // Gives it its length; the room is taken by writes, which may then fail. For objects that only
  // the host writes: whoever maps it before may die of SIGBUS. RESOURCE_EXHAUSTED: there is not so
  // much room now.
  Status set_length(std::uint64_t length) const;

  // Reads until `length` bytes or the end; returns the count.
  Result<std::uint64_t> read(std::uint64_t offset, void* target, std::uint64_t length) const;
  Status write(std::uint64_t offset, const void* source, std::uint64_t length) const;
  Status write_zeros(std::uint64_t offset, std::uint64_t length) const;

 private:
  int descriptor_ = -1;
};

}  // namespace pm::shm
