#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "plugin_subject.h"
#include "store.h"

// Each kind of fault on a real repository: what the host is told, and what the store has.

namespace pm::contract {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class FaultRepository : public testing::Test {
 protected:
  void set(const std::string& toml) const {
    std::ofstream(folder_.path() + "/new") << toml;
    std::filesystem::rename(folder_.path() + "/new", folder_.path() + "/faults.toml");
  }
  void set_error(const std::string& operation, const std::string& status,
                 const std::string& more = {}) const {
    set("[[fault]]\nkind = 'error'\noperation = '" + operation + "'\nstatus = '" + status +
        "'\nmessage = 'told so'\n" + more);
  }
  Subject subject() const {
    return sqlite_behind_faults_subject(folder_.path() + "/store.db",
                                        folder_.path() + "/faults.toml");
  }
  static pm_status_t add(Store& store, const std::string& id) {
    return store.apply({put(thing, make_thing(id, 7, -3, "blob", "note"))});
  }
  static Records all(Store& store) { return store.scan({}).records; }

  const TemporaryFolder folder_;
};

TEST_F(FaultRepository, open_fails_as_told_and_works_again) {
  set_error("open", "ABORTED");
  const Store refused(subject());
  EXPECT_EQ(refused.status(), PM_ABORTED);
  EXPECT_EQ(refused.error(), "told so");
  set("");
  EXPECT_EQ(Store(subject()).status(), PM_OK);
}

TEST_F(FaultRepository, apply_fails_before_or_after_all_is_done) {
  Store store(subject());
  set_error("apply", "UNAVAILABLE");
  EXPECT_EQ(add(store, "a"), PM_UNAVAILABLE);
  EXPECT_EQ(take_error(), "told so");
  set_error("apply", "UNAVAILABLE", "after = true\n");
  EXPECT_TRUE(all(store).empty());
  EXPECT_EQ(add(store, "a"), PM_UNAVAILABLE);
  EXPECT_EQ(all(store).size(), 1u) << "the batch was not applied";
  set("[[fault]]\nkind = 'full'\n");
  EXPECT_EQ(add(store, "a"), PM_RESOURCE_EXHAUSTED);
  set("");
  EXPECT_EQ(add(store, "a"), PM_OK) << "sending the batch again is harmless";
  EXPECT_EQ(all(store).size(), 1u);
}

TEST_F(FaultRepository, get_and_scan_fail_as_told) {
  Store store(subject());
  ASSERT_EQ(add(store, "a"), PM_OK);
  set_error("get", "DATA_LOSS");
  EXPECT_EQ(store.get(thing, key_of(make_thing("a"))).status, PM_DATA_LOSS);
  EXPECT_EQ(all(store).size(), 1u);
  set_error("scan", "UNIMPLEMENTED");
  EXPECT_EQ(store.scan({}).status, PM_UNIMPLEMENTED);
  EXPECT_EQ(store.get(thing, key_of(make_thing("a"))).status, PM_OK);
}

TEST_F(FaultRepository, a_scan_that_is_cut_gives_the_first_records_and_says_ok) {
  Store store(subject());
  for (const char* id : {"a", "b", "c"}) ASSERT_EQ(add(store, id), PM_OK);
  set("[[fault]]\nkind = 'short_read'\ncount_max = 2\nrepeat = 'once'\n");
  const Found cut = store.scan({});
  EXPECT_EQ(cut.status, PM_OK);
  const Records whole = all(store);
  ASSERT_EQ(whole.size(), 3u);
  EXPECT_EQ(cut.records, Records(whole.begin(), whole.begin() + 2));
}

TEST_F(FaultRepository, a_spoilt_record_differs_in_one_value_and_the_store_is_as_it_was) {
  Store store(subject());
  for (const char* id : {"a", "b", "c"}) ASSERT_EQ(add(store, id), PM_OK);
  const Records whole = all(store);
  for (int seed = 0; seed < 20; ++seed) {
    set("[[fault]]\nkind = 'corrupt'\nrepeat = 'once'\nseed = " + std::to_string(seed) + "\n");
    const Records spoilt = all(store);
    ASSERT_EQ(spoilt.size(), whole.size());
    std::size_t values = 0;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      for (std::size_t n = 0; n < whole[i].size(); ++n) values += !(spoilt[i][n] == whole[i][n]);
    }
    EXPECT_EQ(values, 1u) << "seed " << seed;
    EXPECT_EQ(all(store), whole);
  }
}

TEST_F(FaultRepository, calls_are_late_or_hang_until_the_schedule_changes) {
  Store store(subject());
  set("[[fault]]\nkind = 'latency'\noperation = 'apply'\nlatency_ms = 120\n");
  const auto begin = steady_clock::now();
  EXPECT_EQ(add(store, "a"), PM_OK);
  EXPECT_GE(steady_clock::now() - begin, milliseconds(120));
  set("[[fault]]\nkind = 'hang'\noperation = 'apply'\n");
  auto applying = std::async(std::launch::async, [&] { return add(store, "b"); });
  EXPECT_EQ(applying.wait_for(milliseconds(100)), std::future_status::timeout);
  EXPECT_EQ(all(store).size(), 1u) << "reading hangs too";
  set("");
  ASSERT_EQ(applying.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_EQ(applying.get(), PM_OK);
  EXPECT_EQ(all(store).size(), 2u);
}

}  // namespace
}  // namespace pm::contract
