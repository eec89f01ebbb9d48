#include "tier.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <pm/cpp/failpoint.hpp>

#include "walk.h"

namespace pm::disk {

namespace {

constexpr std::size_t cached_files_max = 32;
constexpr std::size_t unsealed_files_max = 1024;
constexpr std::uint64_t file_bytes_max = INT64_MAX - block_bytes;  // off_t is signed.

// How much of a read or write is done between two looks at the clock and at is_cancelled.
constexpr std::uint64_t uninterrupted_bytes = 8 * 1024 * 1024;

// A quarter of what the process may open at most.
std::size_t unsealed_files_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 64;
  return std::min<std::size_t>(unsealed_files_max, limit.rlim_cur / 4);
}

Status check_range(std::uint64_t offset, std::uint64_t length) {
  if (offset <= file_bytes_max && length <= file_bytes_max - offset) return {};
  return {Code::out_of_range, "offset " + std::to_string(offset) + " with length " +
                                  std::to_string(length) + " is past the end of any file"};
}

}  // namespace

DiskTier::DiskTier(const sdk::Host& host, const Options& options, std::unique_ptr<Root> root)
    : host_(host),
      options_(options),
      root_(std::move(root)),
      direct_(options.direct && root_->accepts_direct()),
      unsealed_(unsealed_files_limit()),
      files_(cached_files_max) {}

Result<std::unique_ptr<DiskTier>> DiskTier::open(const sdk::Host& host, const Options& options) {
  stop_failpoints();  // Those of an earlier tier in this process; opening a root syncs, too.
  const pm_host_identity_t* identity = host.identity();
  const std::string instance = identity == nullptr ? "" : identity->instance_id;
  auto root = Root::open(host, options.root, instance, options.file_mode);
  if (!root.ok()) return root.status();
  auto tier = std::unique_ptr<DiskTier>(new DiskTier(host, options, std::move(root).value()));
  if (options.direct && !tier->direct_)
    host.warn("the file system of " + tier->root_->path() +
              " refuses O_DIRECT; transfers go through the page cache");
  PM_TRY(tier->count_objects());
  auto ring = Ring::start(options.depth);
  if (ring.ok())
    tier->ring_ = std::move(ring).value();
  else
    host.warn("io_uring is not to be had (" + ring.status().message() +
              "); transfers run one at a time on workers");
  start_failpoints();
  return tier;
}

// Usage is what the medium holds, adopted or not: an orphan takes room until it is removed, and
// nothing has to be remembered for each object.
Status DiskTier::count_objects() {
  auto totals = walk(*root_, [this](const ObjectName& name, std::uint64_t length) {
    if (name.sealed) found_.add(name.object, length);
    return true;
  });
  if (!totals.ok()) return totals.status();
  found_.sort();
  objects_ = totals->objects;
  bytes_used_ = totals->bytes_charged;
  if (totals->strangers > 0)
    host_.warn(root_->path() + " holds " + std::to_string(totals->strangers) +
               " names that this tier did not make; they are left alone");
  return {};
}

pm_tier_info_t DiskTier::info() const {
  pm_tier_info_t info{};
  info.size = sizeof(info);
  info.traits = PM_TIER_KEEPS_BYTES | PM_TIER_SURVIVES_PROCESS | PM_TIER_SURVIVES_POWER |
                PM_TIER_HOST_ADDRESSABLE | PM_TIER_PARALLEL_RANGES | PM_TIER_SHARES_DESCRIPTORS;
  info.charge_granularity_bytes = block_bytes;
  info.inline_bytes_max = 0;
  info.alignment_bytes = block_bytes;
  info.chunk_bytes_preferred = chunk_bytes;
  info.capacity_bytes = options_.capacity_bytes;
  std::snprintf(info.fingerprint, sizeof(info.fingerprint), "disk:%s", root_->medium_id().c_str());
  return info;
}

pm_tier_usage_t DiskTier::usage() const {
  return {sizeof(pm_tier_usage_t), 0, bytes_used_, objects_};
}

Status DiskTier::reserve(std::uint64_t bytes) {
  std::uint64_t used = bytes_used_;
  do {
    if (bytes > options_.capacity_bytes || used > options_.capacity_bytes - bytes)
      return {Code::resource_exhausted,
              "root " + root_->path() + " holds " + std::to_string(used) + " of capacity_bytes " +
                  std::to_string(options_.capacity_bytes) + ", too much to take " +
                  std::to_string(bytes) + " more"};
  } while (!bytes_used_.compare_exchange_weak(used, used + bytes));
  ++objects_;
  return {};
}

void DiskTier::give_back(std::uint64_t bytes) {
  // Clamped: a file that somebody made longer must not bring the count below zero.
  std::uint64_t used = bytes_used_;
  while (!bytes_used_.compare_exchange_weak(used, used - std::min(used, bytes))) {
  }
}

void DiskTier::release(std::uint64_t bytes) {
  give_back(bytes);
  std::uint64_t objects = objects_;
  while (!objects_.compare_exchange_weak(objects, objects - std::min<std::uint64_t>(objects, 1))) {
  }
}

Status DiskTier::allocate(const pm_object_id_t& object, std::uint64_t length,
                          pm_allocation_t* allocation) {
  found_.drop();
  if (length == 0) return {Code::invalid_argument, "an object has at least 1 byte"};
  if (length > file_bytes_max)
    return {Code::resource_exhausted, std::to_string(length) + " bytes fit in no file"};
  if (unsealed_.contains(object))
    return {Code::already_exists, root_->absolute_path(object, false) + " exists"};
  const std::uint64_t charge = round_up_to_block(length);
  PM_TRY(reserve(charge));
  auto file = create_file(object, length);
  if (!file.ok()) {
    release(charge);
    return file.status();
  }
  unsealed_.add(object, {length, std::move(*file), {}});
  allocation->bytes_charged = charge;
  allocation->cookie = {};
  return {};
}

Result<std::shared_ptr<File>> DiskTier::create_file(const pm_object_id_t& object,
                                                    std::uint64_t length) {
  const std::string sealed_path = relative_path(object, true);
  const std::string path = relative_path(object, false);
  const std::string shown = root_->absolute_path(object, false);
  struct stat state {};
  if (::fstatat(root_->fd(), sealed_path.c_str(), &state, AT_SYMLINK_NOFOLLOW) == 0)
    return Status(Code::already_exists, root_->absolute_path(object, true) + " exists");

  const int flags = O_RDWR | O_CREAT | O_EXCL;
  Descriptor file(open_beneath(root_->fd(), path.c_str(), flags, options_.file_mode));
  if (!file && errno == ENOENT) {
    PM_TRY(root_->make_bucket(object));
    file = Descriptor(open_beneath(root_->fd(), path.c_str(), flags, options_.file_mode));
  }
  if (!file) return errno_status(errno, "cannot make " + shown);

  int error = ::fchmod(file.get(), options_.file_mode) == 0 ? 0 : errno;  // Past the umask.
  while (error == 0) {
    error = ::posix_fallocate(file.get(), 0, static_cast<off_t>(length));
    if (error != EINTR) break;
    error = 0;
  }
  if (error != 0) {
    ::unlinkat(root_->fd(), path.c_str(), 0);
    return errno_status(error, "cannot take " + std::to_string(length) + " bytes for " + shown);
  }
  return std::make_shared<File>(*root_, object, false, std::move(file), direct_);
}

Status DiskTier::missing(const pm_object_id_t& object) const {
  return {Code::not_found, root_->absolute_path(object, true) + " does not exist"};
}

Result<std::uint64_t> DiskTier::length_of_sealed(const pm_object_id_t& object) const {
  const std::string path = relative_path(object, true);
  Descriptor file(open_beneath(root_->fd(), path.c_str(), O_PATH));
  if (!file && errno == ENOENT) return missing(object);
  const std::string shown = root_->absolute_path(object, true);
  struct stat state {};
  if (!file || ::fstat(file.get(), &state) != 0)
    return Status(Code::data_loss, errno_status(errno, "cannot stat " + shown).message());
  if (!S_ISREG(state.st_mode)) return Status(Code::data_loss, shown + " is not a regular file");
  return static_cast<std::uint64_t>(state.st_size);
}

Status DiskTier::adopt(const pm_object_id_t& object, std::uint64_t length,
                       std::uint64_t* bytes_charged) {
  const auto known = found_.length_of(object);
  const auto found = known ? Result<std::uint64_t>(*known) : length_of_sealed(object);
  if (!found.ok()) return found.status();
  if (*found != length)
    return {Code::data_loss, root_->absolute_path(object, true) + " has " + std::to_string(*found) +
                                 " bytes and should have " + std::to_string(length)};
  *bytes_charged = round_up_to_block(length);
  return {};
}

// Asks no file system: an object is sealed unless it is known not to be.
Status DiskTier::locate(const pm_object_id_t& object, std::uint64_t length,
                        pm_location_t* location) const {
  const std::string path = root_->absolute_path(object, !unsealed_.contains(object));
  if (location->text == nullptr || path.size() >= location->text_capacity)
    return {Code::resource_exhausted,
            "the location needs a text of " + std::to_string(path.size() + 1) + " bytes"};
  location->kind = PM_LOCATION_FILE;
  location->offset_bytes = 0;
  location->mapping_bytes = length;
  location->handle_length = 0;
  path.copy(location->text, path.size());
  location->text[path.size()] = '\0';
  return {};
}

Result<std::shared_ptr<File>> DiskTier::file_to_read(const pm_object_id_t& object) {
  const auto unsealed = unsealed_.find(object);
  if (unsealed && unsealed->file) return unsealed->file;
  return files_.get(object,
                    [&] { return File::open(*root_, object, !unsealed.has_value(), direct_); });
}

Result<std::shared_ptr<File>> DiskTier::file_to_write(const pm_object_id_t& object,
                                                      std::uint64_t offset, std::uint64_t length) {
  const auto unsealed = unsealed_.find(object);
  if (!unsealed) {
    const bool absent = length_of_sealed(object).status().code() == Code::not_found;
    if (absent) return missing(object);
    return Status(Code::failed_precondition,
                  root_->absolute_path(object, true) + " is sealed, and not written again");
  }
  if (offset > unsealed->length || length > unsealed->length - offset)
    return Status(Code::out_of_range, "offset " + std::to_string(offset) + " with length " +
                                          std::to_string(length) + " goes past the " +
                                          std::to_string(unsealed->length) + " bytes of " +
                                          root_->absolute_path(object, false));
  if (unsealed->file) return unsealed->file;
  return files_.get(object, [&] { return File::open(*root_, object, false, direct_); });
}

Status DiskTier::move(const pm_call_context_t* context, File& file, bool is_write,
                      std::uint64_t offset, void* data, std::uint64_t length,
                      std::uint64_t* count) const {
  std::uint64_t total = 0;
  while (total < length) {
    if (context != nullptr && context->is_cancelled != nullptr && context->is_cancelled(context))
      return {Code::cancelled, "cancelled after " + std::to_string(total) + " bytes of " +
                                   std::to_string(length) + " of " + file.shown()};
    const std::uint64_t step = std::min(length - total, uninterrupted_bytes);
    auto moved = move_range(file, static_cast<char*>(data) + total, offset + total, step, is_write);
    if (!moved.ok()) return moved.status();
    total += *moved;
    if (*moved < step) break;
  }
  *count = total;
  return {};
}

Status DiskTier::read(const pm_call_context_t* context, const pm_object_id_t& object,
                      std::uint64_t offset, void* target, std::uint64_t length,
                      std::uint64_t* count) {
  *count = 0;
  PM_TRY(check_range(offset, length));
  auto file = file_to_read(object);
  if (!file.ok()) return file.status();
  return move(context, **file, false, offset, target, length, count);
}

Status DiskTier::write(const pm_call_context_t* context, const pm_object_id_t& object,
                       std::uint64_t offset, const void* source, std::uint64_t length) {
  auto file = file_to_write(object, offset, length);
  if (!file.ok()) return file.status();
  std::uint64_t count = 0;
  return move(context, **file, true, offset, const_cast<void*>(source), length, &count);
}

Status DiskTier::submit(const pm_transfer_t& transfer) {
  if (transfer.on_done == nullptr || (transfer.buffer == nullptr && transfer.length > 0))
    return {Code::invalid_argument, "a transfer needs a buffer and on_done"};
  if (transfer.length > chunk_bytes)
    return {Code::invalid_argument, "a transfer of " + std::to_string(transfer.length) +
                                        " bytes; the most is chunk_bytes_preferred, " +
                                        std::to_string(chunk_bytes)};
  PM_TRY(check_range(transfer.offset, transfer.length));
  const bool is_write = transfer.is_write != 0;
  auto file = is_write ? file_to_write(transfer.object, transfer.offset, transfer.length)
                       : file_to_read(transfer.object);
  if (!file.ok()) return file.status();
  const bool direct = (*file)->direct() >= 0;
  const Pieces pieces = split(transfer.buffer, transfer.offset, transfer.length, direct);
  if (!ring_->submit({std::move(*file), pieces, is_write, transfer.on_done, transfer.data}))
    return {Code::resource_exhausted, "too many transfers are waiting; try again when one ends"};
  return {};
}

Status DiskTier::check_unsealed_file(int bucket, const pm_object_id_t& object, int fd,
                                     std::uint64_t length) const {
  const std::string shown = root_->absolute_path(object, false);
  struct stat opened {};
  struct stat named {};
  if (::fstat(fd, &opened) != 0) return errno_status(errno, "cannot stat " + shown);
  if (::fstatat(bucket, file_name(object, false).c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno != ENOENT) return errno_status(errno, "cannot stat " + shown);
    return {Code::failed_precondition, shown + " was removed by somebody else"};
  }
  if (opened.st_ino != named.st_ino || opened.st_dev != named.st_dev)
    return {Code::failed_precondition, shown + " was replaced by somebody else"};
  if (static_cast<std::uint64_t>(opened.st_size) != length)
    return {Code::failed_precondition, shown + " has " + std::to_string(opened.st_size) +
                                           " bytes and not " + std::to_string(length)};
  return {};
}

Status DiskTier::seal(const pm_object_id_t& object, std::uint64_t length) {
  const auto unsealed = unsealed_.find(object);
  if (unsealed && !unsealed->sync_failure.empty())
    return {Code::data_loss, unsealed->sync_failure, "FSYNC_FAILED"};
  if (unsealed && unsealed->length != length)
    return {Code::invalid_argument, "length " + std::to_string(length) + ", but " +
                                        std::to_string(unsealed->length) + " was allocated"};
  auto bucket = root_->open_bucket(object);
  if (!bucket.ok()) return bucket.status();
  auto file = unsealed && unsealed->file ? Result(unsealed->file)
                                         : File::open(*root_, object, false, direct_);
  if (!file.ok()) {
    const auto sealed = length_of_sealed(object);
    if (!sealed.ok() || *sealed != length) return file.status();
    return seal_again(object, *bucket);
  }
  PM_TRY(check_unsealed_file(bucket->get(), object, (*file)->cached(), length));
  const Status status = make_sealed(object, *bucket, (*file)->cached());
  files_.drop(object);
  if (status.ok()) unsealed_.erase(object);
  if (status.code() == Code::data_loss)
    unsealed_.set_sync_failure(object, length, status.message());
  return status;
}

// Whoever asks did not hear of the first time; who still had the file open may have written on.
Status DiskTier::seal_again(const pm_object_id_t& object, const Descriptor& bucket) {
  auto file = File::open(*root_, object, true, direct_);
  if (!file.ok()) return file.status();
  PM_TRY(sync((*file)->cached(), root_->absolute_path(object, true)));
  PM_TRY(root_->sync_bucket_names(object));
  return sync(bucket.get(), root_->path() + "/" + bucket_name(bucket_of(object)));
}

Status DiskTier::set_length(const pm_object_id_t& object, std::uint64_t allocated,
                            std::uint64_t length) {
  const auto unsealed = unsealed_.find(object);
  // Who asks again did not hear of the first time, after which it may even have been sealed.
  if (unsealed && unsealed->length == length && length != allocated) return {};
  if (!unsealed) {
    const auto sealed = length_of_sealed(object);
    return sealed.ok() && *sealed == length ? Status() : missing(object);
  }
  if (unsealed->length != allocated || length == 0 || length > allocated)
    return {Code::invalid_argument, "from " + std::to_string(allocated) + " to " +
                                        std::to_string(length) + " bytes, but " +
                                        std::to_string(unsealed->length) + " were allocated"};
  auto bucket = root_->open_bucket(object);
  if (!bucket.ok()) return bucket.status();
  auto file = unsealed->file ? Result(unsealed->file) : File::open(*root_, object, false, direct_);
  if (!file.ok()) return file.status();
  PM_TRY(check_unsealed_file(bucket->get(), object, (*file)->cached(), length));
  unsealed_.set_length(object, length);
  give_back(round_up_to_block(allocated) - round_up_to_block(length));
  return {};
}

// The order is what makes it durable: the bytes, then the names of the directories above, then the
// final name, then the directory that holds it.
Status DiskTier::make_sealed(const pm_object_id_t& object, const Descriptor& bucket, int fd) {
  const std::string shown = root_->absolute_path(object, false);
  // Who opens it from now on can only read.
  if (::fchmod(fd, options_.file_mode & 0444) != 0)
    return errno_status(errno, "cannot change the mode of " + shown);
  PM_TRY(sync(fd, shown));
  PM_TRY(root_->sync_bucket_names(object));
  const std::string part = file_name(object, false);
  const std::string name = file_name(object, true);
  PM_FAILPOINT("disk.before_rename");
  int renamed =
      ::renameat2(bucket.get(), part.c_str(), bucket.get(), name.c_str(), RENAME_NOREPLACE);
  if (renamed != 0 && errno == EINVAL)  // A file system that cannot promise not to replace.
    renamed = ::renameat(bucket.get(), part.c_str(), bucket.get(), name.c_str());
  if (renamed != 0) return errno_status(errno, "cannot rename " + shown + " to " + name);
  PM_FAILPOINT("disk.after_rename");
  return sync(bucket.get(), root_->path() + "/" + bucket_name(bucket_of(object)));
}

Status DiskTier::remove(const pm_object_id_t& object) {
  found_.drop();
  const auto unsealed = unsealed_.find(object);
  files_.drop(object);
  bool found = false;
  auto bucket = root_->open_bucket(object);
  if (!bucket.ok() && bucket.status().code() != Code::not_found) return bucket.status();
  for (const bool sealed : {true, false}) {
    if (!bucket.ok()) break;
    const std::string name = file_name(object, sealed);
    const std::string shown = root_->absolute_path(object, sealed);
    struct stat state {};
    if (::fstatat(bucket->get(), name.c_str(), &state, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;
      return errno_status(errno, "cannot stat " + shown);
    }
    if (!S_ISREG(state.st_mode))
      return {Code::failed_precondition,
              shown + " is not a regular file, so this tier did not make it; move it away"};
    if (::unlinkat(bucket->get(), name.c_str(), 0) != 0) {
      if (errno == ENOENT) continue;
      return errno_status(errno, "cannot remove " + shown);
    }
    found = true;
    if (!unsealed) release(round_up_to_block(static_cast<std::uint64_t>(state.st_size)));
  }
  if (unsealed) {
    unsealed_.erase(object);
    release(round_up_to_block(unsealed->length));
  }
  return found ? Status() : missing(object);
}

Status DiskTier::enumerate(const pm_call_context_t* context, pm_on_tier_object_t on_object,
                           void* data) {
  found_.drop();
  bool cancelled = false;
  auto totals = walk(*root_, [&](const ObjectName& name, std::uint64_t length) {
    cancelled =
        context != nullptr && context->is_cancelled != nullptr && context->is_cancelled(context);
    if (cancelled) return false;
    pm_tier_object_t found{};
    found.size = sizeof(found);
    found.sealed = name.sealed ? 1 : 0;
    found.object = name.object;
    found.length = length;
    found.bytes_charged = round_up_to_block(length);
    return on_object(data, &found);
  });
  if (!totals.ok()) return totals.status();
  if (cancelled) return {Code::cancelled, "the enumeration of " + root_->path()};
  if (totals->strangers > 0)
    host_.warn("passed over " + std::to_string(totals->strangers) + " names in " + root_->path() +
               " that this tier did not make");
  return {};
}

}  // namespace pm::disk
