#include "core/mover/check_job.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "core/mover/checksum.h"
#include "core/mover/tier_io.h"

namespace pm::mover {
namespace {

using catalog::ChecksumKind;
using Verdict = catalog::CopyChecked::Verdict;

// A fake tier that is one object in memory, and goes wrong as often as it is told.
class OneObject {
 public:
  explicit OneObject(std::string bytes) : content(std::move(bytes)) {
    tier_.tier_data = this;
    tier_.read = [](const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t*,
                    const pm_cookie_t*, std::uint64_t offset, void* target, std::uint64_t length,
                    std::uint64_t* count) {
      OneObject& self = *static_cast<OneObject*>(tier->tier_data);
      ++self.reads;
      const std::uint64_t start = std::min<std::uint64_t>(offset, self.content.size());
      *count = std::min<std::uint64_t>(length, self.content.size() - start);
      std::memcpy(target, self.content.data() + start, *count);
      if (self.spoilt_reads > 0 && self.spoilt_reads-- > 0) *static_cast<char*>(target) ^= 1;
      if (self.failing_reads > 0 && self.failing_reads-- > 0) return self.failure;
      return pm_status_t{PM_OK};
    };
  }

  CheckResult check(const catalog::Checksum& expected, std::uint64_t length) {
    TierObject object;
    object.tier = &tier_;
    std::vector<std::byte> buffer(length);
    const auto read = [&](std::uint64_t offset,
                          std::uint64_t step) -> Result<std::span<const std::byte>> {
      const auto count = read_on(object, offset, buffer.data(), step, nullptr);
      if (!count.ok()) return count.status();
      return std::span<const std::byte>(buffer.data(), *count);
    };
    return check_copy(read, length, expected, [this](std::uint64_t bytes) {
      asked_bytes += bytes;
      return asked_bytes <= bytes_max;
    });
  }
  CheckResult check(const catalog::Checksum& expected) { return check(expected, content.size()); }

  std::string content;
  int reads = 0;
  int spoilt_reads = 0;
  int failing_reads = 0;
  pm_status_t failure = PM_UNAVAILABLE;
  std::uint64_t asked_bytes = 0;
  std::uint64_t bytes_max = UINT64_MAX;

 private:
  pm_tier_t tier_{};
};

catalog::Checksum checksum_of(const std::string& bytes, ChecksumKind kind = ChecksumKind::sha256) {
  ChecksumHasher hasher(kind);
  hasher.add(bytes.data(), bytes.size());
  return *hasher.finish();
}

TEST(check_job, tells_good_bytes_from_bad_ones) {
  OneObject object(std::string(3'000'000, 'x'));
  for (const auto kind : {ChecksumKind::xxh3_128, ChecksumKind::sha256, ChecksumKind::crc32c}) {
    const catalog::Checksum right = checksum_of(object.content, kind);
    EXPECT_EQ(object.check(right).verdict, Verdict::good);
    object.content[2'999'999] = 'y';
    EXPECT_EQ(object.check(right).verdict, Verdict::bad);
    object.content[2'999'999] = 'x';
  }
  EXPECT_EQ(object.asked_bytes, 3u * 3u * 3'000'000u) << "asks before each read";
}

TEST(check_job, believes_bad_bytes_only_when_it_reads_them_twice) {
  OneObject object("payload");
  object.spoilt_reads = 1;
  EXPECT_EQ(object.check(checksum_of("payload")).verdict, Verdict::good);
  object.spoilt_reads = 2;
  EXPECT_EQ(object.check(checksum_of("payload")).verdict, Verdict::bad);
}

TEST(check_job, does_not_take_a_failure_for_bad_bytes) {
  OneObject object("payload");
  for (const pm_status_t code : {PM_UNAVAILABLE, PM_INTERNAL, PM_DEADLINE_EXCEEDED}) {
    object.failure = code;
    object.failing_reads = 1;
    EXPECT_EQ(object.check(checksum_of("payload")).verdict, Verdict::unknown);
    EXPECT_EQ(object.failing_reads, 0);
  }
}

TEST(check_job, takes_what_is_gone_or_too_short_for_bad) {
  OneObject object("payload");
  for (const pm_status_t code : {PM_NOT_FOUND, PM_DATA_LOSS}) {
    object.failure = code;
    object.failing_reads = 2;
    // What the tier cannot read any more may be readable again.
    EXPECT_EQ(object.check(checksum_of("payload")).verdict,
              code == PM_NOT_FOUND ? Verdict::bad : Verdict::unreadable);
    object.failing_reads = 1;
    EXPECT_EQ(object.check(checksum_of("payload")).verdict, Verdict::good);
  }
  EXPECT_EQ(object.check(checksum_of("payload"), 8).verdict, Verdict::bad);
}

TEST(check_job, computes_a_checksum_of_two_reads_that_agree) {
  OneObject object("payload");
  const CheckResult computed = object.check({});
  EXPECT_EQ(computed.verdict, Verdict::good);
  EXPECT_EQ(computed.checksum, checksum_of("payload", ChecksumKind::xxh3_128));
  EXPECT_EQ(object.reads, 2);
  object.spoilt_reads = 1;
  EXPECT_EQ(object.check({}).verdict, Verdict::unknown);
  object.reads = 0;
  object.failing_reads = 1;
  object.failure = PM_NOT_FOUND;
  EXPECT_EQ(object.check({}).verdict, Verdict::good);
  EXPECT_EQ(object.reads, 3) << "one read alone made a checksum";
}

TEST(check_job, stops_when_it_may_not_read_on) {
  OneObject object(std::string(5'000'000, 'x'));
  object.bytes_max = 2'500'000;
  const CheckResult result = object.check(checksum_of("other"));
  EXPECT_TRUE(result.stopped);
  EXPECT_EQ(result.verdict, Verdict::unknown);
  EXPECT_EQ(object.reads, 2);
}

}  // namespace
}  // namespace pm::mover
