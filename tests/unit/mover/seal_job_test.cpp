#include "core/mover/seal_job.h"

#include <gtest/gtest.h>
#include <pm/ext/draft/tier_upload.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>

#include "core/mover/checksum.h"

namespace pm::mover {
namespace {

using catalog::ChecksumKind;

// A fake tier that is one object in memory, and remembers what it was asked in which order.
class OneObject {
 public:
  explicit OneObject(std::string bytes, bool takes_lengths = true)
      : content(std::move(bytes)), takes_lengths_(takes_lengths) {
    tier_.tier_data = this;
    tier_.get_info = [](const pm_tier_t*, pm_tier_info_t* info) {
      info->chunk_bytes_preferred = 1;
    };
    tier_.read = [](const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t*,
                    const pm_cookie_t*, std::uint64_t offset, void* target, std::uint64_t length,
                    std::uint64_t* count) {
      OneObject& self = of(tier);
      if (self.asked.back() != 'r') self.asked += 'r';
      const std::uint64_t there = self.content.size() - std::min(offset, self.content.size());
      *count = std::min(length, there);
      std::memcpy(target, self.content.data() + std::min(offset, self.content.size()), *count);
      return self.read_status;
    };
    tier_.seal = [](const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t*,
                    const pm_cookie_t*, std::uint64_t length) -> pm_status_t {
      of(tier).asked += 's';
      of(tier).sealed_length = length;
      of(tier).at_seal();
      return of(tier).seal_status;
    };
    tier_.get_extension = [](const pm_tier_t* tier, const char* id) -> const void* {
      OneObject& self = of(tier);
      return self.takes_lengths_ && std::string(id) == PM_TIER_UPLOAD ? &self.upload_ : nullptr;
    };
    upload_.set_length = [](const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t*,
                            const pm_cookie_t*, std::uint64_t,
                            std::uint64_t length) -> pm_status_t {
      of(tier).asked += 'l';
      return of(tier).content.size() == length ? PM_OK : PM_FAILED_PRECONDITION;
    };
  }

  catalog::Sealed seal(catalog::SealEffect effect) {
    TierObject object;
    object.tier = &tier_;
    return seal_object(object, effect, stopping);
  }

  std::string content;
  std::string asked = " ";  // (r)ead, (s)eal, set (l)ength.
  std::uint64_t sealed_length = 0;
  pm_status_t read_status = PM_OK;
  pm_status_t seal_status = PM_OK;
  std::function<void()> at_seal = [] {};
  std::atomic<bool> stopping{false};

 private:
  static OneObject& of(const pm_tier_t* tier) { return *static_cast<OneObject*>(tier->tier_data); }
  pm_tier_t tier_{};
  pm_tier_upload_t upload_{};
  const bool takes_lengths_;
};

catalog::Checksum checksum_of(const std::string& bytes, ChecksumKind kind = ChecksumKind::sha256) {
  ChecksumHasher hasher(kind);
  hasher.add(bytes.data(), bytes.size());
  return *hasher.finish();
}

catalog::SealEffect effect_of(std::uint64_t allocated, std::uint64_t length) {
  catalog::SealEffect effect;
  effect.object.length = allocated;
  effect.length = length;
  return effect;
}

TEST(seal_job, reads_nothing_when_no_checksum_is_demanded) {
  OneObject tier("abc");
  const auto report = tier.seal(effect_of(3, 3));
  EXPECT_TRUE(report.outcome.ok());
  EXPECT_EQ(report.checksum, catalog::Checksum{});
  EXPECT_EQ(tier.asked, " s");
}

// CHECKSUM-1
TEST(seal_job, verifies_a_value_before_anything_is_sealed) {
  OneObject tier(std::string(200'000, 'x'));
  auto effect = effect_of(200'000, 200'000);
  effect.checksum = {checksum_of(tier.content), true};
  tier.content[199'999] = 'y';
  const auto differs = tier.seal(effect);
  EXPECT_TRUE(differs.outcome.ok());
  EXPECT_TRUE(differs.checksum_differs);
  EXPECT_EQ(tier.asked, " r");
  tier.content[199'999] = 'x';
  const auto equal = tier.seal(effect);
  EXPECT_TRUE(equal.outcome.ok());
  EXPECT_FALSE(equal.checksum_differs);
  EXPECT_EQ(equal.checksum, effect.checksum.checksum);
  EXPECT_EQ(tier.asked, " rs");
}

// CHECKSUM-1. Its writer still had a descriptor when it was verified.
TEST(seal_job, verifies_again_what_its_writer_could_change_until_the_seal) {
  OneObject tier(std::string(200'000, 'x'));
  auto effect = effect_of(200'000, 200'000);
  effect.layout = catalog::Layout::sealed;
  effect.checksum = {checksum_of(tier.content), true};
  const auto equal = tier.seal(effect);
  EXPECT_TRUE(equal.outcome.ok());
  EXPECT_FALSE(equal.checksum_differs);
  EXPECT_EQ(tier.asked, " rsr");
  tier.at_seal = [&] { tier.content[199'999] = 'y'; };
  const auto changed = tier.seal(effect);
  EXPECT_TRUE(changed.outcome.ok());
  EXPECT_TRUE(changed.checksum_differs);
}

// SEAL-1
TEST(seal_job, tells_a_writer_that_still_maps_it_from_one_that_changed_its_length) {
  OneObject tier("abc");
  tier.seal_status = PM_FAILED_PRECONDITION;
  auto effect = effect_of(3, 3);
  EXPECT_FALSE(tier.seal(effect).is_whole) << "no other layout is looked at";
  EXPECT_EQ(tier.asked, " s");
  effect.layout = catalog::Layout::sealed;
  EXPECT_TRUE(tier.seal(effect).is_whole);
  tier.content = "ab";
  EXPECT_FALSE(tier.seal(effect).is_whole);
  tier.content = "abcd";
  EXPECT_FALSE(tier.seal(effect).is_whole);
  tier.content = "abc";
  tier.seal_status = PM_OK;
  EXPECT_FALSE(tier.seal(effect).is_whole) << "only said of what failed";
}

// CHECKSUM-2
TEST(seal_job, computes_what_is_sealed) {
  for (const auto kind : {ChecksumKind::xxh3_128, ChecksumKind::sha256, ChecksumKind::crc32c}) {
    OneObject tier("some bytes");
    auto effect = effect_of(10, 10);
    effect.checksum.checksum.kind = kind;
    const auto report = tier.seal(effect);
    EXPECT_TRUE(report.outcome.ok());
    EXPECT_EQ(report.checksum, checksum_of("some bytes", kind));
    EXPECT_EQ(tier.asked, " sr");
  }
}

TEST(seal_job, says_that_a_length_is_wrong_before_it_says_so_of_a_checksum) {
  for (const char* content : {"ab", "abcd", ""}) {
    OneObject tier(content);
    auto effect = effect_of(5, 3);
    effect.uploaded = true;
    effect.checksum = {checksum_of("abc"), true};
    const auto report = tier.seal(effect);
    EXPECT_EQ(report.outcome.code, PM_FAILED_PRECONDITION) << content;
    EXPECT_FALSE(report.checksum_differs);
    EXPECT_EQ(report.length, 0u);
    EXPECT_EQ(tier.asked.find('s'), std::string::npos);
  }
}

TEST(seal_job, seals_what_was_uploaded_in_its_length_where_the_tier_can) {
  OneObject tier("abc");
  auto effect = effect_of(5, 3);
  effect.uploaded = true;
  const auto report = tier.seal(effect);
  EXPECT_TRUE(report.outcome.ok()) << report.outcome.message;
  EXPECT_EQ(report.length, 3u);
  EXPECT_EQ(tier.sealed_length, 3u);
  EXPECT_EQ(tier.asked, " ls");

  OneObject cannot("abc", false);
  EXPECT_EQ(cannot.seal(effect).outcome.code, PM_FAILED_PRECONDITION);
  EXPECT_EQ(cannot.asked, " ");
}

TEST(seal_job, tells_a_shortened_object_from_a_broken_medium) {
  OneObject tier("abc");
  tier.read_status = PM_DATA_LOSS;
  auto effect = effect_of(3, 3);
  effect.checksum = {checksum_of("abc"), true};
  EXPECT_EQ(tier.seal(effect).outcome.code, PM_FAILED_PRECONDITION);
  tier.read_status = PM_UNAVAILABLE;
  EXPECT_EQ(tier.seal(effect).outcome.code, PM_UNAVAILABLE);
}

TEST(seal_job, stops_reading_when_the_host_stops) {
  OneObject tier("abc");
  tier.stopping = true;
  auto effect = effect_of(3, 3);
  effect.checksum = {checksum_of("abc"), true};
  EXPECT_EQ(tier.seal(effect).outcome.code, PM_CANCELLED);
}

}  // namespace
}  // namespace pm::mover
