#include "tier_io.h"

#include <algorithm>
#include <cstring>

#include "tier_call.h"

namespace pm::mover {

TierObject tier_object(const pm_tier_t* tier, const catalog::Object& object) {
  TierObject result;
  result.tier = tier;
  std::memcpy(result.id.payload, object.payload.bytes.data(), object.payload.bytes.size());
  result.id.generation = object.generation;
  result.cookie.length = object.cookie.length;
  std::memcpy(result.cookie.bytes, object.cookie.bytes.data(), object.cookie.length);
  return result;
}

std::uint64_t preferred_chunk(const pm_tier_t* tier) {
  pm_tier_info_t info{};
  info.size = sizeof info;
  tier->get_info(tier, &info);
  return std::clamp(info.chunk_bytes_preferred, chunk_bytes_min, chunk_bytes_max);
}

catalog::Outcome outcome_of(const Status& status) {
  return {static_cast<std::int32_t>(status.code()), status.message()};
}

AlignedBuffer make_buffer(std::uint64_t bytes, std::size_t alignment) {
  const std::uint64_t rounded = (bytes + alignment - 1) / alignment * alignment;
  return AlignedBuffer(static_cast<std::byte*>(std::aligned_alloc(alignment, rounded)));
}

Status allocate_on(TierObject& object, std::uint64_t length, std::uint32_t flags,
                   std::uint32_t owner_uid, Job* job) {
  pm_allocate_options_t options{};
  options.size = sizeof options;
  options.flags = flags;
  options.owner_uid = owner_uid;
  pm_allocation_t allocation{};
  allocation.size = sizeof allocation;
  Status status = call_tier(job, object.link, length, Repeat::when_transient,
                            [&](const pm_call_context_t* context) {
                              return object.tier->allocate(object.tier, context, &object.id, length,
                                                           &options, &allocation);
                            });
  if (status.ok()) object.cookie = allocation.cookie;
  return status;
}

Result<std::uint64_t> read_on(const TierObject& object, std::uint64_t offset, void* target,
                              std::uint64_t length, Job* job) {
  std::uint64_t count = 0;
  const Status status = call_tier(
      job, object.link, length, Repeat::when_transient, [&](const pm_call_context_t* context) {
        return object.tier->read(object.tier, context, &object.id, &object.cookie, offset, target,
                                 length, &count);
      });
  if (!status.ok()) return status;
  return count;
}

Status seal_on(const TierObject& object, std::uint64_t length, Job* job) {
  return call_tier(
      job, object.link, length, Repeat::when_transient, [&](const pm_call_context_t* context) {
        return object.tier->seal(object.tier, context, &object.id, &object.cookie, length);
      });
}

Status remove_on(const TierObject& object, std::uint64_t length, Job* job) {
  return call_tier(
      job, object.link, length, Repeat::when_transient, [&](const pm_call_context_t* context) {
        return object.tier->remove(object.tier, context, &object.id, &object.cookie, length);
      });
}

}  // namespace pm::mover
