#include "core/mover/copy_job.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/mover/checksum.h"
#include "core/mover/starvation.h"

namespace pm::mover {
namespace {

// A fake tier that is one object in memory, with or without pm.tier.async/1, and with faults.
class FakeTier {
 public:
  FakeTier(std::size_t bytes, bool async) : content(bytes), async_(async) {
    tier_.tier_data = this;
    tier_.get_info = [](const pm_tier_t*, pm_tier_info_t* info) {
      info->chunk_bytes_preferred = 64 << 10;
    };
    tier_.read = [](const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t*,
                    const pm_cookie_t*, std::uint64_t offset, void* target, std::uint64_t length,
                    std::uint64_t* count) {
      return self(tier).read(offset, target, length, count);
    };
    tier_.write = [](const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t*,
                     const pm_cookie_t*, std::uint64_t offset, const void* source,
                     std::uint64_t length) { return self(tier).write(offset, source, length); };
    tier_.get_extension = [](const pm_tier_t* tier, const char* id) -> const void* {
      FakeTier& fake = self(tier);
      return fake.async_ && std::string(id) == PM_TIER_ASYNC ? &fake.extension_ : nullptr;
    };
    extension_.submit = [](const pm_tier_t* tier, const pm_transfer_t* transfer) {
      return self(tier).submit(*transfer);
    };
  }
  ~FakeTier() {
    for (std::thread& thread : threads_) thread.join();
  }

  TierObject object() const {
    TierObject object;
    object.tier = &tier_;
    return object;
  }

  std::vector<std::byte> content;
  std::uint64_t fail_at = UINT64_MAX;  // Transfers that touch this offset fail,
  pm_status_t failure = PM_INTERNAL;   // so.

 private:
  static FakeTier& self(const pm_tier_t* tier) { return *static_cast<FakeTier*>(tier->tier_data); }

  bool fails(std::uint64_t offset, std::uint64_t length) const {
    return offset <= fail_at && fail_at < offset + length;
  }
  pm_status_t read(std::uint64_t offset, void* target, std::uint64_t length, std::uint64_t* count) {
    if (fails(offset, length)) return failure;
    *count = std::min<std::uint64_t>(length, content.size() - offset);
    std::memcpy(target, content.data() + offset, *count);
    return PM_OK;
  }
  pm_status_t write(std::uint64_t offset, const void* source, std::uint64_t length) {
    if (fails(offset, length)) return failure;
    std::memcpy(content.data() + offset, source, length);
    return PM_OK;
  }
  // Completes out of order, on other threads.
  pm_status_t submit(const pm_transfer_t& transfer) {
    if (++submitted_ % 5 == 0) return PM_RESOURCE_EXHAUSTED;
    threads_.emplace_back([this, transfer] {
      std::this_thread::sleep_for(std::chrono::microseconds(transfer.offset % 7 * 200));
      std::uint64_t count = transfer.length;
      const pm_status_t status =
          transfer.is_write != 0 ? write(transfer.offset, transfer.buffer, transfer.length)
                                 : read(transfer.offset, transfer.buffer, transfer.length, &count);
      transfer.on_done(transfer.data, status, count, nullptr);
    });
    return PM_OK;
  }

  pm_tier_t tier_{};
  pm_tier_async_t extension_{};
  const bool async_;
  std::uint64_t submitted_ = 0;
  std::vector<std::thread> threads_;
};

class CopyTest : public testing::TestWithParam<std::tuple<bool, bool, std::size_t>> {
 protected:
  Background& background() { return background_; }

 private:
  Background background_{make_threads(1, Priority::idle)};
};

TEST_P(CopyTest, copies_every_byte_and_gives_the_same_checksum) {
  const auto [source_async, target_async, bytes] = GetParam();
  FakeTier source(bytes, source_async);
  FakeTier target(bytes, target_async);
  std::mt19937 random(1);
  for (std::byte& byte : source.content) byte = static_cast<std::byte>(random());
  const std::atomic<bool> stopping{false};
  const CopyResult first =
      copy_bytes(source.object(), target.object(), bytes, {}, background(), stopping);
  ASSERT_TRUE(first.status.ok()) << first.status.to_string();
  EXPECT_EQ(source.content, target.content);
  const CopyResult second =
      copy_bytes(target.object(), source.object(), bytes, first.checksum, background(), stopping);
  EXPECT_TRUE(second.status.ok());
  EXPECT_EQ(first.checksum.bytes, second.checksum.bytes);

  target.content[bytes / 2] ^= std::byte{1};
  const CopyResult wrong =
      copy_bytes(target.object(), source.object(), bytes, first.checksum, background(), stopping);
  EXPECT_EQ(wrong.status.code(), Code::data_loss);
  EXPECT_TRUE(wrong.source_is_bad);
}

// CHECKSUM-3
TEST_P(CopyTest, compares_the_checksum_that_the_payload_is_kept_with) {
  const auto [source_async, target_async, bytes] = GetParam();
  FakeTier source(bytes, source_async);
  FakeTier target(bytes, target_async);
  std::mt19937 random(2);
  for (std::byte& byte : source.content) byte = static_cast<std::byte>(random());
  const std::atomic<bool> stopping{false};
  for (const auto kind : {catalog::ChecksumKind::sha256, catalog::ChecksumKind::crc32c}) {
    ChecksumHasher hasher(kind);
    hasher.add(source.content.data(), bytes);
    catalog::Checksum kept = *hasher.finish();
    const CopyResult good =
        copy_bytes(source.object(), target.object(), bytes, kept, background(), stopping);
    EXPECT_TRUE(good.status.ok()) << good.status.to_string();
    EXPECT_EQ(good.checksum, kept);
    kept.bytes[kept.length() - 1] ^= 1;
    const CopyResult bad =
        copy_bytes(source.object(), target.object(), bytes, kept, background(), stopping);
    EXPECT_EQ(bad.status.code(), Code::data_loss);
    EXPECT_TRUE(bad.source_is_bad);
  }
}

TEST_P(CopyTest, reports_faults_of_either_side_once_all_transfers_have_ended) {
  const auto [source_async, target_async, bytes] = GetParam();
  const std::atomic<bool> stopping{false};
  {
    FakeTier source(bytes, source_async);
    FakeTier target(bytes, target_async);
    target.fail_at = bytes / 2;
    target.failure = PM_UNAVAILABLE;
    const CopyResult result =
        copy_bytes(source.object(), target.object(), bytes, {}, background(), stopping);
    EXPECT_EQ(result.status.code(), Code::unavailable);
    EXPECT_FALSE(result.source_is_bad);
  }
  FakeTier source(bytes, source_async);
  FakeTier target(bytes, target_async);
  source.fail_at = bytes - 1;
  source.failure = PM_NOT_FOUND;
  const CopyResult result =
      copy_bytes(source.object(), target.object(), bytes, {}, background(), stopping);
  EXPECT_EQ(result.status.code(), Code::not_found);
  EXPECT_TRUE(result.source_is_bad);
}

TEST_P(CopyTest, notices_a_source_that_is_shorter_than_it_should_be) {
  const auto [source_async, target_async, bytes] = GetParam();
  FakeTier source(bytes, source_async);
  FakeTier target(bytes, target_async);
  source.content.resize(bytes - 1);
  const std::atomic<bool> stopping{false};
  const CopyResult result =
      copy_bytes(source.object(), target.object(), bytes, {}, background(), stopping);
  EXPECT_EQ(result.status.code(), Code::data_loss);
  EXPECT_TRUE(result.source_is_bad);
}

TEST_P(CopyTest, stops_when_the_host_does) {
  const auto [source_async, target_async, bytes] = GetParam();
  FakeTier source(bytes, source_async);
  FakeTier target(bytes, target_async);
  const std::atomic<bool> stopping{true};
  const CopyResult result =
      copy_bytes(source.object(), target.object(), bytes, {}, background(), stopping);
  EXPECT_EQ(result.status.code(), Code::cancelled);
}

// Ties this process's new threads and its own to one processor, and keeps that one busy.
class BusyProcessor {
 public:
  BusyProcessor() {
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(::sched_getcpu(), &one);
    ::sched_setaffinity(0, sizeof one, &one);
    for (int i = 0; i < 3; ++i) {
      threads_.emplace_back([this] {
        while (!done_) {
        }
      });
    }
  }
  ~BusyProcessor() {
    done_ = true;
    for (std::thread& thread : threads_) thread.join();
    ::sched_setaffinity(0, sizeof before_, &before_);
  }

 private:
  cpu_set_t before_{};
  std::atomic<bool> done_{false};
  std::vector<std::thread> threads_;
};

TEST(StarvationWatchTest, tells_a_thread_that_waits_for_the_processor_from_one_that_sleeps) {
  StarvationWatch resting;
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_FALSE(resting.starved());

  const BusyProcessor busy;
  WorkerPool pool(1, Priority::idle);
  bool starved = false;
  pool.run_there([&starved] {
    StarvationWatch watch;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!starved && std::chrono::steady_clock::now() < end) starved = watch.starved();
  });
  EXPECT_TRUE(starved);
}

TEST(CopyOnABusyProcessorTest, goes_on_without_the_background) {
  constexpr std::size_t bytes = 64 << 20;
  FakeTier source(bytes, false);
  FakeTier target(bytes, false);
  for (std::size_t at = 0; at < bytes; at += 4096) source.content[at] = std::byte{7};
  const BusyProcessor busy;
  Background background(make_threads(1, Priority::idle));
  const std::atomic<bool> stopping{false};
  const CopyResult result =
      copy_bytes(source.object(), target.object(), bytes, {}, background, stopping);
  EXPECT_TRUE(result.status.ok()) << result.status.to_string();
  EXPECT_EQ(source.content, target.content);

  // Not again the seconds that it takes to see that the background starves.
  background.starved_until = std::chrono::steady_clock::now() + std::chrono::hours(1);
  background.pool->stop();  // Would not run it.
  const CopyResult again =
      copy_bytes(target.object(), source.object(), bytes, result.checksum, background, stopping);
  EXPECT_TRUE(again.status.ok()) << again.status.to_string();
}

INSTANTIATE_TEST_SUITE_P(all, CopyTest,
                         testing::Combine(testing::Bool(), testing::Bool(),
                                          testing::Values(1u, 65'536u, 65'537u, 2'000'003u,
                                                          9'000'001u)));

}  // namespace
}  // namespace pm::mover
