#include "oracle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "workload.h"

// Each rule of the oracle is broken on purpose: by a change of the media, or of the log.

namespace pm::crash {
namespace {

namespace fs = std::filesystem;

class Oracle : public testing::Test {
 protected:
  Oracle() : workload_(1) {
    EXPECT_TRUE(host_.start_ready()) << host_.log();
    client_.emplace(host_.client());
    workload_.put(*client_, 10'000, {.tier = client::Tier::ram});
    EXPECT_TRUE(workload_.violations().empty());
  }

  // Where the only payload lies, in memory.
  std::string place() { return "/dev/shm" + client_->resolve(known().id)->location.name; }
  Known& known() { return workload_.last(); }

  void spoil(const std::string& path) {
    ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
    std::fstream(path, std::ios::in | std::ios::out | std::ios::binary) << "other bytes";
  }

  // Whether something broke this rule, and nothing another one.
  void expect_only(const std::string& rule) {
    EXPECT_FALSE(workload_.violations().empty()) << rule << " was not found broken";
    for (const std::string& violation : workload_.violations()) {
      EXPECT_TRUE(violation.starts_with(rule + ":")) << violation;
    }
  }

  bool audit() {
    return integration::audit_payloads(*client_, workload_.known(), workload_.violations());
  }
  void audit_room() {
    integration::audit_room(host_, *client_, workload_.violations(),
                            std::chrono::milliseconds(500));
  }

  HostProcess host_;
  std::optional<client::Client> client_;
  Workload workload_;
};

TEST_F(Oracle, finds_nothing_where_nothing_is_wrong) {
  EXPECT_TRUE(audit());
  EXPECT_TRUE(integration::audit_list(*client_, integration::committed_ids(workload_.known()),
                                      workload_.violations()));
  integration::audit_repeats(*client_, workload_.requests(), workload_.known(),
                             workload_.violations());
  audit_room();
  integration::audit_names(host_, integration::own_names(host_), workload_.violations());
  EXPECT_THAT(workload_.violations(), testing::IsEmpty());
}

TEST_F(Oracle, finds_a_commit_that_is_lost) {
  ASSERT_TRUE(client_->erase(known().id).ok());
  EXPECT_TRUE(audit());
  expect_only("I1");
}

TEST_F(Oracle, finds_bytes_that_changed) {
  spoil(place());
  EXPECT_TRUE(audit());
  expect_only("I1");
}

TEST_F(Oracle, finds_a_commit_that_is_not_listed) {
  ASSERT_TRUE(client_->erase(known().id).ok());
  EXPECT_TRUE(integration::audit_list(*client_, {known().id}, workload_.violations()));
  expect_only("I1");
}

TEST_F(Oracle, finds_a_payload_that_nobody_committed) {
  known().fate = Fate::uncommitted;
  EXPECT_TRUE(audit());
  expect_only("I2");
}

TEST_F(Oracle, finds_a_descriptor_without_bytes) {
  ASSERT_TRUE(fs::remove(place()));
  EXPECT_TRUE(audit());
  expect_only("I3");
}

TEST_F(Oracle, finds_an_orphan_on_disk) {
  fs::create_directories(host_.disk_root() / "00/00");
  std::ofstream(host_.disk_root() / "00/00" / (known().id.to_string() + ".0000010000000001.part"));
  audit_room();
  expect_only("I4");
}

TEST_F(Oracle, finds_an_orphan_in_shared_memory) {
  const std::string path = place();
  std::string other = path;
  other.back() = other.back() == '0' ? '1' : '0';
  fs::copy_file(path, other);
  audit_room();
  expect_only("I4");
}

TEST_F(Oracle, finds_a_file_that_is_missing) {
  ASSERT_TRUE(client_->promote(known().id, client::Tier::disk).ok());
  for (const std::string& file : host_.files()) fs::remove(host_.disk_root() / file);
  audit_room();
  expect_only("I4");
}

TEST_F(Oracle, finds_an_allocation_that_is_counted_and_has_no_row) {
  ASSERT_TRUE(client_->allocate(5'000, {.tier = client::Tier::ram}).ok());
  audit_room();
  expect_only("I4");
}

TEST_F(Oracle, finds_a_delete_that_is_undone) {
  known().fate = Fate::deleted;
  EXPECT_TRUE(audit());
  expect_only("I5");
}

TEST_F(Oracle, finds_a_payload_that_is_listed_for_no_reason) {
  EXPECT_TRUE(integration::audit_list(*client_, {}, workload_.violations()));
  expect_only("I5");
}

TEST_F(Oracle, finds_a_leased_copy_that_was_removed) {
  const auto held = integration::HeldLease::take(*client_, known(), {});
  ASSERT_TRUE(held.ok());
  ASSERT_TRUE(fs::remove(place()));
  held->check(workload_.violations());
  expect_only("I6");
}

TEST_F(Oracle, finds_a_leased_copy_that_was_overwritten) {
  const auto held = integration::HeldLease::take(*client_, known(), {});
  ASSERT_TRUE(held.ok());
  spoil(place());
  held->check(workload_.violations());
  expect_only("I6");
}

TEST_F(Oracle, finds_a_revision_that_went_back) {
  known().version += 5;
  EXPECT_TRUE(audit());
  expect_only("I7");
}

TEST_F(Oracle, finds_a_payload_that_moved_under_one_revision) {
  known().tier = client::Tier::disk;
  EXPECT_TRUE(audit());
  expect_only("I7");
}

TEST_F(Oracle, finds_a_repeat_that_is_answered_otherwise) {
  std::vector<Request> requests = workload_.requests();
  requests.back().version += 1;
  integration::audit_repeats(*client_, requests, workload_.known(), workload_.violations());
  expect_only("I8");
}

TEST_F(Oracle, finds_a_request_that_was_forgotten) {
  std::vector<Request> requests = workload_.requests();
  requests.back().request_id = "never sent";
  integration::audit_repeats(*client_, requests, workload_.known(), workload_.violations());
  expect_only("I8");
}

TEST_F(Oracle, finds_a_payload_that_is_still_on_its_way) {
  const auto allocated = workload_.allocate(*client_, 5'000, {.tier = client::Tier::ram});
  ASSERT_TRUE(allocated.ok());
  known().fate = Fate::unknown;
  EXPECT_TRUE(audit());
  // Nobody can read it, either.
  EXPECT_TRUE(std::any_of(workload_.violations().begin(), workload_.violations().end(),
                          [](const std::string& what) { return what.starts_with("I10:"); }));
}

TEST_F(Oracle, finds_a_file_that_is_left_over) {
  const std::set<std::string> before = integration::own_names(host_);
  std::ofstream(host_.state_directory() / "catalog.sqlite.tmp");
  integration::audit_names(host_, before, workload_.violations());
  expect_only("I11");
}

}  // namespace
}  // namespace pm::crash
