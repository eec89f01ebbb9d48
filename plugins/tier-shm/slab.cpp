#include "slab.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace pm::shm {
namespace {

// Records are read back this many at a time (256 KiB).
constexpr std::uint32_t records_per_read = 4096;

std::uint32_t granules_of(const SlabOptions& options) {
  return static_cast<std::uint32_t>(options.bytes / SlabAllocator::granule_bytes);
}

Status not_found(const std::string& slab) {
  return {Code::not_found, "slab " + slab + " does not hold this object there"};
}

}  // namespace

Slab::Slab(const sdk::Host& host, const SlabOptions& options, ShmFile file, bool is_new)
    : host_(host),
      options_(options),
      data_offset_bytes_(slab_data_offset_bytes(granules_of(options))),
      file_(std::move(file)),
      allocator_(granules_of(options), is_new) {}

Result<std::unique_ptr<Slab>> Slab::open(const sdk::Host& host, const SlabOptions& options) {
  const SlabHeader header =
      make_slab_header(granules_of(options), options.instance_id, options.boot_id);
  auto found = ShmFile::open(options.name, O_RDWR);
  if (found.ok() && fits(*found, options, header)) {
    PM_TRY(found->set_mode(options.mode));
    std::unique_ptr<Slab> slab(new Slab(host, options, std::move(*found), false));
    PM_TRY(slab->restore());
    return slab;
  }
  if (!found.ok() && found.status().code() != Code::not_found) return found.status();
  if (found.ok()) {
    host.warn("slab " + options.name +
              " is of another boot, instance or size: its objects are lost, making a new one");
    ::shm_unlink(options.name.c_str());
  }
  auto made = ShmFile::create(options.name, options.mode);
  if (!made.ok()) return made.status();
  if (const Status status = lay_out(*made, options, header); !status.ok()) {
    ::shm_unlink(options.name.c_str());
    return status;
  }
  return std::unique_ptr<Slab>(new Slab(host, options, std::move(*made), true));
}

Slab::~Slab() {
  if (objects() == 0) ::shm_unlink(options_.name.c_str());
}

bool Slab::fits(const ShmFile& file, const SlabOptions& options, const SlabHeader& header) {
  const auto status = file.stat();
  const std::uint64_t size = header.data_offset_bytes + options.bytes;
  if (!status.ok() || static_cast<std::uint64_t>(status->st_size) != size) return false;
  SlabHeader there{};
  const auto count = file.read(0, &there, sizeof there);
  return count.ok() && *count == sizeof there && std::memcmp(&there, &header, sizeof there) == 0;
}

// The header comes last: a slab without one was never used.
Status Slab::lay_out(const ShmFile& file, const SlabOptions& options, const SlabHeader& header) {
  if (options.node != nullptr) {
    PM_TRY(options.node->bind(file, header.data_offset_bytes + options.bytes));
  }
  if (const Status status = file.reserve(header.data_offset_bytes + options.bytes, nullptr);
      !status.ok()) {
    return {status.code(), "slab_bytes cannot be had: " + status.message()};
  }
  return file.write(0, &header, sizeof header);
}

// Every block that the table claims stays taken until the host adopts or removes it.
Status Slab::restore() {
  std::vector<BlockRecord> records(std::min(records_per_read, allocator_.granules()));
  std::uint64_t refused = 0;
  for (std::uint32_t base = 0; base < allocator_.granules();) {
    const auto count = std::min<std::uint32_t>(static_cast<std::uint32_t>(records.size()),
                                               allocator_.granules() - base);
    const std::uint64_t bytes = count * sizeof(BlockRecord);
    const auto read = file_.read(slab_record_offset_bytes(base), records.data(), bytes);
    if (!read.ok()) return read.status();
    if (*read != bytes) return {Code::data_loss, "slab " + options_.name + " was shortened"};
    for (std::uint32_t i = 0; i < count; ++i) {
      if (records[i].state == BlockRecord::none) continue;
      if (!is_block(records[i]) ||
          !allocator_.restore(allocator_.tag_of(object_of(records[i])), base + i, records[i].length,
                              records[i].state == BlockRecord::sealed)) {
        ++refused;
        PM_TRY(write_record(base + i, BlockRecord{}));
      }
    }
    base += count;
  }
  if (refused > 0) {
    host_.error("slab " + options_.name + ": " + std::to_string(refused) +
                " records of its table make no sense and were dropped; a client wrote into it");
  }
  return {};
}

Status Slab::check_intact() const {
  if (!damaged_.load(std::memory_order_relaxed)) {
    const auto status = file_.stat();
    if (!status.ok()) return status.status();
    if (static_cast<std::uint64_t>(status->st_size) == mapping_bytes()) return {};
    if (!damaged_.exchange(true)) {
      host_.error("slab " + options_.name +
                  " was resized by a client: no more blocks are taken from it");
    }
  }
  return {Code::data_loss, "slab " + options_.name + " was resized by a client"};
}

Status Slab::write_record(std::uint32_t first, const BlockRecord& record) const {
  return file_.write(slab_record_offset_bytes(first), &record, sizeof record);
}

Result<SlabAllocator::Entry> Slab::find(const pm_object_id_t& object, std::uint32_t first) const {
  const std::lock_guard lock(mutex_);
  if (const auto entry = allocator_.find_at(first, allocator_.tag_of(object))) return *entry;
  return not_found(options_.name);
}

Result<std::uint32_t> Slab::allocate(const pm_object_id_t& object, std::uint64_t length,
                                     std::uint32_t owner_uid) {
  if (const Status status = check_intact(); !status.ok()) {
    return Status(Code::resource_exhausted, status.message());
  }
  const Tag tag = allocator_.tag_of(object);
  SlabAllocator::Block block;
  {
    const std::lock_guard lock(mutex_);
    if (allocator_.find(tag)) {
      return Status(Code::already_exists, "slab " + options_.name + " holds this object already");
    }
    const auto found = allocator_.allocate(tag, length, owner_uid);
    if (!found) {
      return Status(Code::resource_exhausted, "slab " + options_.name + " has no free run of " +
                                                  std::to_string(length) + " bytes");
    }
    block = *found;
  }
  Status status;
  if (block.needs_zeroing) {
    status = file_.write_zeros(block_offset_bytes(block.first),
                               std::uint64_t{block.granules} * SlabAllocator::granule_bytes);
  }
  if (status.ok()) {
    status = write_record(block.first,
                          make_block_record(object, length, owner_uid, BlockRecord::written));
  }
  if (status.ok()) return block.first;
  const std::lock_guard lock(mutex_);
  allocator_.release(block.first);
  return status;
}

Status Slab::adopt(const pm_object_id_t& object, std::uint32_t first, std::uint64_t length) const {
  const auto entry = find(object, first);
  if (!entry.ok()) return entry.status();
  PM_TRY(check_intact());
  if (entry->length != length) {
    return {Code::data_loss, "the object has " + std::to_string(entry->length) +
                                 " bytes, expected " + std::to_string(length)};
  }
  if (!entry->sealed) return {Code::data_loss, "the object was never sealed"};
  return {};
}

Status Slab::check_place(std::uint32_t first, std::uint64_t length) const {
  const std::uint64_t granules = options_.bytes / SlabAllocator::granule_bytes;
  const bool fits = first < granules && SlabAllocator::granules_for(length) <= granules - first;
  return fits ? Status() : not_found(options_.name);
}

Result<std::uint64_t> Slab::read(const pm_object_id_t& object, std::uint32_t first,
                                 std::uint64_t offset, void* target, std::uint64_t length) const {
  const auto entry = find(object, first);
  if (!entry.ok()) return entry.status();
  if (offset >= entry->length) return std::uint64_t{0};
  const std::uint64_t wanted = std::min(length, entry->length - offset);
  const auto count = file_.read(block_offset_bytes(first) + offset, target, wanted);
  if (count.ok() && *count != wanted) {
    return Status(Code::data_loss, "slab " + options_.name + " was shortened by a client");
  }
  return count;
}

Status Slab::write(const pm_object_id_t& object, std::uint32_t first, std::uint64_t offset,
                   const void* source, std::uint64_t length) const {
  const auto entry = find(object, first);
  if (!entry.ok()) return entry.status();
  if (entry->sealed) return {Code::failed_precondition, "the object is sealed"};
  if (offset > entry->length || length > entry->length - offset) {
    return {Code::out_of_range,
            "the write ends past the object's " + std::to_string(entry->length) + " bytes"};
  }
  PM_TRY(check_intact());
  return file_.write(block_offset_bytes(first) + offset, source, length);
}

Status Slab::seal(const pm_object_id_t& object, std::uint32_t first, std::uint64_t length) {
  const auto entry = find(object, first);
  if (!entry.ok()) return entry.status();
  if (entry->length != length) {
    return {Code::failed_precondition, "the object has " + std::to_string(entry->length) +
                                           " bytes, not " + std::to_string(length)};
  }
  if (const Status status = check_intact(); !status.ok()) {
    return {Code::failed_precondition, status.message()};
  }
  PM_TRY(write_record(first,
                      make_block_record(object, length, entry->owner_uid, BlockRecord::sealed)));
  const std::lock_guard lock(mutex_);
  allocator_.mark_sealed(first);
  return {};
}

Status Slab::remove(const pm_object_id_t& object, std::uint32_t first) {
  {
    const std::lock_guard lock(mutex_);
    if (!allocator_.find_at(first, allocator_.tag_of(object))) return not_found(options_.name);
    allocator_.mark_removing(first);
  }
  // The record goes before the block can be handed out again. A shortened slab has none to clear,
  // and must not grow again.
  Status status;
  if (check_intact().ok()) status = write_record(first, BlockRecord{});
  const std::lock_guard lock(mutex_);
  allocator_.release(first);
  return status;
}

Result<int> Slab::share(bool writable) const {
  PM_TRY(check_intact());
  auto file = ShmFile::open(options_.name, writable ? O_RDWR : O_RDONLY);
  if (!file.ok()) return file.status();
  const auto named = file->stat();
  if (!named.ok()) return named.status();
  const auto ours = file_.stat();
  if (!ours.ok()) return ours.status();
  if (named->st_ino != ours->st_ino || named->st_dev != ours->st_dev) {
    return Status(Code::data_loss, "slab " + options_.name + " was replaced by somebody else");
  }
  return file->hand_over();
}

bool Slab::holds(const pm_object_id_t& object) const {
  const std::lock_guard lock(mutex_);
  return allocator_.find(allocator_.tag_of(object)).has_value();
}

Status Slab::enumerate(const Visit& visit) const {
  std::vector<BlockRecord> records(std::min(records_per_read, allocator_.granules()));
  for (std::uint32_t base = 0; base < allocator_.granules();) {
    const auto count = std::min<std::uint32_t>(static_cast<std::uint32_t>(records.size()),
                                               allocator_.granules() - base);
    const auto read =
        file_.read(slab_record_offset_bytes(base), records.data(), count * sizeof(BlockRecord));
    if (!read.ok()) return read.status();
    const auto whole = static_cast<std::uint32_t>(*read / sizeof(BlockRecord));
    for (std::uint32_t i = 0; i < whole; ++i) {
      if (!is_block(records[i])) continue;
      // The record only says which object to ask the allocator about.
      const auto entry = find(object_of(records[i]), base + i);
      if (entry.ok() && !visit(object_of(records[i]), *entry)) return {};
    }
    if (whole < count) return check_intact();
    base += count;
  }
  return {};
}

std::uint64_t Slab::bytes_used() const {
  const std::lock_guard lock(mutex_);
  return std::uint64_t{allocator_.granules_used()} * SlabAllocator::granule_bytes;
}

std::uint64_t Slab::objects() const {
  const std::lock_guard lock(mutex_);
  return allocator_.blocks();
}

}  // namespace pm::shm
