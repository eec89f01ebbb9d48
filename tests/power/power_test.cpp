#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "count.h"
#include "files_check.h"
#include "recorded_run.h"

// The power is cut under a real host, at any moment, and it is started on what a disk may hold
// then.

namespace pm::power {
namespace {

using integration::number_from;

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
  int moved = 0;  // By io_uring, in the largest parts.
  for (const Recorded& recorded : run.recording().records()) {
    ++kinds[recorded.record->kind];
    moved += recorded.record->kind == RecordKind::write && recorded.data.size() >= 65'536;
  }
  EXPECT_GT(moved, 0);
  for (const RecordKind kind :
       {RecordKind::create, RecordKind::make_directory, RecordKind::link, RecordKind::rename,
        RecordKind::remove, RecordKind::write, RecordKind::truncate, RecordKind::extend,
        RecordKind::content, RecordKind::begin, RecordKind::sync}) {
    EXPECT_GT(kinds[kind], 0) << "nothing of kind " << static_cast<int>(kind);
  }
  Replay replay(run.recording(), RecordedRun::payloads);
  const Tree rebuilt = replay.cut({replay.last(), Keep::issued, Keep::issued, 0});
  const Tree found = Tree::read(run.recording().root());
  EXPECT_EQ(difference(found, rebuilt), "");
  EXPECT_GT(found.files.size(), 10u);
  std::printf("%zu records, %zu syncs, %zu files\n", run.recording().records().size(),
              replay.syncs(), found.files.size());
}

// What is durable just before a sync is what the one before it left, and more has been promised
// since: the worst moment.
TEST_F(Power, each_sync_comes_before_what_it_promises) {
  RecordedRun run(seed_);
  for (const std::uint64_t kill_after : {2'000, 0}) {
    ASSERT_TRUE(run.live(600, kill_after)) << run.host().log();
  }
  ASSERT_EQ(run.recording().trouble(), "");
  Replay replay(run.recording(), RecordedRun::payloads);
  audit_in_memory();
  const std::vector<ClientLog> logs = run.logs();
  const auto scratch =
      std::filesystem::temp_directory_path() / ("pm-power-" + std::to_string(::getpid()));
  std::uint64_t required = 0;
  std::size_t cuts = 0;
  for (const std::uint64_t moment : replay.boundaries()) {
    const Cut cut{moment, Keep::synced, Keep::synced, 0};
    const std::string found = check_files(replay.cut(cut), logs, moment, scratch, required);
    ASSERT_EQ(found, "") << cut.to_text();
    ++cuts;
  }
  std::filesystem::remove_all(scratch);
  EXPECT_GT(required, cuts);
  std::printf("%zu boundaries of %zu syncs, %llu payloads required\n", cuts, replay.syncs(),
              static_cast<unsigned long long>(required));
}

TEST_F(Power, nothing_acknowledged_as_durable_is_lost_by_a_cut) {
  const auto cuts_count = static_cast<std::size_t>(number_from({"PM_POWER_CUTS"}, 315));
  RecordedRun run(seed_);
  for (const std::uint64_t kill_after : {0, 4'000, 0}) {
    ASSERT_TRUE(run.live(1'000, kill_after)) << run.host().log();
  }
  ASSERT_EQ(run.recording().trouble(), "");
  for (const std::string& answer : run.strange()) ADD_FAILURE() << answer;
  Replay replay(run.recording(), RecordedRun::payloads);
  audit_in_memory();
  const std::vector<ClientLog> logs = run.logs();
  const Summary sum =
      audit_all(replay, logs, choose_cuts(replay, cuts_count, seed_), {.second_cut_every = 25});
  for (const std::string& finding : sum.findings) ADD_FAILURE() << finding;
  EXPECT_GT(sum.required, sum.cuts);
  EXPECT_GT(sum.lost, 0u);
  std::printf(
      "power: %zu cuts, %zu second cuts, %zu syncs, %llu answers, %llu payloads required, %llu "
      "read, "
      "%llu lost, %zu findings\n",
      sum.cuts, sum.second_cuts, replay.syncs(), static_cast<unsigned long long>(run.answers()),
      static_cast<unsigned long long>(sum.required), static_cast<unsigned long long>(sum.read),
      static_cast<unsigned long long>(sum.lost), sum.findings.size());
}

// Syncs that are answered and not done: of what, as fnmatch(3) has it.
struct Planted {
  const char* name;
  const char* forget;
  const char* from = "0";  // Number of the sequence.
};
std::ostream& operator<<(std::ostream& out, const Planted& planted) { return out << planted.name; }

class PlantedMistakes : public Power, public testing::WithParamInterface<Planted> {};

// On a busy machine a recording may be too short to have what a mistake harms, such as a
// checkpoint.
TEST_P(PlantedMistakes, are_found) {
  constexpr std::size_t cuts_max = 60;
  constexpr unsigned recordings_max = 4;
  audit_in_memory();
  for (unsigned recording = 0; recording < recordings_max && !HasFailure(); ++recording) {
    const unsigned seed = seed_ + recording;
    RecordedRun run(
        seed, {{variable::forget, GetParam().forget}, {variable::forget_from, GetParam().from}});
    ASSERT_TRUE(run.live(700 * (recording + 1))) << run.host().log();
    Replay replay(run.recording(), RecordedRun::payloads);
    const Summary sum =
        audit_all(replay, run.logs(), choose_cuts(replay, cuts_max, seed), {.findings_max = 1});
    if (sum.findings.empty()) continue;
    std::printf("found after %zu cuts: %s\n", sum.cuts, sum.findings.front().c_str());
    return;
  }
  FAIL() << "not found by " << cuts_max << " cuts of each of " << recordings_max << " recordings";
}

INSTANTIATE_TEST_SUITE_P(power, PlantedMistakes,
                         testing::Values(Planted{"payload_bytes", "*/payloads/*.part"},
                                         Planted{"payload_name", "*/payloads/[!p]?/[!p]?"},
                                         Planted{"upper_directory", "*/payloads/[!p]?"},
                                         Planted{"payloads_directory", "*/payloads"},
                                         Planted{"marker_bytes", "*/pm-tier-disk.json.new"},
                                         Planted{"store_synchronous_off", "*/catalog.sqlite*"},
                                         Planted{"store_synchronous_off_later", "*/catalog.sqlite*",
                                                 "400"},
                                         Planted{"store_log", "*/catalog.sqlite-wal", "400"},
                                         Planted{"store_file", "*/catalog.sqlite", "400"},
                                         Planted{"state_directory", "*/state"},
                                         Planted{"parent_of_state_directory", "*/pm-host-??????"}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace pm::power
