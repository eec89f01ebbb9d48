#include "shm_tier.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
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

// Cookies name the layout. A segment: {1}. A block: {2, slab, first granule (4 bytes,
// little-endian)}. A sealed object: {3}.
pm_cookie_t cookie_of(std::uint8_t layout) {
  pm_cookie_t cookie{};
  cookie.length = 1;
  cookie.bytes[0] = layout;
  return cookie;
}

pm_cookie_t block_cookie(std::uint8_t layout, std::uint32_t first) {
  pm_cookie_t cookie = cookie_of(layout);
  cookie.length = 6;
  cookie.bytes[1] = slab_number;
  for (int i = 0; i < 4; ++i) cookie.bytes[2 + i] = static_cast<std::uint8_t>(first >> (8 * i));
  return cookie;
}

// How many descriptors this process may have.
std::uint64_t descriptors_max() {
  struct rlimit limit {};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
}
// Of these, what sealed objects may have when nobody says otherwise: the rest is for clients.
constexpr std::uint64_t sealed_part = 4;

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
  options.sealed_max =
      config.has("sealed_max") ? config.number("sealed_max") : descriptors_max() / sealed_part;
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
  warn_when_there_is_less_than_configured();
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

void ShmTier::warn_when_there_is_less_than_configured() const {
  if (options_.sealed_max > descriptors_max()) {
    host_.warn("sealed_max is " + std::to_string(options_.sealed_max) +
               ", but the host may have only " + std::to_string(descriptors_max()) +
               " descriptors (RLIMIT_NOFILE)");
  }
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
  if (slab_ && (options.flags & (PM_ALLOCATE_SLAB | PM_ALLOCATE_SEALED)) == PM_ALLOCATE_SLAB) {
    if (holds(object, Place::block)) {
      return {Code::already_exists, "the object exists already, in another layout"};
    }
    const auto first = slab_->allocate(object, length, options.owner_uid);
    if (first.ok()) {
      allocation.cookie = block_cookie(Place::block, *first);
      return {};
    }
    if (first.status().code() != Code::resource_exhausted) return first.status();
  }
  const bool sealed = (options.flags & PM_ALLOCATE_SEALED) != 0;
  allocation.cookie = cookie_of(sealed ? Place::sealed : Place::segment);
  return allocate_elsewhere(context, object, length, options.flags);
}

// In another layout than this one.
bool ShmTier::holds(const pm_object_id_t& object, Place::Layout layout) const {
  if (layout != Place::block && slab_ && slab_->holds(object)) return true;
  if (segment_count_.load() == 0) return false;  // Spares a look into the file system.
  if (layout != Place::sealed && sealed_.holds(object)) return true;
  return layout != Place::segment && segments_.holds(object);
}

// A segment or a sealed object.
Status ShmTier::allocate_elsewhere(const pm_call_context_t* context, const pm_object_id_t& object,
                                   std::uint64_t length, std::uint32_t flags) {
  const bool sealed = (flags & PM_ALLOCATE_SEALED) != 0;
  const bool host_writes = (flags & PM_ALLOCATE_HOST_WRITES) != 0;
  if (holds(object, sealed ? Place::sealed : Place::segment)) {
    return {Code::already_exists, "the object exists already, in another layout"};
  }
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
  Status status = sealed ? sealed_.allocate(context, object, length, host_writes)
                         : segments_.allocate(context, object, length, host_writes);
  if (status.ok()) {
    ++segment_count_;
  } else {
    segment_bytes_ -= charge;
  }
  return status;
}

Result<ShmTier::Place> ShmTier::place_of(const pm_cookie_t& cookie) const {
  if (cookie.length == 1 && cookie.bytes[0] == Place::segment) return Place{Place::segment};
  if (cookie.length == 1 && cookie.bytes[0] == Place::sealed) return Place{Place::sealed};
  if (slab_ && cookie.length == 6 && cookie.bytes[0] == Place::block &&
      cookie.bytes[1] == slab_number) {
    std::uint32_t first = 0;
    for (int i = 3; i >= 0; --i) first = first << 8 | cookie.bytes[2 + i];
    return Place{Place::block, first};
  }
  return Status(Code::not_found, "the cookie names no layout and no slab of this tier");
}

Status ShmTier::adopt(const pm_object_id_t& object, const pm_cookie_t& cookie, std::uint64_t length,
                      std::uint64_t& bytes_charged) const {
  const auto place = place_of(cookie);
  if (!place.ok()) return place.status();
  switch (place->layout) {
    case Place::segment: PM_TRY(segments_.adopt(object, length)); break;
    case Place::block: PM_TRY(slab_->adopt(object, place->first, length)); break;
    case Place::sealed:
      return {Code::not_found, "objects of the sealed layout end with the host that made them"};
  }
  bytes_charged = round_up(length);
  return {};
}

Status ShmTier::locate(const pm_object_id_t& object, const pm_cookie_t& cookie,
                       std::uint64_t length, pm_location_t& location) const {
  const auto place = place_of(cookie);
  if (!place.ok()) return place.status();
  // Where the object is, or was: an answer that is given again names the place of then.
  const bool is_block = place->layout == Place::block;
  if (is_block) PM_TRY(slab_->check_place(place->first, length));
  std::string name;  // A sealed object has none.
  if (is_block) name = slab_->name();
  if (place->layout == Place::segment) name = segments_.names().segment(object);
  if (location.text == nullptr || name.size() >= location.text_capacity) {
    return {Code::resource_exhausted,
            "the name needs " + std::to_string(name.size() + 1) + " bytes of text_capacity"};
  }
  std::memcpy(location.text, name.c_str(), name.size() + 1);
  location.kind = PM_LOCATION_SHM;
  location.offset_bytes = is_block ? slab_->block_offset_bytes(place->first) : 0;
  location.mapping_bytes = is_block ? slab_->mapping_bytes() : length;
  location.device = 0;
  location.slab = is_block ? slab_number : 0;
  location.block = place->first;
  location.handle_length = 0;
  return {};
}

Result<std::uint64_t> ShmTier::read(const pm_object_id_t& object, const pm_cookie_t& cookie,
                                    std::uint64_t offset, void* target,
                                    std::uint64_t length) const {
  const auto place = place_of(cookie);
  if (!place.ok()) return place.status();
  switch (place->layout) {
    case Place::block: return slab_->read(object, place->first, offset, target, length);
    case Place::sealed: return sealed_.read(object, offset, target, length);
    default: return segments_.read(object, offset, target, length);
  }
}

Status ShmTier::write(const pm_object_id_t& object, const pm_cookie_t& cookie, std::uint64_t offset,
                      const void* source, std::uint64_t length) const {
  const auto place = place_of(cookie);
  if (!place.ok()) return place.status();
  switch (place->layout) {
    case Place::block: return slab_->write(object, place->first, offset, source, length);
    case Place::sealed: return sealed_.write(object, offset, source, length);
    default: return segments_.write(object, offset, source, length);
  }
}

Status ShmTier::seal(const pm_object_id_t& object, const pm_cookie_t& cookie,
                     std::uint64_t length) {
  const auto place = place_of(cookie);
  if (!place.ok()) return place.status();
  switch (place->layout) {
    case Place::block: return slab_->seal(object, place->first, length);
    case Place::sealed: return sealed_.seal(object, length);
    default: return segments_.seal(object, length);
  }
}

Status ShmTier::remove(const pm_object_id_t& object, const pm_cookie_t& cookie,
                       std::uint64_t length) {
  const auto place = place_of(cookie);
  if (!place.ok()) return place.status();
  if (place->layout == Place::block) return slab_->remove(object, place->first);
  PM_TRY(place->layout == Place::sealed ? sealed_.remove(object) : segments_.remove(object));
  subtract(segment_bytes_, round_up(length));
  subtract(segment_count_, 1);
  return {};
}

Result<int> ShmTier::open_object(const pm_object_id_t& object, const pm_cookie_t& cookie,
                                 std::uint64_t length, bool writable) const {
  const auto place = place_of(cookie);
  if (!place.ok()) return place.status();
  switch (place->layout) {
    case Place::block:
      return Status(Code::failed_precondition,
                    "the object lies in a slab, of which it cannot be shared alone");
    case Place::sealed: return sealed_.share(object, writable);
    default: return segments_.share(object, length, writable);
  }
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
    return tell(found.object, cookie_of(Place::segment), found.length, found.sealed);
  }));
  if (go_on) {
    PM_TRY(sealed_.enumerate([&](const SealedObjects::Found& found) {
      return tell(found.object, cookie_of(Place::sealed), found.length, found.sealed);
    }));
  }
  if (!slab_ || !go_on) return {};
  return slab_->enumerate([&](const pm_object_id_t& object, const SlabAllocator::Entry& entry) {
    return tell(object, block_cookie(Place::block, entry.first), entry.length, entry.sealed);
  });
}

}  // namespace pm::shm
