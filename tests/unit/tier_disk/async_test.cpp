#include <algorithm>
#include <condition_variable>
#include <thread>

#include "disk_tier.h"

namespace pm::test {
namespace {

// Gathers completions, and waits for them.
class Completions {
 public:
  static void on_done(void* data, pm_status_t status, std::uint64_t count, const char* message) {
    static_cast<Completions*>(data)->add(status, count, message);
  }
  void wait_for(std::size_t number) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_ >= number; });
  }
  std::size_t done() const {
    std::lock_guard lock(mutex_);
    return done_;
  }
  std::uint64_t bytes() const {
    std::lock_guard lock(mutex_);
    return bytes_;
  }
  pm_status_t last_failure() const {
    std::lock_guard lock(mutex_);
    return last_failure_;
  }
  std::string last_message() const {
    std::lock_guard lock(mutex_);
    return last_message_;
  }

 private:
  void add(pm_status_t status, std::uint64_t count, const char* message) {
    std::lock_guard lock(mutex_);
    ++done_;
    bytes_ += count;
    if (status != PM_OK) last_failure_ = status;
    if (message != nullptr) last_message_ = message;
    changed_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t done_ = 0;
  std::uint64_t bytes_ = 0;
  pm_status_t last_failure_ = PM_OK;
  std::string last_message_;
};

struct DiskAsync : testing::Test {
  const TemporaryDirectory directory;
  const SmallHost host;
  DiskTier tier{host, directory.path()};
  const std::uint64_t chunk = tier.info().chunk_bytes_preferred;

  void SetUp() override {
    if (tier.async() == nullptr) GTEST_SKIP() << "no io_uring here: " << host.logged();
  }
  static pm_transfer_t transfer(const pm_object_id_t& object, bool is_write, std::uint64_t offset,
                                std::uint64_t length, char* buffer, Completions& completions) {
    return {sizeof(pm_transfer_t), is_write ? 1u : 0u, object, {}, offset, length, buffer,
            Completions::on_done,  &completions};
  }
  // Moves all of an object by transfers that are all in flight at once.
  void move_all(const pm_object_id_t& object, bool is_write, char* data, std::uint64_t length,
                std::uint64_t step) {
    Completions completions;
    std::size_t submitted = 0;
    for (std::uint64_t offset = 0; offset < length; offset += step, ++submitted)
      ASSERT_EQ(tier.submit(transfer(object, is_write, offset, std::min(step, length - offset),
                                     data + offset, completions)),
                PM_OK)
          << host.error();
    completions.wait_for(submitted);
    EXPECT_EQ(completions.last_failure(), PM_OK) << completions.last_message();
    EXPECT_EQ(completions.bytes(), length);
    EXPECT_EQ(completions.done(), submitted);
  }
};

TEST_F(DiskAsync, what_is_written_is_read_at_any_length) {
  for (const std::uint64_t length : {std::uint64_t{1}, std::uint64_t{4095}, std::uint64_t{4097},
                                     (std::uint64_t{1} << 20) + 7, 8 * chunk, 9 * chunk + 4095}) {
    const auto object = DiskTier::id(1, length);
    AlignedBuffer source(length);
    AlignedBuffer target(length);
    fill(source.data(), length, length);
    ASSERT_EQ(tier.allocate(object, length), PM_OK) << host.error();
    move_all(object, true, source.data(), length, chunk);
    ASSERT_EQ(tier.seal(object, length), PM_OK) << host.error();
    move_all(object, false, target.data(), length, chunk);
    EXPECT_EQ(std::memcmp(source.data(), target.data(), length), 0) << length;
  }
}

TEST_F(DiskAsync, unaligned_steps_meet_without_damage) {
  const std::uint64_t length = (5 << 20) + 999;
  const auto object = DiskTier::id(2);
  AlignedBuffer source(length);
  AlignedBuffer target(length);
  fill(source.data(), length, 3);
  ASSERT_EQ(tier.allocate(object, length), PM_OK);
  move_all(object, true, source.data(), length, 300001);
  ASSERT_EQ(tier.seal(object, length), PM_OK) << host.error();
  move_all(object, false, target.data(), length, 777777);
  EXPECT_EQ(std::memcmp(source.data(), target.data(), length), 0);
}

TEST_F(DiskAsync, read_across_the_end_is_short) {
  const auto object = DiskTier::id(3);
  tier.put(object, pattern(chunk / 2 + 7));
  AlignedBuffer target(chunk);
  Completions completions;
  ASSERT_EQ(tier.submit(transfer(object, false, 0, chunk, target.data(), completions)), PM_OK);
  completions.wait_for(1);
  EXPECT_EQ(completions.last_failure(), PM_OK);
  EXPECT_EQ(completions.bytes(), chunk / 2 + 7);
}

TEST_F(DiskAsync, destroy_lets_every_transfer_end) {
  const std::uint64_t length = 16 * chunk;
  const auto object = DiskTier::id(4);
  AlignedBuffer source(length);
  ASSERT_EQ(tier.allocate(object, length), PM_OK);
  Completions completions;
  for (unsigned i = 0; i < 16; ++i)
    ASSERT_EQ(tier.submit(
                  transfer(object, true, i * chunk, chunk, source.data() + i * chunk, completions)),
              PM_OK);
  tier.close();
  EXPECT_EQ(completions.done(), 16u);
  EXPECT_EQ(completions.bytes(), length);
}

TEST_F(DiskAsync, destroy_leaves_no_thread_and_no_descriptor) {
  const auto entries = [](const char* path) {
    return std::distance(std::filesystem::directory_iterator(path), {});
  };
  tier.close();
  // Joined threads may stay listed for a moment, and sanitizers have one of their own.
  const auto threads = entries("/proc/self/task");
  const auto descriptors = entries("/proc/self/fd");
  {
    DiskTier other(host, directory.path());
    const auto object = DiskTier::id(5);
    AlignedBuffer source(chunk);
    ASSERT_EQ(other.allocate(object, chunk), PM_OK);
    Completions completions;
    ASSERT_EQ(other.submit(transfer(object, true, 0, chunk, source.data(), completions)), PM_OK);
    completions.wait_for(1);
    EXPECT_GT(entries("/proc/self/fd"), descriptors);
  }
  for (int i = 0; i < 100 && entries("/proc/self/task") > threads; ++i) ::usleep(10000);
  EXPECT_LE(entries("/proc/self/task"), threads);
  EXPECT_EQ(entries("/proc/self/fd"), descriptors);
}

TEST_F(DiskAsync, refuses_what_it_cannot_start) {
  const auto object = DiskTier::id(6);
  AlignedBuffer buffer(2 * chunk);
  Completions completions;
  EXPECT_EQ(tier.submit(transfer(object, true, 0, 1, buffer.data(), completions)), PM_NOT_FOUND);
  EXPECT_EQ(tier.submit(transfer(object, false, 0, 1, buffer.data(), completions)), PM_NOT_FOUND);
  ASSERT_EQ(tier.allocate(object, chunk), PM_OK);
  EXPECT_EQ(tier.submit(transfer(object, true, 1, chunk, buffer.data(), completions)),
            PM_OUT_OF_RANGE);
  EXPECT_EQ(tier.submit(transfer(object, true, 0, 2 * chunk, buffer.data(), completions)),
            PM_INVALID_ARGUMENT);
  EXPECT_EQ(tier.submit(transfer(object, true, 0, 1, nullptr, completions)), PM_INVALID_ARGUMENT);
  ASSERT_EQ(tier.seal(object, chunk), PM_OK);
  EXPECT_EQ(tier.submit(transfer(object, true, 0, 1, buffer.data(), completions)),
            PM_FAILED_PRECONDITION);
  EXPECT_EQ(completions.done(), 0u);
}

TEST_F(DiskAsync, too_many_are_refused_and_the_others_end) {
  const auto object = DiskTier::id(7);
  ASSERT_EQ(tier.allocate(object, chunk), PM_OK);
  AlignedBuffer buffer(chunk);
  Completions completions;
  std::size_t accepted = 0;
  pm_status_t status = PM_OK;
  for (int i = 0; i < 100000 && status == PM_OK; ++i) {
    status = tier.submit(transfer(object, true, 0, chunk, buffer.data(), completions));
    if (status == PM_OK) ++accepted;
  }
  EXPECT_EQ(status, PM_RESOURCE_EXHAUSTED);
  EXPECT_GE(accepted, 8u);
  completions.wait_for(accepted);
  tier.close();
  EXPECT_EQ(completions.done(), accepted);
}

TEST_F(DiskAsync, many_threads_submit_and_end) {
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  std::vector<std::unique_ptr<AlignedBuffer>> buffers;
  Completions completions;  // Of the threads that end while their transfers run.
  for (unsigned t = 0; t < 4; ++t) buffers.push_back(std::make_unique<AlignedBuffer>(4 * chunk));
  for (unsigned t = 0; t < 4; ++t) ASSERT_EQ(tier.allocate(DiskTier::id(20 + t), 4 * chunk), PM_OK);
  for (unsigned t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      fill(buffers[t]->data(), 4 * chunk, t);
      for (unsigned i = 0; i < 4; ++i)
        if (tier.submit(transfer(DiskTier::id(20 + t), true, i * chunk, chunk,
                                 buffers[t]->data() + i * chunk, completions)) != PM_OK)
          ++failures;
    });
  for (auto& thread : threads) thread.join();
  completions.wait_for(16);
  EXPECT_EQ(failures, 0) << host.error();
  EXPECT_EQ(completions.last_failure(), PM_OK) << completions.last_message();
  for (unsigned t = 0; t < 4; ++t) {
    ASSERT_EQ(tier.seal(DiskTier::id(20 + t), 4 * chunk), PM_OK);
    EXPECT_EQ(tier.get(DiskTier::id(20 + t), 4 * chunk), pattern(4 * chunk, t));
  }
}

}  // namespace
}  // namespace pm::test
