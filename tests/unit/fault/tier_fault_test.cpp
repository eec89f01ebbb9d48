#include <gtest/gtest.h>
#include <pm/ext/draft/tier_async.h>
#include <pm/ext/draft/tier_upload.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <fstream>
#include <future>
#include <numeric>
#include <thread>

#include "harness.h"

// Each kind of fault on a real tier: what the host is told, and what is on the medium.

namespace pm::check {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

Subject faulty_disk() {
  const char* build = std::getenv("PM_BUILD_DIR");
  const auto plugin = std::filesystem::path(build == nullptr ? "." : build) /
                      "lib/payload-manager-test/tier-fault.so";
  return {"fault_disk", plugin,
          R"({"plugin": "tier-disk", "schedule_file": "@DIRECTORY@/faults.toml",)"
          R"( "config": {"root": "@DIRECTORY@/root", "capacity_bytes": @CAPACITY@}})"};
}

std::uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

// One transfer, to be waited for.
struct Transfer {
  pm_transfer_t asked{};
  std::mutex mutex;
  std::condition_variable changed;
  int done = 0;
  pm_status_t status = PM_OK;
  std::uint64_t count = 0;
  std::string message;

  static void on_done(void* data, pm_status_t status, std::uint64_t count, const char* message) {
    auto& self = *static_cast<Transfer*>(data);
    const std::lock_guard lock(self.mutex);
    ++self.done;
    self.status = status;
    self.count = count;
    self.message = message == nullptr ? "" : message;
    self.changed.notify_all();
  }
  bool ends_within(milliseconds limit) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, limit, [this] { return done > 0; });
  }
};

class FaultTier : public testing::Test {
 protected:
  static constexpr std::uint64_t length = 10'000;

  void set(const std::string& toml) const {
    std::ofstream(bench_.directory() / "new") << toml;
    std::filesystem::rename(bench_.directory() / "new", bench_.directory() / "faults.toml");
  }
  void set_error(const std::string& operation, const std::string& status,
                 const std::string& more = {}) const {
    set("[[fault]]\nkind = 'error'\noperation = '" + operation + "'\nstatus = '" + status + "'\n" +
        more);
  }
  pm_status_t read(const Object& object, std::vector<std::uint8_t>& bytes,
                   std::uint64_t& count) const {
    bytes.assign(object.length, 0);
    return bench_.read(object, 0, bytes.data(), bytes.size(), count);
  }
  static int differences(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0, std::plus<>(),
                              std::not_equal_to<>());
  }
  const pm_tier_async_t* async() const {
    return static_cast<const pm_tier_async_t*>(
        bench_.tier()->get_extension(bench_.tier(), PM_TIER_ASYNC));
  }
  pm_status_t submit(const Object& object, bool is_write, std::vector<std::uint8_t>& bytes,
                     Transfer& transfer) const {
    transfer.asked = {
        sizeof(pm_transfer_t), is_write ? 1u : 0u, object.id,         object.cookie, 0,
        bytes.size(),          bytes.data(),       Transfer::on_done, &transfer};
    return async()->submit(bench_.tier(), &transfer.asked);
  }
  pm_status_t seal_by(const Object& object, std::uint64_t deadline_ns) const {
    pm_call_context_t context{};
    context.size = sizeof context;
    context.deadline_ns = deadline_ns;
    return bench_.tier()->seal(bench_.tier(), &context, &object.id, &object.cookie, object.length);
  }

  Bench bench_{faulty_disk()};
};

TEST_F(FaultTier, each_operation_fails_as_told_and_works_again) {
  set_error("allocate", "UNAVAILABLE");
  Object object;
  object.id = new_id();
  object.length = length;
  EXPECT_EQ(bench_.allocate(object), PM_UNAVAILABLE);
  set_error("write", "INTERNAL");
  ASSERT_EQ(bench_.allocate(object), PM_OK);
  const auto bytes = pattern(length, 3);
  EXPECT_EQ(bench_.write(object, 0, bytes.data(), length), PM_INTERNAL);
  set_error("seal", "DATA_LOSS");
  ASSERT_EQ(bench_.write(object, 0, bytes.data(), length), PM_OK);
  EXPECT_EQ(bench_.seal(object), PM_DATA_LOSS);
  set_error("locate", "OUT_OF_RANGE");
  ASSERT_EQ(bench_.seal(object), PM_OK);
  pm_location_t location{};
  EXPECT_EQ(bench_.locate(object, location), PM_OUT_OF_RANGE);
  set_error("read", "NOT_FOUND");
  std::vector<std::uint8_t> found;
  std::uint64_t count = 0;
  EXPECT_EQ(read(object, found, count), PM_NOT_FOUND);
  set_error("enumerate", "ABORTED");
  EXPECT_EQ(
      bench_.enumeration()->enumerate(
          bench_.tier(), nullptr, [](void*, const pm_tier_object_t*) { return true; }, nullptr),
      PM_ABORTED);
  set_error("adopt", "DATA_LOSS");
  bench_.restart();
  EXPECT_EQ(bench_.adopt(object), PM_DATA_LOSS);
  set_error("remove", "PERMISSION_DENIED");
  ASSERT_EQ(bench_.adopt(object), PM_OK);
  EXPECT_EQ(bench_.remove(object), PM_PERMISSION_DENIED);
  bench_.require_bytes(object, 3);
  set("");
  EXPECT_EQ(bench_.remove(object), PM_OK);
  EXPECT_EQ(bench_.usage().objects, 0u);
}

TEST_F(FaultTier, set_length_fails_as_told_and_works_again) {
  const auto* upload = static_cast<const pm_tier_upload_t*>(
      bench_.tier()->get_extension(bench_.tier(), PM_TIER_UPLOAD));
  ASSERT_NE(upload, nullptr);
  const Object object = bench_.make(length);
  pm_location_t location{};
  ASSERT_EQ(bench_.locate(object, location), PM_OK);
  std::filesystem::resize_file(location.text, 100);
  const auto shorten = [&] {
    return upload->set_length(bench_.tier(), nullptr, &object.id, &object.cookie, length, 100);
  };
  set_error("set_length", "INTERNAL");
  EXPECT_EQ(shorten(), PM_INTERNAL);
  set("");
  EXPECT_EQ(shorten(), PM_OK);
}

TEST_F(FaultTier, an_error_after_all_is_done_leaves_it_done) {
  const Object object = bench_.make_sealed(length, 1);
  set_error("remove", "UNAVAILABLE", "after = true\n");
  EXPECT_EQ(bench_.remove(object), PM_UNAVAILABLE);
  set("");
  EXPECT_EQ(bench_.usage().objects, 0u);
  EXPECT_EQ(bench_.remove(object), PM_NOT_FOUND);
}

TEST_F(FaultTier, a_full_medium_takes_nothing_until_something_leaves) {
  const Object first = bench_.make_sealed(length, 1);
  set("[[fault]]\nkind = 'full'\noperation = 'allocate'\nused_bytes_max = 20000\n");
  Object second;
  second.id = new_id();
  second.length = length;
  EXPECT_EQ(bench_.allocate(second), PM_RESOURCE_EXHAUSTED) << "12288 are used, 22288 wanted";
  EXPECT_EQ(bench_.usage().objects, 1u);
  ASSERT_EQ(bench_.remove(first), PM_OK);
  EXPECT_EQ(bench_.allocate(second), PM_OK);
  set("[[fault]]\nkind = 'full'\n");
  const auto bytes = pattern(length, 2);
  EXPECT_EQ(bench_.write(second, 0, bytes.data(), length), PM_RESOURCE_EXHAUSTED);
}

TEST_F(FaultTier, a_short_read_gives_fewer_bytes_and_they_are_right) {
  const Object object = bench_.make_sealed(length, 5);
  set("[[fault]]\nkind = 'short_read'\n");
  std::vector<std::uint8_t> bytes;
  std::uint64_t count = 0;
  ASSERT_EQ(read(object, bytes, count), PM_OK);
  EXPECT_EQ(count, length / 2);
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.begin() + length / 2, pattern(length, 5).begin()));
  set("[[fault]]\nkind = 'short_read'\ncount_max = 0\n");
  ASSERT_EQ(read(object, bytes, count), PM_OK);
  EXPECT_EQ(count, 0u);
}

TEST_F(FaultTier, a_spoilt_read_has_one_other_byte_and_the_medium_is_as_it_was) {
  const Object object = bench_.make_sealed(length, 5);
  set("[[fault]]\nkind = 'corrupt'\noperation = 'read'\nrepeat = 'once'\n");
  std::vector<std::uint8_t> bytes;
  std::uint64_t count = 0;
  ASSERT_EQ(read(object, bytes, count), PM_OK);
  EXPECT_EQ(count, length);
  EXPECT_EQ(differences(bytes, pattern(length, 5)), 1);
  bench_.require_bytes(object, 5);
}

TEST_F(FaultTier, a_spoilt_write_is_what_the_medium_keeps_and_the_source_stays) {
  const Object object = bench_.make(length);
  set("[[fault]]\nkind = 'corrupt'\noperation = 'write'\noffset_bytes = 17\n");
  const auto source = pattern(length, 6);
  ASSERT_EQ(bench_.write(object, 0, source.data(), length), PM_OK);
  EXPECT_EQ(source, pattern(length, 6));
  set("");
  ASSERT_EQ(bench_.seal(object), PM_OK);
  std::vector<std::uint8_t> bytes;
  std::uint64_t count = 0;
  ASSERT_EQ(read(object, bytes, count), PM_OK);
  EXPECT_EQ(differences(bytes, source), 1);
  EXPECT_NE(bytes[17], source[17]);
}

TEST_F(FaultTier, latency_makes_a_call_late_and_no_other) {
  const Object object = bench_.make(length);
  set("[[fault]]\nkind = 'latency'\noperation = 'seal'\nlatency_ms = 150\n");
  auto begin = steady_clock::now();
  bench_.fill(object, 1);
  EXPECT_LT(steady_clock::now() - begin, milliseconds(100));
  begin = steady_clock::now();
  EXPECT_EQ(bench_.seal(object), PM_OK);
  EXPECT_GE(steady_clock::now() - begin, milliseconds(150));
}

TEST_F(FaultTier, a_hang_ends_when_the_schedule_changes_and_the_call_is_done_then) {
  const Object other = bench_.make_sealed(length, 9);
  const Object object = bench_.make(length);
  bench_.fill(object, 4);
  set("[[fault]]\nkind = 'hang'\noperation = 'seal'\n");
  auto sealing = std::async(std::launch::async, [&] { return bench_.seal(object); });
  EXPECT_EQ(sealing.wait_for(milliseconds(100)), std::future_status::timeout);
  bench_.require_bytes(other, 9);
  set("");
  ASSERT_EQ(sealing.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_EQ(sealing.get(), PM_OK);
  bench_.require_bytes(object, 4);
}

TEST_F(FaultTier, a_hang_ends_with_the_deadline_of_the_call_and_nothing_was_done) {
  const Object object = bench_.make(length);
  set("[[fault]]\nkind = 'hang'\noperation = 'seal'\n");
  const auto begin = steady_clock::now();
  EXPECT_EQ(seal_by(object, now_ns() + 100'000'000), PM_DEADLINE_EXCEEDED);
  EXPECT_GE(steady_clock::now() - begin, milliseconds(100));
  const auto found = bench_.list();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found.front().sealed, 0u);
}

TEST_F(FaultTier, a_hang_ends_when_nobody_wants_the_call_any_more) {
  const Object object = bench_.make(length);
  set("[[fault]]\nkind = 'hang'\noperation = 'seal'\n");
  std::atomic<bool> unwanted{false};
  pm_call_context_t context{};
  context.size = sizeof context;
  context.host_data = &unwanted;
  context.is_cancelled = [](const pm_call_context_t* self) {
    return static_cast<std::atomic<bool>*>(self->host_data)->load();
  };
  auto sealing = std::async(std::launch::async, [&] {
    return bench_.tier()->seal(bench_.tier(), &context, &object.id, &object.cookie, length);
  });
  EXPECT_EQ(sealing.wait_for(milliseconds(50)), std::future_status::timeout);
  unwanted = true;
  ASSERT_EQ(sealing.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_EQ(sealing.get(), PM_CANCELLED);
}

TEST_F(FaultTier, transfers_have_the_faults_of_reads_and_writes) {
  if (async() == nullptr) GTEST_SKIP() << "no io_uring here";
  const Object object = bench_.make_sealed(length, 5);
  std::vector<std::uint8_t> bytes(length);
  const auto moved = [&](const std::string& toml, Transfer& transfer) {
    set(toml);
    EXPECT_EQ(submit(object, false, bytes, transfer), PM_OK);
    EXPECT_TRUE(transfer.ends_within(std::chrono::seconds(20)));
  };
  Transfer good;
  moved("", good);
  EXPECT_EQ(good.status, PM_OK);
  EXPECT_EQ(bytes, pattern(length, 5));
  Transfer failed;
  moved("[[fault]]\nkind = 'error'\noperation = 'read'\nstatus = 'NOT_FOUND'\nmessage = 'gone'\n",
        failed);
  EXPECT_EQ(failed.status, PM_NOT_FOUND);
  EXPECT_EQ(failed.message, "gone");
  Transfer late_failure;
  moved("[[fault]]\nkind = 'error'\noperation = 'read'\nstatus = 'ABORTED'\nafter = true\n",
        late_failure);
  EXPECT_EQ(late_failure.status, PM_ABORTED);
  Transfer cut;
  moved("[[fault]]\nkind = 'short_read'\ncount_max = 100\n", cut);
  EXPECT_EQ(cut.status, PM_OK);
  EXPECT_EQ(cut.count, 100u);
  Transfer spoilt;
  moved("[[fault]]\nkind = 'corrupt'\noperation = 'read'\n", spoilt);
  EXPECT_EQ(spoilt.status, PM_OK);
  EXPECT_EQ(differences(bytes, pattern(length, 5)), 1);
  for (const Transfer* each : {&good, &failed, &late_failure, &cut, &spoilt}) {
    EXPECT_EQ(each->done, 1);
  }
}

TEST_F(FaultTier, transfers_into_the_tier_can_be_spoilt_and_find_it_full) {
  if (async() == nullptr) GTEST_SKIP() << "no io_uring here";
  const Object object = bench_.make(length);
  auto bytes = pattern(length, 8);
  set("[[fault]]\nkind = 'full'\noperation = 'write'\n");
  Transfer full;
  ASSERT_EQ(submit(object, true, bytes, full), PM_OK);
  ASSERT_TRUE(full.ends_within(std::chrono::seconds(20)));
  EXPECT_EQ(full.status, PM_RESOURCE_EXHAUSTED);
  set("[[fault]]\nkind = 'corrupt'\noperation = 'write'\n");
  Transfer spoilt;
  ASSERT_EQ(submit(object, true, bytes, spoilt), PM_OK);
  ASSERT_TRUE(spoilt.ends_within(std::chrono::seconds(20)));
  EXPECT_EQ(spoilt.status, PM_OK);
  EXPECT_EQ(bytes, pattern(length, 8)) << "the host's buffer was changed";
  set("");
  ASSERT_EQ(bench_.seal(object), PM_OK);
  std::vector<std::uint8_t> found;
  std::uint64_t count = 0;
  ASSERT_EQ(read(object, found, count), PM_OK);
  EXPECT_EQ(differences(found, bytes), 1);
}

TEST_F(FaultTier, the_start_of_a_transfer_can_be_refused) {
  if (async() == nullptr) GTEST_SKIP() << "no io_uring here";
  const Object object = bench_.make_sealed(length, 5);
  std::vector<std::uint8_t> bytes(length);
  set_error("submit", "RESOURCE_EXHAUSTED");
  Transfer refused;
  EXPECT_EQ(submit(object, false, bytes, refused), PM_RESOURCE_EXHAUSTED);
  EXPECT_FALSE(refused.ends_within(milliseconds(30)));
}

TEST_F(FaultTier, transfers_that_hang_or_are_late_hold_up_no_other_call) {
  if (async() == nullptr) GTEST_SKIP() << "no io_uring here";
  const Object object = bench_.make_sealed(length, 5);
  std::vector<std::uint8_t> bytes(length);
  set("[[fault]]\nkind = 'latency'\noperation = 'read'\nlatency_ms = 120\n");
  Transfer late;
  auto begin = steady_clock::now();
  ASSERT_EQ(submit(object, false, bytes, late), PM_OK);
  EXPECT_LT(steady_clock::now() - begin, milliseconds(100)) << "submit waited";
  ASSERT_TRUE(late.ends_within(std::chrono::seconds(20)));
  EXPECT_GE(steady_clock::now() - begin, milliseconds(120));
  EXPECT_EQ(bytes, pattern(length, 5));

  bytes.assign(length, 0);
  set("[[fault]]\nkind = 'hang'\noperation = 'read'\nrepeat = 'once'\n");
  Transfer hung;
  ASSERT_EQ(submit(object, false, bytes, hung), PM_OK);
  EXPECT_FALSE(hung.ends_within(milliseconds(100)));
  std::vector<std::uint8_t> others(length);
  Transfer other;
  ASSERT_EQ(submit(object, false, others, other), PM_OK);
  ASSERT_TRUE(other.ends_within(std::chrono::seconds(20)));
  EXPECT_EQ(others, pattern(length, 5));
  set("");
  ASSERT_TRUE(hung.ends_within(std::chrono::seconds(20)));
  EXPECT_EQ(hung.status, PM_OK);
  EXPECT_EQ(bytes, pattern(length, 5));
}

TEST_F(FaultTier, transfers_that_hang_end_with_the_tier) {
  if (async() == nullptr) GTEST_SKIP() << "no io_uring here";
  const Object object = bench_.make_sealed(length, 5);
  std::vector<std::uint8_t> bytes(length);
  set("[[fault]]\nkind = 'hang'\noperation = 'read'\n");
  Transfer hung;
  ASSERT_EQ(submit(object, false, bytes, hung), PM_OK);
  bench_.restart();
  EXPECT_EQ(hung.done, 1);
  EXPECT_EQ(hung.status, PM_CANCELLED);
}

TEST(FaultTierExtensions, that_nobody_knows_pass_through_with_the_data_of_the_inner_tier) {
  struct Answer {
    std::uint64_t (*get)(const pm_tier_t* tier);
  };
  Subject subject = faulty_disk();
  subject.config = R"({"plugin": ")" + std::string(std::getenv("PM_EXTENDED_TIER")) + R"("})";
  const Bench bench(subject);
  const auto* answer =
      static_cast<const Answer*>(bench.tier()->get_extension(bench.tier(), "org.example.answer/1"));
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer->get(bench.tier()), 42u);
  // And those that the inner tier does not have are not there.
  for (const char* id : {PM_TIER_ASYNC, PM_TIER_ENUMERATE, PM_TIER_UPLOAD}) {
    EXPECT_EQ(bench.tier()->get_extension(bench.tier(), id), nullptr) << id;
  }
  EXPECT_EQ(bench.info().inline_bytes_max, 0u) << "a call may be late, so none is done inline";
}

// What create() says of a wrong configuration.
TEST(FaultTierConfig, is_refused_with_what_is_wrong) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"plugin": "tier-none"})", "plugin: there is neither"},
      {R"({"plugin": "/nonexistent/tier.so"})", "plugin: /nonexistent/tier.so"},
      {R"({"plugin": "repository-memory"})", "is a pm.repository/1, and a pm.tier/1 is needed"},
      {R"({"plugin": "tier-disk"})", "config.root: the inner plugin needs it"},
      {R"({"plugin": "tier-disk", "config": {"root": "@DIRECTORY@/x", "rot": 1}})",
       "config.rot: the inner plugin has no such key"},
      {R"({"plugin": "tier-disk", "config": {"root": "/dev/null/x"}})", "/dev/null/x"},
      {R"({"plugin": "tier-void", "fault": [{"kind": "hang", "operation": "locate"}]})",
       "fault[0].operation: `locate` cannot have this kind of fault"}};
  for (const auto& [config, wanted] : cases) {
    Subject subject = faulty_disk();
    subject.config = config;
    try {
      const Bench bench(subject);
      ADD_FAILURE() << config << " is taken";
    } catch (const std::exception& error) {
      EXPECT_NE(std::string(error.what()).find(wanted), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace pm::check
