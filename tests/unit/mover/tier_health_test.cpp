#include "core/mover/tier_health.h"

#include <gtest/gtest.h>

#include <optional>

namespace pm::mover {
namespace {

std::uint64_t now_ns = 0;

class Health : public testing::Test {
 protected:
  static HealthOptions options() {
    HealthOptions options;
    options.failures_max = 3;
    options.probe_ns_min = 10;
    options.probe_ns_max = 40;
    return options;
  }
  void note(Code code) { health_.note({code, "words"}); }
  // After so much time, and no sooner.
  bool is_probed_after(std::uint64_t ns) {
    now_ns += ns - 1;
    if (health_.take_probe()) return false;
    now_ns += 1;
    return health_.take_probe();
  }

  std::vector<TierHealth::Change> changes_;
  TierHealth health_{options(), [] { return now_ns; },
                     [this](const TierHealth::Change& change) { changes_.push_back(change); }};
};

TEST_F(Health, failures_without_successes_put_it_out_of_service) {
  note(Code::unavailable);
  note(Code::internal);
  EXPECT_FALSE(health_.is_degraded());
  note(Code::unknown);
  EXPECT_TRUE(health_.is_degraded());
  note(Code::unknown);
  ASSERT_EQ(changes_.size(), 1u) << "told more than once";
  EXPECT_TRUE(changes_[0].degraded);
  EXPECT_NE(changes_[0].why.find("UNKNOWN: words"), std::string::npos) << changes_[0].why;
}

TEST_F(Health, as_many_successes_as_failures_keep_it_in_service) {
  for (int n = 0; n < 100; ++n) {
    note(Code::unavailable);
    note(Code::ok);
  }
  EXPECT_FALSE(health_.is_degraded());
  for (int n = 0; n < 3; ++n) note(Code::unavailable);
  EXPECT_TRUE(health_.is_degraded());
}

TEST_F(Health, what_is_the_caller_s_fault_or_full_or_of_one_object_is_no_sickness) {
  for (int n = 0; n < 20; ++n) {
    note(Code::resource_exhausted);
    note(Code::not_found);
    note(Code::invalid_argument);
    note(Code::failed_precondition);
    note(Code::data_loss);
    note(Code::cancelled);
  }
  EXPECT_FALSE(health_.is_degraded());
}

TEST_F(Health, one_call_past_its_deadline_is_enough) {
  note(Code::deadline_exceeded);
  EXPECT_TRUE(health_.is_degraded());
}

TEST_F(Health, it_is_tried_out_ever_later_until_it_works) {
  EXPECT_FALSE(health_.take_probe()) << "it is well";
  health_.note_abandoned("hangs");
  EXPECT_TRUE(is_probed_after(10));
  now_ns += 1'000;
  EXPECT_FALSE(health_.take_probe()) << "one is under way";
  for (const std::uint64_t wait : {20, 40, 40}) {
    health_.note_probe({Code::unavailable, "still"});
    EXPECT_TRUE(is_probed_after(wait)) << wait;
  }
  EXPECT_TRUE(health_.is_degraded());
  health_.note_probe({});
  EXPECT_FALSE(health_.is_degraded());
  ASSERT_EQ(changes_.size(), 2u);
  EXPECT_FALSE(changes_[1].degraded);
  EXPECT_GT(changes_[1].number, changes_[0].number);
  // Later troubles begin anew.
  note(Code::unavailable);
  note(Code::unavailable);
  EXPECT_FALSE(health_.is_degraded());
  note(Code::unavailable);
  EXPECT_TRUE(is_probed_after(10));
}

TEST_F(Health, with_many_calls_that_hang_it_is_not_even_tried_out) {
  for (int n = 0; n < 7; ++n) health_.note_abandoned("hangs");
  EXPECT_TRUE(health_.may_call());
  health_.note_abandoned("hangs");
  EXPECT_FALSE(health_.may_call());
  now_ns += 1'000;
  EXPECT_FALSE(health_.take_probe());
  health_.note_returned();
  EXPECT_TRUE(health_.take_probe());
}

TEST_F(Health, repeats_are_at_most_a_tenth_of_the_calls_besides_ten) {
  int repeats = 0;
  while (health_.may_repeat()) ++repeats;
  EXPECT_EQ(repeats, 10);
  for (int n = 0; n < 1'000; ++n) {
    note(Code::ok);
    while (health_.may_repeat()) ++repeats;
  }
  EXPECT_EQ(repeats, 10 + 100);
}

}  // namespace
}  // namespace pm::mover
