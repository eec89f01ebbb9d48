#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "recorded_run.h"

// The power is cut under a real host, at any moment, and it is started on what a disk may hold then.

namespace pm::power {
namespace {

long number_from(std::initializer_list<const char*> names, long otherwise) {
  for (const char* name : names) {
    if (const char* text = std::getenv(name)) return std::atol(text);
  }
  return otherwise;
}

// Records on a real file system; audits, which need no medium that is slow, in memory.
class Power : public testing::Test {
 protected:
  Power() : seed_(static_cast<unsigned>(number_from({"PM_SEED"}, ::getpid()))) {
    std::printf("PM_SEED=%u\n", seed_);
    std::fflush(stdout);
    if (const char* folder = std::getenv("TMPDIR")) before_ = folder;
  }
  ~Power() override {
    if (before_.empty()) {
      ::unsetenv("TMPDIR");
    } else {
      ::setenv("TMPDIR", before_.c_str(), 1);
    }
  }

  static void audit_in_memory() { ::setenv("TMPDIR", "/dev/shm", 1); }

  const unsigned seed_;
  std::string before_;
};

TEST_F(Power, the_whole_recording_rebuilds_the_directories_byte_by_byte) {
  RecordedRun run(seed_);
  for (const std::uint64_t kill_after : {0, 3'000, 0}) {
    ASSERT_TRUE(run.live(500, kill_after)) << run.host().log();
  }
  EXPECT_EQ(run.recording().trouble(), "");
  std::map<RecordKind, int> kinds;
  for (const Recorded& recorded : run.recording().records()) ++kinds[recorded.record->kind];
  for (const RecordKind kind :
       {RecordKind::create, RecordKind::make_directory, RecordKind::link, RecordKind::rename,
        RecordKind::remove, RecordKind::write, RecordKind::truncate, RecordKind::extend,
        RecordKind::content, RecordKind::begin, RecordKind::sync}) {
    EXPECT_GT(kinds[kind], 0) << "nothing of kind " << static_cast<int>(kind);
  }
  Replay replay(run.recording(), RecordedRun::payloads);
  const Tree rebuilt =
      replay.cut({replay.last(), Keep::issued, Keep::issued, 0});
  const Tree found = Tree::read(run.recording().root());
  EXPECT_EQ(difference(found, rebuilt), "");
  EXPECT_GT(found.files.size(), 10u);
  std::printf("%zu records, %zu syncs, %zu files\n", run.recording().records().size(),
              replay.syncs(), found.files.size());
}

TEST_F(Power, nothing_acknowledged_as_durable_is_lost_by_a_cut) {
  const auto cuts_count = static_cast<std::size_t>(number_from({"PM_POWER_CUTS"}, 150));
  RecordedRun run(seed_);
  for (const std::uint64_t kill_after : {0, 4'000, 0}) {
    ASSERT_TRUE(run.live(1'000, kill_after)) << run.host().log();
  }
  ASSERT_EQ(run.recording().trouble(), "");
  for (const std::string& answer : run.strange()) ADD_FAILURE() << answer;
  Replay replay(run.recording(), RecordedRun::payloads);
  audit_in_memory();
  const std::vector<ClientLog> logs = run.logs();
  const Summary sum = audit_all(replay, logs, choose_cuts(replay, cuts_count, seed_), 3);
  for (const std::string& finding : sum.findings) ADD_FAILURE() << finding;
  EXPECT_GT(sum.required, sum.cuts);
  EXPECT_GT(sum.lost, 0u);
  std::printf("power: %zu cuts, %zu syncs, %llu answers, %llu payloads required, %llu read, "
              "%llu lost, %zu findings\n",
              sum.cuts, replay.syncs(), static_cast<unsigned long long>(run.answers()),
              static_cast<unsigned long long>(sum.required),
              static_cast<unsigned long long>(sum.read),
              static_cast<unsigned long long>(sum.lost), sum.findings.size());
}

}  // namespace
}  // namespace pm::power
