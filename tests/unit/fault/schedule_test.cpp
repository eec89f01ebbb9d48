#include "schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

// Whose turn it is, what a schedule may say, and what happens when its file changes.

namespace pm::fault {
namespace {

constexpr auto any_kind = 0x3fu;
constexpr std::array<Operation, 3> operations = {
    {{"read", any_kind}, {"write", any_kind | knows_usage}, {"start", any_kind | fails_before}}};
constexpr std::size_t call_read = 0;
constexpr std::size_t call_write = 1;

// Remembers all log lines.
class LogHost {
 public:
  const pm_host_t* abi() const { return &abi_; }
  std::size_t count(const std::string& text) const {
    std::size_t found = 0;
    for (auto at = log_.find(text); at != std::string::npos; at = log_.find(text, at + 1)) ++found;
    return found;
  }
  const std::string& log() const { return log_; }

 private:
  static const void* get_extension(const pm_host_t*, const char*) { return nullptr; }
  static void set_error(const pm_host_t*, const char*) {}
  static void log(const pm_host_t* host, std::int32_t, const char* text) {
    static_cast<LogHost*>(host->host_data)->log_ += std::string(text) + "\n";
  }

  std::string log_;
  const pm_host_t abi_{PM_ABI_MAJOR, PM_ABI_MINOR,  "test",    "0",
                       this,         get_extension, set_error, log};
};

class ScheduleFile : public testing::Test {
 protected:
  ScheduleFile() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pm-fault-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    directory_ = pattern;
  }
  ~ScheduleFile() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path file() const { return directory_ / "faults.toml"; }
  void write(const std::string& text) const {
    std::ofstream(directory_ / "new") << text;
    std::filesystem::rename(directory_ / "new", file());
  }
  Status open(const std::string& toml,
              const boost::json::value& configured = boost::json::array{}) {
    if (!toml.empty()) write(toml);
    auto opened = Schedule::open(sdk::Host(host_.abi()), operations, configured, file().string());
    if (opened.ok()) schedule_ = *std::move(opened);
    return opened.status();
  }
  // "x" for each call that fails, "." for each that does not.
  std::string calls(int number, std::size_t operation = call_read) {
    std::string pattern;
    for (int i = 0; i < number; ++i) pattern += schedule_->next(operation).failure ? 'x' : '.';
    return pattern;
  }
  std::string pattern_of(const std::string& turn, int number) {
    const Status status = open("[[fault]]\nkind = 'error'\nstatus = 'INTERNAL'\n" + turn);
    return status.ok() ? calls(number) : status.to_string();
  }
  std::string refusal_of(const std::string& toml) { return open(toml).message(); }

  LogHost host_;
  std::filesystem::path directory_;
  std::unique_ptr<Schedule> schedule_;
};

TEST_F(ScheduleFile, turns_come_as_the_schedule_says) {
  EXPECT_EQ(pattern_of("", 5), "xxxxx");
  EXPECT_EQ(pattern_of("repeat = 'once'", 5), "x....");
  EXPECT_EQ(pattern_of("nth = 3", 8), "..x.....");
  EXPECT_EQ(pattern_of("nth = 3\nrepeat = 'sticky'", 8), "..xxxxxx");
  EXPECT_EQ(pattern_of("every = 3", 9), "..x..x..x");
  EXPECT_EQ(pattern_of("every = 3\nrepeat = 'once'", 9), "..x......");
  EXPECT_EQ(pattern_of("every = 3\nrepeat = 'sticky'", 9), "..xxxxxxx");
}

TEST_F(ScheduleFile, calls_to_other_operations_do_not_count) {
  ASSERT_TRUE(
      open("[[fault]]\nkind = 'error'\nstatus = 'INTERNAL'\noperation = 'write'\nnth = 2\n").ok());
  EXPECT_EQ(calls(3, call_read), "...");
  EXPECT_EQ(calls(1, call_write), ".");
  EXPECT_EQ(calls(3, call_read), "...");
  EXPECT_EQ(calls(2, call_write), "x.");
  ASSERT_TRUE(
      open("[[fault]]\nkind = 'error'\nstatus = 'INTERNAL'\noperation = ['write', 'read']\nnth = 2")
          .ok());
  EXPECT_EQ(calls(1, call_read), ".");
  EXPECT_EQ(calls(2, call_write), "x.");
}

TEST_F(ScheduleFile, chance_follows_its_probability_and_its_seed) {
  const std::string once = pattern_of("probability = 0.25\nseed = 7", 4'000);
  const auto hits = std::count(once.begin(), once.end(), 'x');
  // 1000 expected; the standard deviation is 27.
  EXPECT_GT(hits, 850);
  EXPECT_LT(hits, 1'150);
  EXPECT_EQ(pattern_of("probability = 0.25\nseed = 7", 4'000), once);
  EXPECT_NE(pattern_of("probability = 0.25\nseed = 8", 4'000), once);
}

TEST_F(ScheduleFile, every_status_can_be_given) {
  for (int code = 1; code <= 16; ++code) {
    const std::string name = code_name(static_cast<Code>(code));
    ASSERT_TRUE(open("[[fault]]\nkind = 'error'\nstatus = '" + name + "'\nmessage = 'so'\n").ok());
    const Decision decision = schedule_->next(call_read);
    ASSERT_TRUE(decision.failure.has_value());
    EXPECT_EQ(decision.failure->status.to_string(), name + ": so");
  }
}

TEST_F(ScheduleFile, faults_of_several_rules_join) {
  ASSERT_TRUE(open("[[fault]]\nkind = 'latency'\nlatency_ms = 3\n"
                   "[[fault]]\nkind = 'latency'\nlatency_ms = 4\n"
                   "[[fault]]\nkind = 'error'\nstatus = 'ABORTED'\nafter = true\n"
                   "operation = 'write'\n"
                   "[[fault]]\nkind = 'error'\nstatus = 'INTERNAL'\n"
                   "[[fault]]\nkind = 'corrupt'\noffset_bytes = 5\n"
                   "[[fault]]\nkind = 'short_read'\ncount_max = 9\n"
                   "[[fault]]\nkind = 'full'\noperation = 'write'\nused_bytes_max = 77\n")
                  .ok());
  const Decision decision = schedule_->next(call_write);
  EXPECT_EQ(decision.latency_ms, 7u);
  EXPECT_EQ(decision.failure->status.code(), Code::aborted) << "the first one counts";
  EXPECT_TRUE(decision.failure->after);
  EXPECT_EQ(decision.full->used_bytes_max, 77u);
  EXPECT_EQ(decision.short_read->cut(8), 8u);
  EXPECT_EQ(decision.short_read->cut(10), 9u);
  unsigned char bytes[8] = {};
  decision.corruption->spoil(bytes, sizeof bytes);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(bytes[i] != 0, i == 5) << i;
  EXPECT_EQ(schedule_->next(call_read).failure->status.code(), Code::internal);
  EXPECT_FALSE(schedule_->next(call_read).full.has_value());
}

TEST_F(ScheduleFile, a_change_takes_effect_at_the_next_call_and_counts_anew) {
  ASSERT_TRUE(open("").ok());
  EXPECT_EQ(calls(3), "...") << "the file need not be there";
  const std::string error = "[[fault]]\nkind = 'error'\nstatus = 'INTERNAL'\n";
  write(error);
  EXPECT_EQ(calls(2), "xx");
  write(error + "nth = 2\n");
  EXPECT_EQ(calls(3), ".x.");
  write(error + "nth = 1\n");
  EXPECT_EQ(calls(2), "x.") << "the same length, perhaps the same time";
  std::filesystem::remove(file());
  EXPECT_EQ(calls(2), "..");
}

TEST_F(ScheduleFile, configured_faults_hold_beside_those_of_the_file) {
  ASSERT_TRUE(
      open("", boost::json::parse(R"([{"kind": "error", "status": "ABORTED", "nth": 2}])")).ok());
  EXPECT_EQ(calls(3), ".x.");
  write("[[fault]]\nkind = 'error'\nstatus = 'INTERNAL'\nnth = 1\n");
  EXPECT_EQ(calls(3), "xx.");
}

TEST_F(ScheduleFile, a_wrong_file_changes_nothing_and_is_told_of_once) {
  ASSERT_TRUE(open("[[fault]]\nkind = 'error'\nstatus = 'INTERNAL'\n").ok());
  write("[[fault]]\nkind = 'eror'\n");
  EXPECT_EQ(calls(3), "xxx");
  EXPECT_EQ(host_.count("stays as it was"), 1u) << host_.log();
  EXPECT_EQ(host_.count("faults.toml: fault[0].kind: must be error, full"), 1u) << host_.log();
  write("[[fault\n");
  EXPECT_EQ(calls(3), "xxx");
  EXPECT_EQ(host_.count("faults.toml:1: "), 1u) << host_.log();
  write("");
  EXPECT_EQ(calls(3), "...");
}

TEST_F(ScheduleFile, a_schedule_that_is_wrong_is_refused_with_what_and_where) {
  const std::string error = "[[fault]]\nkind = 'error'\nstatus = 'INTERNAL'\n";
  EXPECT_NE(
      refusal_of(error + "[[fault]]\nkind = 'error'\nstatus = 'OK'\n").find("fault[1].status"),
      std::string::npos);
  const std::pair<const char*, const char*> lines[] = {
      {"nth = 0", "fault[0].nth: must be an integer from 1"},
      {"nth = 1\nevery = 2", "fault[0].every: cannot stand beside nth"},
      {"probability = 1.5", "fault[0].probability: must be a number above 0"},
      {"repeat = 'often'", "fault[0].repeat: must be each, once or sticky"},
      {"operation = 'reed'", "fault[0].operation: `reed` is none of read, write, start"},
      {"operation = []", "fault[0].operation: must be a name or a list"},
      {"latency_ms = 5", "fault[0].latency_ms: is no key of this kind of fault"},
      {"operation = 'start'\nafter = true", "fault[0].after: `start` cannot fail when all"},
      {"seed = 2020-01-01", "fault[0].seed: must be an integer"},
  };
  for (const auto& [line, wanted] : lines) {
    const std::string words = refusal_of(error + line);
    EXPECT_NE(words.find(wanted), std::string::npos) << line << ": " << words;
  }
  EXPECT_NE(refusal_of("[[fault]]\nkind = 'latency'\n").find("latency_ms: must be given"),
            std::string::npos);
  EXPECT_NE(refusal_of("[[fault]]\nkind = 'full'\noperation = 'read'\nused_bytes_max = 1\n")
                .find("`read` does not know what is used"),
            std::string::npos);
  EXPECT_NE(refusal_of("fault = 3\n").find("must be a list of tables"), std::string::npos);
  EXPECT_NE(refusal_of("faults = 3\n").find("faults.toml:1: `faults` is no key"),
            std::string::npos);
  EXPECT_NE(refusal_of("a" + std::string(70, '.')).find("64 dots"), std::string::npos);
  EXPECT_NE(refusal_of(std::string(70'000, '#')).find("64 KiB"), std::string::npos);
}

TEST_F(ScheduleFile, a_fault_is_logged_when_it_takes_effect_for_the_first_time) {
  ASSERT_TRUE(open("[[fault]]\nkind = 'error'\nstatus = 'INTERNAL'\nnth = 2\n").ok());
  calls(1);
  EXPECT_EQ(host_.count("for the first time"), 0u);
  calls(5);
  EXPECT_EQ(host_.count("for the first time, fault[0]"), 1u) << host_.log();
}

}  // namespace
}  // namespace pm::fault
