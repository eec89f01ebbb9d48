#include "core/simulate/replay.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/policy/decision_journal.h"
#include "core/policy/policy.h"

namespace pm::simulate {
namespace {

using policy::AccessKind;
using policy::Hook;
using testing::HasSubstr;

constexpr policy::TierIndex fast = 0;
constexpr policy::TierIndex slow = 1;
constexpr std::uint64_t kib = 1 << 10;

std::vector<policy::TierFacts> two() {
  std::vector<policy::TierFacts> tiers(2);
  tiers[fast].name = "shm";
  tiers[fast].capacity_bytes = 8 * kib;
  tiers[fast].spill_to = slow;
  tiers[slow].name = "disk";
  tiers[slow].rank = 1;
  tiers[slow].capacity_bytes = 16 * kib;
  tiers[slow].survives_process = tiers[slow].survives_power = true;
  return tiers;
}

catalog::Id id_of(std::uint8_t number) {
  catalog::Id id;
  id.bytes.fill(number);
  return id;
}

const std::vector<policy::SourceFile> up = {
    {"up.lua", "policy.promote {name = 'up', rule = function(facts) return facts.target end}"}};
const std::vector<policy::SourceFile> never = {
    {"never.lua", "policy.promote {name = 'never', rule = function() return false end}"}};
const std::vector<policy::SourceFile> broken = {
    {"broken.lua", "policy.promote {name = 'broken', rule = function() error('no') end}"}};

class ReplayTest : public testing::Test {
 protected:
  ReplayTest() {
    std::string name = std::filesystem::temp_directory_path() / "pm-replay-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    policy::JournalOptions options;
    options.path = path();
    journal_ = std::make_unique<policy::DecisionJournal>(options);
    journal_->set_policies(up);
  }
  ~ReplayTest() override { std::filesystem::remove_all(directory_); }

  std::string path() const { return directory_ / "journal.jsonl"; }
  void note(AccessKind kind, std::uint8_t number, policy::TierIndex tier = slow) {
    journal_->note({kind, tier, id_of(number), 4 * kib});
  }
  // What `up` answers.
  void note_promotion(std::uint8_t number) {
    policy::PromoteFacts facts;
    facts.tiers = two();
    facts.payload.id = to_text(id_of(number));
    facts.payload.size_bytes = 4 * kib;
    facts.tier = slow;
    facts.target = fast;
    journal_->note(std::move(facts), policy::PromoteDecision{fast}, "up");
  }
  ReplayResult replayed(const std::vector<policy::SourceFile>& files, std::size_t max = 20) {
    journal_->flush();
    auto result = replay(path(), files, max);
    EXPECT_TRUE(result.ok()) << result.status().message();
    return result.ok() ? *std::move(result) : ReplayResult();
  }
  const DecisionCounts& promotions(const ReplayResult& result) const {
    return result.hooks[static_cast<std::size_t>(Hook::promote)];
  }

  std::filesystem::path directory_;
  std::unique_ptr<policy::DecisionJournal> journal_;
};

TEST_F(ReplayTest, finds_no_difference_with_the_same_policy) {
  journal_->set_tiers(two());
  for (std::uint8_t n = 0; n < 5; ++n) note_promotion(n);
  const ReplayResult result = replayed(up);
  EXPECT_EQ(promotions(result).decisions, 5u);
  EXPECT_EQ(promotions(result).same, 5u);
  EXPECT_TRUE(result.differences.empty());
  EXPECT_EQ(result.lines, 6u);
  EXPECT_EQ(result.loads, 1u);
}

TEST_F(ReplayTest, shows_the_first_decisions_that_differ) {
  journal_->set_tiers(two());
  for (std::uint8_t n = 0; n < 5; ++n) note_promotion(n);
  const ReplayResult result = replayed(never, 2);
  EXPECT_EQ(promotions(result).different(), 5u);
  ASSERT_EQ(result.differences.size(), 2u);
  const Difference& first = result.differences.front();
  EXPECT_EQ(first.hook, Hook::promote);
  EXPECT_EQ(first.about, to_text(id_of(0)));
  EXPECT_EQ(first.size_bytes, 4 * kib);
  EXPECT_EQ(first.before, "shm");
  EXPECT_EQ(first.after, "it stays");
  EXPECT_GT(first.at_ns, 0);
}

TEST_F(ReplayTest, names_rules_that_fail) {
  journal_->set_tiers(two());
  for (std::uint8_t n = 0; n < 5; ++n) note_promotion(n);
  const ReplayResult result = replayed(broken);
  EXPECT_EQ(promotions(result).different(), 5u);
  EXPECT_EQ(result.differences.at(0).after, "default");
  ASSERT_EQ(result.failing.size(), 1u);
  EXPECT_EQ(result.failing[0].last_error, "broken.lua:1: no");
}

TEST_F(ReplayTest, counts_reads_as_they_were_and_simulates_both_policies) {
  journal_->set_tiers(two());
  // Two fit. All of it is more than the disk has, where it must be all along.
  for (int round = 0; round < 3; ++round) {
    for (std::uint8_t n = 0; n < 6; ++n) {
      note(AccessKind::read, n, slow);
      note(AccessKind::read, n, fast);
    }
  }
  note(AccessKind::write, 9, fast);
  note(AccessKind::remove, 9, policy::no_tier);
  const ReplayResult result = replayed(never);
  ASSERT_EQ(result.reads.size(), 2u);
  EXPECT_EQ(result.reads[0].tier, "disk");
  EXPECT_EQ(result.reads[0].reads, 18u);
  EXPECT_EQ(result.reads[1].read_bytes, 18 * 4 * kib);
  EXPECT_EQ(result.writes, 1u);
  EXPECT_EQ(result.removals, 1u);
  ASSERT_TRUE(result.before && result.after) << result.not_simulated;
  EXPECT_EQ(result.before->hits.reads, 36u);
  EXPECT_EQ(result.before->hits.hits, 18u) << "each second read finds it pulled up";
  EXPECT_EQ(result.before->promoted, 18u);
  EXPECT_EQ(result.after->hits.hits, 0u);
  EXPECT_EQ(result.after->promoted, 0u);
  EXPECT_EQ(result.after->tiers[slow].reads, 36u);
}

TEST_F(ReplayTest, says_why_it_cannot_simulate) {
  journal_->set_tiers(two());
  EXPECT_EQ(replayed(up).not_simulated, "there are no accesses in it");
  note(AccessKind::read, 1);
  EXPECT_TRUE(replayed(up).after.has_value());
  journal_->set_policies({{"old.lua", "nonsense"}});
  const ReplayResult result = replayed(up);
  EXPECT_TRUE(result.after.has_value());
  EXPECT_FALSE(result.before.has_value());
  EXPECT_THAT(result.not_simulated, HasSubstr("cannot be loaded: old.lua:1: "));
}

TEST_F(ReplayTest, says_which_line_or_script_is_wrong) {
  journal_->set_tiers(two());
  journal_->flush();
  EXPECT_EQ(replay(path(), {{"x.lua", "\nnonsense"}}).status().message().substr(0, 8), "x.lua:2:");
  std::ofstream(path(), std::ios::app) << "{}\n";
  EXPECT_EQ(replay(path(), up).status().message(), path() + ":2: 'at' is a time in nanoseconds");
  EXPECT_THAT(replay(path() + "x", up).status().message(), HasSubstr("No such file"));
}

}  // namespace
}  // namespace pm::simulate
