#include "mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <limits>
#include <utility>

namespace pm::client::detail {
namespace {

struct Opened {
  FileDescriptor file;
  struct stat info;
};

Status bad_descriptor(const std::string& what) {
  return {Code::internal, "the server's descriptor is refused: " + what, "BAD_DESCRIPTOR"};
}

Status system_error(int error, const std::string& what) {
  const std::string text = what + ": " + std::strerror(error);  // NOLINT(concurrency-mt-unsafe)
  switch (error) {
    case ENOENT:
      return {Code::failed_precondition,
              text + "; the bytes are not on this machine: is the host on another one?",
              "NOT_REACHABLE"};
    case EACCES:
    case EPERM:
      return {Code::permission_denied, text + "; the bytes belong to another user",
              "NOT_REACHABLE"};
    case EMFILE:
    case ENFILE:
    case ENOMEM: return {Code::resource_exhausted, text};
    default: return {Code::internal, text};
  }
}

bool may_be_asked_for(int error) { return error == ENOENT || error == EACCES || error == EPERM; }

// By its name, or else by a descriptor from the host, where it gives any.
Result<FileDescriptor> open_place(bool is_memory, const std::string& name, Access access,
                                  const Opener& opener) {
  if (name.empty()) return opener();
  const int mode = access == Access::write ? O_RDWR : O_RDONLY;
  // O_NONBLOCK: a name that turns out to be a pipe must not hang the caller.
  FileDescriptor file(is_memory ? ::shm_open(name.c_str(), mode | O_NONBLOCK, 0)
                                : ::open(name.c_str(), mode | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() >= 0) return file;
  const int error = errno;
  const Status failed = system_error(error, "cannot open " + name);
  if (!opener || !may_be_asked_for(error)) return failed;
  auto given = opener();
  if (given.ok()) return given;
  return Status(failed.code(),
                failed.message() + "; the host gives no descriptor: " + given.status().to_string(),
                failed.reason());
}

Result<Opened> open_checked(bool is_memory, const std::string& name, std::uint64_t end_bytes,
                            Access access, const Opener& opener) {
  auto file = open_place(is_memory, name, access, opener);
  if (!file) return file.status();
  struct stat info {};
  if (::fstat(file->get(), &info) != 0) return system_error(errno, "cannot stat " + name);
  if (!S_ISREG(info.st_mode)) return bad_descriptor(name + " is not a regular file");
  if (static_cast<std::uint64_t>(info.st_size) < end_bytes) {
    // Touching what lies past the end would be a SIGBUS.
    return Status(Code::data_loss,
                  name + " holds " + std::to_string(info.st_size) + " bytes where " +
                      std::to_string(end_bytes) + " are needed",
                  "TRUNCATED");
  }
  return Opened{*std::move(file), info};
}

Result<std::shared_ptr<Mapping>> map_range(const Opened& opened, const std::string& name,
                                           std::uint64_t offset_bytes, std::uint64_t length_bytes,
                                           Access access, bool populate) {
  const int protection = access == Access::write ? PROT_READ | PROT_WRITE : PROT_READ;
  const int flags = MAP_SHARED | (populate ? MAP_POPULATE : 0);
  void* base = ::mmap(nullptr, length_bytes, protection, flags, opened.file.get(),
                      static_cast<off_t>(offset_bytes));
  if (base == MAP_FAILED) return system_error(errno, "cannot map " + name);
  return std::make_shared<Mapping>(base, length_bytes, opened.info.st_dev, opened.info.st_ino);
}

// Where the payload ends in its object, or why that cannot be.
Result<std::uint64_t> checked_end(std::uint64_t offset_bytes, std::uint64_t length_bytes,
                                  std::uint64_t size_bytes) {
  constexpr auto end_max = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
  if (size_bytes == 0) return bad_descriptor("it shows no bytes");
  if (length_bytes < size_bytes) {
    return bad_descriptor("it shows " + std::to_string(length_bytes) + " bytes of a payload of " +
                          std::to_string(size_bytes));
  }
  if (offset_bytes > end_max || length_bytes > end_max - offset_bytes) {
    return bad_descriptor("offset " + std::to_string(offset_bytes) + " plus length " +
                          std::to_string(length_bytes) + " is beyond what a file can hold");
  }
  return offset_bytes + length_bytes;
}

std::uint64_t page_bytes() noexcept {
  static const auto bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

std::uint64_t page_floor(std::uint64_t bytes) noexcept {
  return bytes / page_bytes() * page_bytes();
}

Result<MappedBytes> map_part(const Opened& opened, const std::string& name,
                             std::uint64_t offset_bytes, std::uint64_t size_bytes, Access access,
                             bool populate) {
  const std::uint64_t start = page_floor(offset_bytes);
  const std::uint64_t lead = offset_bytes - start;
  auto mapping = map_range(opened, name, start, lead + size_bytes, access, populate);
  if (!mapping) return mapping.status();
  std::byte* first = (*mapping)->base() + lead;
  return MappedBytes{*std::move(mapping), {first, size_bytes}};
}

Result<MappedBytes> map_file(const Location& location, std::uint64_t size_bytes, Access access,
                             const Opener& opener) {
  const bool is_nameless = location.name.empty() && opener;
  if (!is_nameless &&
      (!location.name.starts_with('/') || location.name.find('\0') != std::string::npos)) {
    // Relative to what? Opening it here would touch another file than the host's.
    return bad_descriptor("path '" + location.name + "' is not absolute");
  }
  const auto end = checked_end(location.offset_bytes, location.length_bytes, size_bytes);
  if (!end) return end.status();
  auto opened = open_checked(false, location.name, *end, access, opener);
  if (!opened) return opened.status();
  return map_part(*opened, location.name, location.offset_bytes, size_bytes, access, false);
}

bool is_shm_name(const std::string& name) noexcept {
  return name.size() >= 2 && name.size() <= NAME_MAX && name[0] == '/' &&
         name.find('/', 1) == std::string::npos && name.find('\0') == std::string::npos;
}

bool is_slab(const Location& location, std::uint64_t end_bytes) noexcept {
  if (location.mapping_bytes == 0) return false;
  if (location.slab != 0 || location.block_index != 0 || location.offset_bytes != 0) return true;
  return location.mapping_bytes > page_floor(end_bytes - 1) + page_bytes();
}

}  // namespace

Mapping::~Mapping() { ::munmap(base_, length_bytes_); }

Result<MappedBytes> Mapper::map(const Descriptor& descriptor, std::uint64_t size_bytes,
                                Access access, const Opener& opener) {
  const Location& location = descriptor.location;
  if (location.kind == LocationKind::memory) {
    return map_memory(location, size_bytes, access, opener);
  }
  if (location.kind == LocationKind::file) return map_file(location, size_bytes, access, opener);
  return Status(Code::unimplemented,
                "a payload on tier " + tier_name(descriptor.tier) +
                    " has no memory or file to map; use its descriptor",
                "NOT_MAPPABLE");
}

Result<MappedBytes> Mapper::map_memory(const Location& location, std::uint64_t size_bytes,
                                       Access access, const Opener& opener) {
  const std::string& name = location.name;
  const bool is_nameless = name.empty() && opener;
  if (name.empty() && !opener) {
    return Status(Code::failed_precondition,
                  "the payload's memory has no name; connect to the host's local socket, which "
                  "gives descriptors",
                  "NOT_REACHABLE");
  }
  if (!is_nameless && !is_shm_name(name)) {
    return bad_descriptor("'" + name + "' is not a name for shm_open");
  }
  const auto end = checked_end(location.offset_bytes, location.length_bytes, size_bytes);
  if (!end) return end.status();
  const bool slab = is_slab(location, *end);
  if (slab && location.mapping_bytes < *end) {
    return bad_descriptor("the payload ends at " + std::to_string(*end) + " in a mapping of " +
                          std::to_string(location.mapping_bytes) + " bytes");
  }
  const std::uint64_t needed = slab ? location.mapping_bytes : *end;
  auto opened = open_checked(true, name, needed, access, opener);
  if (!opened) return opened.status();
  // The host has taken the room already: populating makes no pages, it saves a fault for each.
  if (!slab) return map_part(*opened, name, location.offset_bytes, size_bytes, access, true);

  const std::lock_guard lock(mutex_);
  std::shared_ptr<Mapping>& cached = slabs_[{name, needed, access}];
  // A host that lost its slabs may make new ones under the old names; the inode tells.
  if (!cached || !cached->shows(opened->info.st_dev, opened->info.st_ino)) {
    auto mapping = map_range(*opened, name, 0, needed, access, true);
    if (!mapping) return mapping.status();
    cached = *std::move(mapping);
  }
  return MappedBytes{cached, {cached->base() + location.offset_bytes, size_bytes}};
}

}  // namespace pm::client::detail
