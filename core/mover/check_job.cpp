#include "check_job.h"

namespace pm::mover {

namespace {

using Verdict = catalog::CopyChecked::Verdict;

// So small that what shares a slow disk with it waits for a few milliseconds.
constexpr std::uint64_t part_bytes = 1 << 20;

CheckResult failed(Verdict verdict, const std::string& words) {
  CheckResult result;
  result.verdict = verdict;
  result.words = words;
  return result;
}

// What a tier's failure says of the bytes.
CheckResult failed(const Status& status) {
  Verdict verdict = Verdict::unknown;
  if (status.code() == Code::not_found || status.code() == Code::out_of_range) {
    verdict = Verdict::bad;
  } else if (status.code() == Code::data_loss) {
    verdict = Verdict::unreadable;
  }
  CheckResult result = failed(verdict, status.message());
  result.is_away = status.code() == Code::unavailable;
  return result;
}

CheckResult read_once(const ReadPart& read, std::uint64_t length, const catalog::Checksum& expected,
                      const MayRead& may_read) {
  const bool is_known = expected.kind != catalog::ChecksumKind::none;
  const auto kind = is_known ? expected.kind : catalog::ChecksumKind::xxh3_128;
  bool stopped = false;
  const auto checksum = checksum_of_parts(
      kind, length, part_bytes,
      [&](std::uint64_t offset, std::uint64_t step) -> Result<std::span<const std::byte>> {
        stopped = !may_read(step);
        if (stopped) return Status(Code::cancelled, "");
        return read(offset, step);
      });
  CheckResult result;
  result.stopped = stopped;
  if (stopped) return result;
  if (!checksum.ok()) return failed(checksum.status());
  if (is_known && *checksum != expected) {
    return failed(Verdict::bad, "its bytes do not have their checksum");
  }
  result.verdict = Verdict::good;
  result.checksum = *checksum;
  return result;
}

}  // namespace

CheckResult check_copy(const ReadPart& read, std::uint64_t length,
                       const catalog::Checksum& expected, const MayRead& may_read) {
  const auto read_whole = [&] { return read_once(read, length, expected, may_read); };
  CheckResult first = read_whole();
  if (first.verdict == Verdict::bad || first.verdict == Verdict::unreadable) first = read_whole();
  if (first.verdict != Verdict::good || expected.kind != catalog::ChecksumKind::none) return first;
  // What one bad read found would condemn the bytes for good.
  const CheckResult second = read_whole();
  if (second.verdict == Verdict::unknown) return second;
  if (second.verdict != Verdict::good || second.checksum != first.checksum) {
    return failed(Verdict::unknown, "two reads of it differ");
  }
  return first;
}

}  // namespace pm::mover
