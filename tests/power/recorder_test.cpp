#include <gtest/gtest.h>
#include <unistd.h>

#include "child.h"
#include "replay.h"

// The recorder sees what a program does to files, or says that it does not.

namespace pm::power {
namespace {

namespace fs = std::filesystem;

class Recorder : public testing::TestWithParam<const char*> {
 protected:
  Recorder() {
    std::string pattern = (fs::temp_directory_path() / "pm-recorder-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    directory_ = pattern;
    recording_ = std::make_unique<Recording>(directory_ / "log", directory_ / "root");
  }
  ~Recorder() override {
    recording_.reset();
    fs::remove_all(directory_);
  }

  void run_probe(const std::vector<std::string>& arguments) {
    std::vector<std::string> command = {
        (integration::build_directory() / "tests/power_recorder_probe").string(),
        recording_->root().string()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const pid_t pid =
        integration::spawn(command, recording_->environment(), directory_ / "output", "/");
    const auto exit = integration::wait_child(pid, std::chrono::seconds(60));
    ASSERT_TRUE(exit && exit->code == 0);
  }

  fs::path directory_;
  std::unique_ptr<Recording> recording_;
};

TEST_F(Recorder, sees_every_way_to_change_a_file) {
  run_probe({});
  EXPECT_EQ(recording_->trouble(), "");
  Replay replay(*recording_, "root/below");
  const Tree rebuilt = replay.cut({replay.last(), Keep::issued, Keep::issued, 0});
  const Tree found = Tree::read(recording_->root());
  EXPECT_EQ(difference(found, rebuilt), "");
  EXPECT_EQ(found.files.size(), 5u);
  std::size_t ring_writes = 0;
  for (const Recorded& recorded : recording_->records()) {
    ring_writes += recorded.record->kind == RecordKind::write && recorded.data.size() >= 3'000;
    EXPECT_NE(recorded.record->ended, 0u);
  }
  EXPECT_EQ(ring_writes, 2u);
}

TEST_P(Recorder, tells_what_it_cannot_record) {
  run_probe({GetParam()});
  EXPECT_NE(recording_->trouble(), "");
}

INSTANTIATE_TEST_SUITE_P(power, Recorder,
                         testing::Values("writev", "pwritev", "mapping", "sendfile", "copy",
                                         "symlink", "stream", "dsync", "punch", "outside",
                                         "ring_fsync"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::power
