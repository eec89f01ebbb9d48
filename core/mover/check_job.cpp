#include "check_job.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "checksum.h"
#include "core/plugin/host_services.h"

namespace pm::mover {

namespace {

using Verdict = catalog::CopyChecked::Verdict;

// So small that what shares a slow disk with it waits for a few milliseconds.
constexpr std::uint64_t chunk_bytes = 1 << 20;
constexpr std::size_t alignment = 4096;

struct FreeDeleter {
  void operator()(void* memory) const { std::free(memory); }
};
using Buffer = std::unique_ptr<void, FreeDeleter>;

CheckResult unknown(std::string words) { return {Verdict::unknown, false, {}, std::move(words)}; }
CheckResult bad(std::string words) { return {Verdict::bad, false, {}, std::move(words)}; }

// What a tier's failure says of the bytes.
CheckResult failed(pm_status_t code) {
  const Status status = take_error(code);
  const bool is_bad = code == PM_NOT_FOUND || code == PM_DATA_LOSS;
  return is_bad ? bad(status.message()) : unknown(status.message());
}

CheckResult read_once(const TierObject& object, std::uint64_t length,
                      const catalog::Checksum& expected, const MayRead& may_read, void* buffer) {
  const bool is_known = expected.kind != catalog::ChecksumKind::none;
  ChecksumHasher hasher(is_known ? expected.kind : catalog::ChecksumKind::xxh3_128);
  for (std::uint64_t offset = 0; offset < length; offset += chunk_bytes) {
    const std::uint64_t step = std::min(chunk_bytes, length - offset);
    if (!may_read(step)) return {Verdict::unknown, true, {}, {}};
    pm_call_context_t context{};
    context.size = sizeof context;
    std::uint64_t count = 0;
    const pm_status_t code = object.tier->read(object.tier, &context, &object.id, &object.cookie,
                                               offset, buffer, step, &count);
    if (code != PM_OK) return failed(code);
    if (count != step) return bad("it is shorter than it should be");
    hasher.add(buffer, step);
  }
  const auto checksum = hasher.finish();
  if (!checksum.ok()) return unknown(checksum.status().message());
  if (is_known && *checksum != expected) return bad("its bytes do not have their checksum");
  return {Verdict::good, false, *checksum, {}};
}

}  // namespace

CheckResult check_copy(const TierObject& object, std::uint64_t length,
                       const catalog::Checksum& expected, const MayRead& may_read) {
  const std::uint64_t needed = std::min(length, chunk_bytes);
  const Buffer buffer(
      std::aligned_alloc(alignment, (needed + alignment - 1) / alignment * alignment));
  if (buffer == nullptr) return unknown("no memory to read it");
  const auto read = [&] { return read_once(object, length, expected, may_read, buffer.get()); };
  CheckResult first = read();
  if (first.verdict == Verdict::bad) return read();
  if (first.verdict == Verdict::unknown || expected.kind != catalog::ChecksumKind::none) {
    return first;
  }
  // What one bad read found would condemn the bytes for good.
  const CheckResult second = read();
  if (second.verdict == Verdict::unknown) return second;
  if (second.checksum != first.checksum) return unknown("two reads of it differ");
  return first;
}

}  // namespace pm::mover
