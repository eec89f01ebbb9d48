#include "sealed.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace pm::shm {
namespace {

constexpr int length_seals = F_SEAL_SHRINK | F_SEAL_GROW;
constexpr int all_seals = length_seals | F_SEAL_WRITE | F_SEAL_SEAL;
constexpr mode_t writer_mode = 0600;
constexpr mode_t reader_mode = 0400;

std::uint64_t length_of(const struct stat& status) {
  return static_cast<std::uint64_t>(status.st_size);
}

// Its pages are all there.
bool has_room(const struct stat& status) {
  return static_cast<std::uint64_t>(status.st_blocks) * 512 >= length_of(status);
}

// A memfd is in no file system that is ever full. So that they cannot take all memory of the
// machine, they have to fit into what /dev/shm has left, which operators limit.
std::uint64_t free_shared_memory() {
  struct statvfs file_system {};
  if (::statvfs("/dev/shm", &file_system) != 0 || file_system.f_blocks == 0) return UINT64_MAX;
  return std::uint64_t{file_system.f_bavail} * file_system.f_frsize;
}

Result<bool> is_sealed(const ShmFile& file) {
  const auto seals = file.seals();
  if (!seals.ok()) return seals.status();
  return (*seals & F_SEAL_WRITE) != 0;
}

}  // namespace

SealedObjects::Key SealedObjects::key_of(const pm_object_id_t& object) {
  static_assert(sizeof object == sizeof object.payload + sizeof object.generation);
  Key key;
  std::memcpy(key.data(), &object, sizeof object);
  return key;
}

Result<SealedObjects::File> SealedObjects::find(const pm_object_id_t& object) const {
  const std::lock_guard lock(mutex_);
  const auto found = files_.find(key_of(object));
  if (found != files_.end() && found->second != nullptr) return found->second;
  return Status(Code::not_found, "there is no sealed object " + names_.segment(object).substr(1) +
                                     "; those of an earlier host ended with it");
}

Status SealedObjects::allocate(const pm_call_context_t* context, const pm_object_id_t& object,
                               std::uint64_t length, bool host_writes) {
  const Key key = key_of(object);
  PM_TRY(take(key, length));
  auto made = make(context, object, length, host_writes);
  if (!made.ok()) {
    give_back(key, length);
    return made.status();
  }
  auto file = std::make_shared<const ShmFile>(*std::move(made));
  const std::lock_guard lock(mutex_);
  files_[key] = std::move(file);
  return {};
}

Status SealedObjects::take(const Key& key, std::uint64_t length) {
  const std::uint64_t free = free_shared_memory();
  const std::lock_guard lock(mutex_);
  if (files_.contains(key)) {
    return {Code::already_exists, "there is a sealed object of this id already"};
  }
  if (files_.size() >= count_max_) {
    return {Code::resource_exhausted,
            "there are " + std::to_string(files_.size()) +
                " objects of the sealed layout, each of which holds a descriptor of the host; "
                "raise sealed_max, or use another layout"};
  }
  if (bytes_ > free || length > free - bytes_) {
    return {Code::resource_exhausted, "no room for " + std::to_string(length) +
                                          " bytes: /dev/shm has " + std::to_string(free) +
                                          " left, and sealed objects take " +
                                          std::to_string(bytes_) + " beside it"};
  }
  files_.emplace(key, nullptr);
  bytes_ += length;
  return {};
}

void SealedObjects::give_back(const Key& key, std::uint64_t length) {
  const std::lock_guard lock(mutex_);
  if (files_.erase(key) != 0) bytes_ -= length;
}

Result<ShmFile> SealedObjects::make(const pm_call_context_t* context, const pm_object_id_t& object,
                                    std::uint64_t length, bool host_writes) const {
  auto file = ShmFile::create_nameless(names_.segment(object).substr(1), writer_mode);
  if (!file.ok()) return file;
  if (node_ != nullptr) PM_TRY(node_->bind(*file, length));
  PM_TRY(host_writes ? file->set_length(length) : file->reserve(length, context));
  const int refused = file->add_seals(length_seals);
  if (refused != 0) return errno_status(refused, "cannot fix the length of a memfd");
  return file;
}

Result<std::uint64_t> SealedObjects::read(const pm_object_id_t& object, std::uint64_t offset,
                                          void* target, std::uint64_t length) const {
  const auto file = find(object);
  if (!file.ok()) return file.status();
  return (*file)->read(offset, target, length);
}

Status SealedObjects::write(const pm_object_id_t& object, std::uint64_t offset, const void* source,
                            std::uint64_t length) const {
  const auto file = find(object);
  if (!file.ok()) return file.status();
  const auto sealed = is_sealed(**file);
  if (!sealed.ok()) return sealed.status();
  if (*sealed) return {Code::failed_precondition, "the object is sealed"};
  const auto status = (*file)->stat();
  if (!status.ok()) return status.status();
  const std::uint64_t there = length_of(*status);
  if (offset > there || length > there - offset) {
    return {Code::out_of_range,
            "the write ends past the " + std::to_string(there) + " bytes of the object"};
  }
  return (*file)->write(offset, source, length);
}

Status SealedObjects::seal(const pm_object_id_t& object, std::uint64_t length) const {
  const auto found = find(object);
  if (!found.ok()) return found.status();
  const ShmFile& file = **found;
  const int refused = file.add_seals(all_seals);
  if (refused == EBUSY) {
    return {Code::failed_precondition,
            "a process still maps the object for writing, or the kernel still reads or writes its "
            "pages for one; unmap it everywhere, also in forked children, then ask again"};
  }
  if (refused != 0 && refused != EPERM) return errno_status(refused, "cannot seal a memfd");
  const auto sealed = is_sealed(file);
  if (!sealed.ok()) return sealed.status();
  if (!*sealed) {
    return {Code::failed_precondition,
            "its writer has closed the object against seals (F_SEAL_SEAL); it can only be deleted"};
  }
  PM_TRY(file.set_mode(reader_mode));
  const auto status = file.stat();
  if (!status.ok()) return status.status();
  if (length_of(*status) != length) {
    return {Code::failed_precondition, "the object has " + std::to_string(length_of(*status)) +
                                           " bytes, expected " + std::to_string(length)};
  }
  // A writer may have given room back. Whoever maps a hole could die of SIGBUS for want of memory.
  return has_room(*status) ? Status() : file.reserve(length, nullptr);
}

Status SealedObjects::remove(const pm_object_id_t& object) {
  const auto file = find(object);  // Closed behind the lock: giving pages back takes time.
  if (!file.ok()) return file.status();
  const auto status = (*file)->stat();
  if (!status.ok()) return status.status();
  give_back(key_of(object), length_of(*status));
  return {};
}

bool SealedObjects::holds(const pm_object_id_t& object) const {
  const std::lock_guard lock(mutex_);
  return files_.contains(key_of(object));
}

Result<int> SealedObjects::share(const pm_object_id_t& object, bool writable) const {
  const auto file = find(object);
  if (!file.ok()) return file.status();
  const auto sealed = is_sealed(**file);
  if (!sealed.ok()) return sealed.status();
  if (*sealed == writable) {
    return Status(Code::failed_precondition,
                  writable ? "the object is sealed" : "the object is not sealed yet");
  }
  return (*file)->open_again(writable ? O_RDWR : O_RDONLY);
}

Status SealedObjects::enumerate(const std::function<bool(const Found&)>& visit) const {
  std::vector<std::pair<Key, File>> all;
  {
    const std::lock_guard lock(mutex_);
    all.assign(files_.begin(), files_.end());
  }
  for (const auto& [key, file] : all) {
    if (file == nullptr) continue;
    Found found{};
    std::memcpy(&found.object, key.data(), key.size());
    const auto sealed = is_sealed(*file);
    if (!sealed.ok()) return sealed.status();
    const auto status = file->stat();
    if (!status.ok()) return status.status();
    found.length = length_of(*status);
    found.sealed = *sealed;
    if (!visit(found)) break;
  }
  return {};
}

}  // namespace pm::shm
