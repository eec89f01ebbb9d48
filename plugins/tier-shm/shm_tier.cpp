#include "shm_tier.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <set>

namespace pm::shm {
namespace {

constexpr std::uint64_t granule = SlabAllocator::granule_bytes;
// Slab 0 in a location means a segment, as in the contract.
constexpr std::uint32_t slab_number = 1;

std::uint64_t round_up(std::uint64_t length) { return (length + granule - 1) / granule * granule; }

// Cookies. A segment: {1}. A block: {2, slab, first granule (4 bytes, little-endian)}.
constexpr std::uint8_t cookie_segment = 1;
constexpr std::uint8_t cookie_block = 2;

pm_cookie_t segment_cookie() {
  pm_cookie_t cookie{};
  cookie.length = 1;
  cookie.bytes[0] = cookie_segment;
  return cookie;
}

pm_cookie_t block_cookie(std::uint32_t first) {
  pm_cookie_t cookie{};
  cookie.length = 6;
  cookie.bytes[0] = cookie_block;
  cookie.bytes[1] = slab_number;
  for (int i = 0; i < 4; ++i) cookie.bytes[2 + i] = static_cast<std::uint8_t>(first >> (8 * i));
  return cookie;
}

// Two instances of one host with one prefix would take each other's segments for orphans.
std::mutex claims_mutex;
std::set<std::string>& claims() {
  static std::set<std::string> names;
  return names;
}

// Not below zero: a client may have shortened a segment before it was counted at start.
void subtract(std::atomic<std::uint64_t>& counter, std::uint64_t less) {
  std::uint64_t now = counter.load();
  while (!counter.compare_exchange_weak(now, now - std::min(now, less))) {
  }
}

}  // namespace

Result<std::unique_ptr<ShmTier>> ShmTier::open(const sdk::Host& host, const sdk::Config& config) {
  const pm_host_identity_t* identity = host.identity();
  if (identity == nullptr) {
    return Status(Code::failed_precondition,
                  "the host has no " PM_HOST_IDENTITY ", which the names of segments are made of");
  }
  Options options{};
  options.capacity_bytes = config.number("capacity_bytes");
  options.slab_bytes = config.number("slab_bytes") / granule * granule;
  options.mode = static_cast<mode_t>(std::stoul(config.text("mode"), nullptr, 8));
  options.boot_id = identity->boot_id;
  if (options.slab_bytes > options.capacity_bytes) {
    return Status(Code::invalid_argument,
                  "slab_bytes is larger than capacity_bytes, of which it "
                  "is a part; make it smaller");
  }
  if (config.has("numa_node")) {
    auto node = NumaNode::find(config.number("numa_node"));
    if (!node.ok()) return node.status();
    options.node = std::move(*node);
  }
  if (options.slab_bytes / granule > SlabAllocator::granules_max) {
    return Status(Code::invalid_argument, "slab_bytes is larger than 8 TiB; make it smaller");
  }
  std::unique_ptr<ShmTier> tier(
      new ShmTier(host, options, Names(config.text("prefix"), identity->instance_id)));
  PM_TRY(tier->start(identity->instance_id));
  return tier;
}

ShmTier::~ShmTier() {
  const std::lock_guard lock(claims_mutex);
  claims().erase(claimed_);
}

Status ShmTier::start(const std::string& instance_id) {
  const std::string& stem = segments_.names().stem();
  {
    const std::lock_guard lock(claims_mutex);
    if (!claims().insert(stem).second) {
      return {Code::already_exists, "another tier uses the names /dev/shm/" + stem +
                                        "*; give each shm tier a prefix of its own"};
    }
    claimed_ = stem;
  }
  warn_when_the_file_system_is_smaller();
  PM_TRY(start_slab(instance_id));
  return segments_.enumerate([this](const Segments::Found& found) {
    segment_bytes_ += round_up(found.length);
    ++segment_count_;
    return true;
  });
}

Status ShmTier::start_slab(const std::string& instance_id) {
  SlabOptions slab;
  slab.name = segments_.names().slab(slab_number);
  if (options_.slab_bytes == 0) {
    if (const auto left = ShmFile::open(slab.name, O_RDONLY); left.ok()) {
      host_.warn("slab " + slab.name + " is left from a configuration with slab_bytes: removed");
      ::shm_unlink(slab.name.c_str());
    }
    return {};
  }
  slab.instance_id = instance_id;
  slab.boot_id = options_.boot_id;
  slab.bytes = options_.slab_bytes;
  slab.mode = options_.mode;
  slab.node = options_.node;
  auto opened = Slab::open(host_, slab);
  if (!opened.ok()) return opened.status();
  slab_ = std::move(*opened);
  return {};
}

void ShmTier::visit_facts(pm_on_tier_fact_t on_fact, void* data) const {
  if (options_.node == nullptr) return;
  on_fact(data, PM_TIER_FACT_NUMA_NODE, static_cast<std::int64_t>(options_.node->number()));
}

void ShmTier::warn_when_the_file_system_is_smaller() const {
  struct statvfs file_system {};
  if (::statvfs("/dev/shm", &file_system) != 0 || file_system.f_blocks == 0) return;
  const std::uint64_t there = file_system.f_blocks * file_system.f_frsize;
  if (there >= options_.capacity_bytes) return;
  host_.warn("capacity_bytes is " + std::to_string(options_.capacity_bytes) +
             ", but /dev/shm has only " + std::to_string(there) + " bytes");
}

void ShmTier::info(pm_tier_info_t& info) const {
  info.traits = PM_TIER_KEEPS_BYTES | PM_TIER_SURVIVES_PROCESS | PM_TIER_HOST_ADDRESSABLE |
                PM_TIER_PARALLEL_RANGES | PM_TIER_SHARES_DESCRIPTORS;
  info.charge_granularity_bytes = granule;
  info.inline_bytes_max = 1 << 20;
  info.alignment_bytes = granule;
  info.chunk_bytes_preferred = 1 << 20;
  info.capacity_bytes = options_.capacity_bytes;
  const std::string fingerprint = "shm:" + options_.boot_id;
  std::memcpy(info.fingerprint, fingerprint.data(),
              std::min(fingerprint.size(), sizeof info.fingerprint - 1));
}

void ShmTier::usage(pm_tier_usage_t& usage) const {
  usage.bytes_used = segment_bytes_.load() + (slab_ ? slab_->bytes_used() : 0);
  usage.objects = segment_count_.load() + (slab_ ? slab_->objects() : 0);
}

Status ShmTier::allocate(const pm_call_context_t* context, const pm_object_id_t& object,
                         std::uint64_t length, const pm_allocate_options_t& options,
                         pm_allocation_t& allocation) {
  if (length == 0) return {Code::invalid_argument, "an object has at least 1 byte"};
  if (length > options_.capacity_bytes) {
    return {Code::resource_exhausted, "the object is larger than the tier's capacity_bytes"};
  }
  allocation.bytes_charged = round_up(length);
  if (slab_ && (options.flags & PM_ALLOCATE_SLAB) != 0) {
    // Spares a look into the file system where all is in the slab.
    if (segment_count_.load() != 0 && segments_.holds(object)) {
      return {Code::already_exists, "a segment holds this object already"};
    }
    const auto first = slab_->allocate(object, length, options.owner_uid);
    if (first.ok()) {
      allocation.cookie = block_cookie(*first);
      return {};
    }
    if (first.status().code() != Code::resource_exhausted) return first.status();
  } else if (slab_ && slab_->holds(object)) {
    return {Code::already_exists, "a slab holds this object already"};
  }
  allocation.cookie = segment_cookie();
  return allocate_segment(context, object, length, (options.flags & PM_ALLOCATE_HOST_WRITES) != 0);
}

Status ShmTier::allocate_segment(const pm_call_context_t* context, const pm_object_id_t& object,
                                 std::uint64_t length, bool host_writes) {
  const std::uint64_t room = options_.capacity_bytes - options_.slab_bytes;
  const std::uint64_t charge = round_up(length);
  std::uint64_t used = segment_bytes_.load();
  do {
    if (used > room || charge > room - used) {
      return {Code::resource_exhausted, "segments use " + std::to_string(used) + " of " +
                                            std::to_string(room) + " bytes; " +
                                            std::to_string(charge) + " more do not fit"};
    }
  } while (!segment_bytes_.compare_exchange_weak(used, used + charge));
  Status status = segments_.allocate(context, object, length, host_writes);
  if (status.ok()) {
    ++segment_count_;
  } else {
    segment_bytes_ -= charge;
  }
  return status;
}

Result<std::optional<std::uint32_t>> ShmTier::block_of(const pm_cookie_t& cookie) const {
  if (cookie.length == 1 && cookie.bytes[0] == cookie_segment) {
    return std::optional<std::uint32_t>();
  }
  if (slab_ && cookie.length == 6 && cookie.bytes[0] == cookie_block &&
      cookie.bytes[1] == slab_number) {
    std::uint32_t first = 0;
    for (int i = 3; i >= 0; --i) first = first << 8 | cookie.bytes[2 + i];
    return std::optional<std::uint32_t>(first);
  }
  return Status(Code::not_found, "the cookie names no segment and no slab of this tier");
}

Status ShmTier::adopt(const pm_object_id_t& object, const pm_cookie_t& cookie, std::uint64_t length,
                      std::uint64_t& bytes_charged) const {
  const auto block = block_of(cookie);
  if (!block.ok()) return block.status();
  PM_TRY(*block ? slab_->adopt(object, **block, length) : segments_.adopt(object, length));
  bytes_charged = round_up(length);
  return {};
}

Status ShmTier::locate(const pm_object_id_t& object, const pm_cookie_t& cookie,
                       std::uint64_t length, pm_location_t& location) const {
  const auto block = block_of(cookie);
  if (!block.ok()) return block.status();
  // Where the object is, or was: an answer that is given again names the place of then.
  if (*block) PM_TRY(slab_->check_place(**block, length));
  const std::string name = *block ? slab_->name() : segments_.names().segment(object);
  if (location.text == nullptr || name.size() >= location.text_capacity) {
    return {Code::resource_exhausted,
            "the name needs " + std::to_string(name.size() + 1) + " bytes of text_capacity"};
  }
  std::memcpy(location.text, name.c_str(), name.size() + 1);
  location.kind = PM_LOCATION_SHM;
  location.offset_bytes = *block ? slab_->block_offset_bytes(**block) : 0;
  location.mapping_bytes = *block ? slab_->mapping_bytes() : length;
  location.device = 0;
  location.slab = *block ? slab_number : 0;
  location.block = block->value_or(0);
  location.handle_length = 0;
  return {};
}

Result<std::uint64_t> ShmTier::read(const pm_object_id_t& object, const pm_cookie_t& cookie,
                                    std::uint64_t offset, void* target,
                                    std::uint64_t length) const {
  const auto block = block_of(cookie);
  if (!block.ok()) return block.status();
  return *block ? slab_->read(object, **block, offset, target, length)
                : segments_.read(object, offset, target, length);
}

Status ShmTier::write(const pm_object_id_t& object, const pm_cookie_t& cookie, std::uint64_t offset,
                      const void* source, std::uint64_t length) const {
  const auto block = block_of(cookie);
  if (!block.ok()) return block.status();
  return *block ? slab_->write(object, **block, offset, source, length)
                : segments_.write(object, offset, source, length);
}

Status ShmTier::seal(const pm_object_id_t& object, const pm_cookie_t& cookie,
                     std::uint64_t length) {
  const auto block = block_of(cookie);
  if (!block.ok()) return block.status();
  return *block ? slab_->seal(object, **block, length) : segments_.seal(object, length);
}

Status ShmTier::remove(const pm_object_id_t& object, const pm_cookie_t& cookie,
                       std::uint64_t length) {
  const auto block = block_of(cookie);
  if (!block.ok()) return block.status();
  if (*block) return slab_->remove(object, **block);
  PM_TRY(segments_.remove(object));
  subtract(segment_bytes_, round_up(length));
  subtract(segment_count_, 1);
  return {};
}

Result<int> ShmTier::open_object(const pm_object_id_t& object, const pm_cookie_t& cookie,
                                 std::uint64_t length, bool writable) const {
  const auto block = block_of(cookie);
  if (!block.ok()) return block.status();
  if (*block) {
    return Status(Code::failed_precondition,
                  "the object lies in a slab, of which it cannot be shared alone");
  }
  return segments_.share(object, length, writable);
}

Result<int> ShmTier::open_slab(std::uint32_t slab, bool writable) const {
  if (!slab_ || slab != slab_number) {
    return Status(Code::not_found, "this tier has no slab " + std::to_string(slab));
  }
  return slab_->share(writable);
}

Status ShmTier::enumerate(pm_on_tier_object_t on_object, void* data) const {
  bool go_on = true;
  const auto tell = [&](const pm_object_id_t& object, const pm_cookie_t& cookie,
                        std::uint64_t length, bool sealed) {
    pm_tier_object_t found{};
    found.size = sizeof found;
    found.sealed = sealed ? 1 : 0;
    found.object = object;
    found.cookie = cookie;
    found.length = length;
    found.bytes_charged = round_up(length);
    go_on = on_object(data, &found);
    return go_on;
  };
  PM_TRY(segments_.enumerate([&](const Segments::Found& found) {
    return tell(found.object, segment_cookie(), found.length, found.sealed);
  }));
  if (!slab_ || !go_on) return {};
  return slab_->enumerate([&](const pm_object_id_t& object, const SlabAllocator::Entry& entry) {
    return tell(object, block_cookie(entry.first), entry.length, entry.sealed);
  });
}

}  // namespace pm::shm
