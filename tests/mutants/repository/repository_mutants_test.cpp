#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "mutant.h"
#include "rules.h"

// A rule that no wrong repository breaks proves nothing: each one must catch a mutant of its own.

namespace pm::contract {
namespace {

struct Planted {
  const char* rule;
  Mutation mutation;
};

constexpr Planted planted[] = {
    {"REPO-01", Mutation::epoch_stands_still},
    {"REPO-01", Mutation::instance_id_is_drawn_anew},
    {"REPO-02", Mutation::upper_half_of_numbers_is_cut},
    {"REPO-03", Mutation::text_ends_at_nul},
    {"REPO-04", Mutation::put_keeps_fields_left_out},
    {"REPO-05", Mutation::delete_of_nothing_is_an_error},
    {"REPO-06", Mutation::key_is_its_first_field},
    {"REPO-07", Mutation::get_takes_unknown_fields},
    {"REPO-08", Mutation::batch_runs_backwards},
    {"REPO-09", Mutation::bad_batch_is_half_applied},
    {"REPO-10", Mutation::repeat_is_applied_again},
    {"REPO-11", Mutation::gap_is_taken},
    {"REPO-12", Mutation::other_epoch_is_taken},
    {"REPO-13", Mutation::numbers_are_ordered_as_signed},
    {"REPO-14", Mutation::ties_go_by_key_upwards},
    {"REPO-15", Mutation::less_equal_is_less},
    {"REPO-16", Mutation::last_condition_is_ignored},
    {"REPO-17", Mutation::limit_gives_one_more},
    {"REPO-18", Mutation::visitor_cannot_end},
    {"REPO-19", Mutation::scan_ignores_unknown_fields},
    {"REPO-20", Mutation::descending_is_ignored_with_a_limit},
    {"REPO-21", Mutation::scan_sees_later_batches},
    {"REPO-22", Mutation::batch_shows_in_parts},
    {"REPO-23", Mutation::reads_fail_during_apply},
    {"REPO-24", Mutation::reopening_loses_deletes},
    {"REPO-25", Mutation::sequence_begins_anew},
    {"REPO-26", Mutation::new_fields_are_not_added},
    {"REPO-27", Mutation::newer_store_is_opened},
    {"REPO-28", Mutation::second_instance_is_let_in},
    {"REPO-29", Mutation::prefix_is_its_first_field},
    {"REPO-29", Mutation::prefix_leaves_the_last_one},
    {"REPO-30", Mutation::prefix_is_deleted_last},
    {"REPO-31", Mutation::prefix_may_be_a_whole_key},
};

class RepositoryRule : public testing::TestWithParam<Rule> {};

TEST_P(RepositoryRule, passes_the_right_repository_and_catches_its_mutants) {
  const Verdict right = GetParam().check(mutant_subject(Mutation::none));
  EXPECT_FALSE(right.has_value()) << right.value_or("");
  int caught = 0;
  for (const Planted& each : planted) {
    if (std::string(each.rule) != GetParam().id) continue;
    const Verdict verdict = GetParam().check(mutant_subject(each.mutation));
    EXPECT_TRUE(verdict.has_value()) << "mutation " << static_cast<int>(each.mutation);
    caught += verdict.has_value() ? 1 : 0;
  }
  EXPECT_GT(caught, 0) << "no mutant is planted for this rule";
}

INSTANTIATE_TEST_SUITE_P(Repository, RepositoryRule, testing::ValuesIn(repository_rules()),
                         [](const auto& info) {
                           return "REPO" + std::string(info.param.id).substr(5) + "_" +
                                  info.param.name;
                         });

}  // namespace
}  // namespace pm::contract
