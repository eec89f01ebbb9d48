#include "seal_job.h"

#include <pm/ext/draft/tier_upload.h>

#include <algorithm>
#include <pm/cpp/failpoint.hpp>
#include <span>
#include <string>

#include "checksum.h"
#include "tier_call.h"

namespace pm::mover {

namespace {

Status wrong_length(std::uint64_t length, const char* what) {
  return {Code::failed_precondition,
          "the object has " + std::string(what) + " than " + std::to_string(length) + " bytes"};
}

// Of bytes that may not be sealed yet DATA_LOSS only says that somebody shortened them.
Result<std::uint64_t> read_unsealed(const TierObject& object, std::uint64_t offset, void* target,
                                    std::uint64_t length, Job* job) {
  const auto count = read_on(object, offset, target, length, job);
  if (count.ok() || count.status().code() != Code::data_loss) return count;
  return Status(Code::failed_precondition, count.status().message());
}

// Reads the object's first `length` bytes; it must have so many.
Result<catalog::Checksum> checksum_of(const TierObject& object, std::uint64_t length,
                                      catalog::ChecksumKind kind, const std::atomic<bool>& stopping,
                                      Job* job) {
  const std::uint64_t chunk = preferred_chunk(object.tier);
  const AlignedBuffer buffer = make_buffer(chunk);
  if (buffer == nullptr) return Status(Code::resource_exhausted, "no memory to read the object");
  const auto read = [&](std::uint64_t offset,
                        std::uint64_t step) -> Result<std::span<const std::byte>> {
    if (stopping.load()) return Status(Code::cancelled, "the host is stopping");
    const auto count = read_unsealed(object, offset, buffer.get(), step, job);
    if (!count.ok()) return count.status();
    return std::span<const std::byte>(buffer.get(), *count);
  };
  PM_FAILPOINT("mover.before_checksum");
  auto checksum = checksum_of_parts(kind, length, chunk, read);
  PM_FAILPOINT("mover.after_checksum");
  if (!checksum.ok() && checksum.status().code() == Code::out_of_range) {
    return wrong_length(length, "fewer");
  }
  return checksum;
}

// What was uploaded may be shorter than what was allocated, if the tier can say so.
Status take_uploaded_length(const TierObject& object, std::uint64_t allocated, std::uint64_t length,
                            Job* job) {
  const auto* upload =
      static_cast<const pm_tier_upload_t*>(object.tier->get_extension(object.tier, PM_TIER_UPLOAD));
  if (upload == nullptr) {
    return {Code::failed_precondition, "the tier takes only objects of the length allocated, " +
                                           std::to_string(allocated) + " bytes"};
  }
  return call_tier(job, object.link, length, Repeat::never, [&](const pm_call_context_t* context) {
    return upload->set_length(object.tier, context, &object.id, &object.cookie, allocated, length);
  });
}

// True: as demanded.
Result<bool> verify(const TierObject& object, const catalog::SealEffect& effect,
                    const std::atomic<bool>& stopping, Job* job) {
  if (effect.uploaded) {
    char beyond = 0;
    const auto count = read_unsealed(object, effect.length, &beyond, 1, job);
    if (!count.ok() && count.status().code() != Code::out_of_range) return count.status();
    if (count.ok() && *count != 0) return wrong_length(effect.length, "more");
  }
  const catalog::Checksum& wanted = effect.checksum.checksum;
  const auto found = checksum_of(object, effect.length, wanted.kind, stopping, job);
  if (!found.ok()) return found.status();
  return *found == wanted;
}

// Why an object could not be sealed: its length is not the reason.
bool is_whole(const TierObject& object, std::uint64_t length, Job* job) {
  char end[2] = {};
  const auto count = read_unsealed(object, length - 1, end, sizeof end, job);
  return count.ok() && *count == 1;
}

}  // namespace

catalog::Sealed seal_object(const TierObject& object, const catalog::SealEffect& effect,
                            const std::atomic<bool>& stopping, Job* job) {
  catalog::Sealed report;
  report.operation = effect.operation;
  const catalog::ChecksumDemand& demand = effect.checksum;
  if (demand.has_value) {
    const auto equal = verify(object, effect, stopping, job);
    report.outcome = outcome_of(equal.status());
    report.checksum_differs = equal.ok() && !*equal;
    if (!report.outcome.ok() || report.checksum_differs) return report;
    report.checksum = demand.checksum;
  }
  if (effect.length != effect.object.length) {
    report.outcome =
        outcome_of(take_uploaded_length(object, effect.object.length, effect.length, job));
    if (!report.outcome.ok()) return report;
    report.length = effect.length;
  }
  PM_FAILPOINT("mover.before_seal");
  report.outcome = outcome_of(seal_on(object, effect.length, job));
  PM_FAILPOINT("mover.after_seal");
  if (effect.layout == catalog::Layout::sealed) {
    const std::int32_t code = report.outcome.code;
    report.is_whole = code == PM_FAILED_PRECONDITION && is_whole(object, effect.length, job);
    // Its writer could change what was verified until it was sealed.
    if (report.outcome.ok() && demand.has_value) {
      const auto equal = verify(object, effect, stopping, job);
      report.outcome = outcome_of(equal.status());
      report.checksum_differs = equal.ok() && !*equal;
    }
  }
  if (!report.outcome.ok() || demand.has_value ||
      demand.checksum.kind == catalog::ChecksumKind::none) {
    return report;
  }
  const auto computed = checksum_of(object, effect.length, demand.checksum.kind, stopping, job);
  report.outcome = outcome_of(computed.status());
  if (computed.ok()) report.checksum = *computed;
  return report;
}

}  // namespace pm::mover
