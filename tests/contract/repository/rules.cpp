#include "rules.h"

namespace pm::contract {

Verdict broken(const char* file, int line, const char* condition, const std::string& words) {
  return std::string(file) + ":" + std::to_string(line) + ": " + words + " (" + condition +
         "); the repository said: '" + take_error() + "'";
}

#define PM_RULE(id, name) \
  { id, #name, false, name }
#define PM_RULE_OF_PERSISTENT(id, name) \
  { id, #name, true, name }

const std::vector<Rule>& repository_rules() {
  static const std::vector<Rule> rules = {
      PM_RULE("REPO-01", open_claims_a_larger_epoch),
      PM_RULE("REPO-02", every_value_comes_back_as_it_went_in),
      PM_RULE("REPO-03", bytes_and_text_are_opaque),
      PM_RULE("REPO-04", put_replaces_the_whole_record),
      PM_RULE("REPO-05", delete_takes_the_record_and_no_other),
      PM_RULE("REPO-06", compound_keys_count_in_all_their_fields),
      PM_RULE("REPO-07", get_refuses_what_the_schema_lacks),
      PM_RULE("REPO-08", last_operation_on_a_key_wins),
      PM_RULE("REPO-09", batch_with_a_bad_record_changes_nothing),
      PM_RULE("REPO-10", repeated_sequence_changes_nothing),
      PM_RULE("REPO-11", gap_in_the_sequence_is_refused),
      PM_RULE("REPO-12", other_epoch_is_refused),
      PM_RULE("REPO-13", scan_goes_by_key),
      PM_RULE("REPO-14", scan_goes_by_another_field_both_ways),
      PM_RULE("REPO-15", each_comparison_selects_its_records),
      PM_RULE("REPO-16", all_conditions_hold_together),
      PM_RULE("REPO-17", limit_ends_a_scan),
      PM_RULE("REPO-18", visitor_ends_a_scan),
      PM_RULE("REPO-19", scan_refuses_what_the_schema_lacks),
      PM_RULE("REPO-20", scans_agree_with_a_model),
      PM_RULE("REPO-21", scan_sees_one_snapshot),
      PM_RULE("REPO-22", readers_see_whole_batches),
      PM_RULE("REPO-23", readers_and_a_writer_run_without_error),
      PM_RULE_OF_PERSISTENT("REPO-24", reopening_keeps_everything),
      PM_RULE_OF_PERSISTENT("REPO-25", sequence_goes_on_in_the_next_epoch),
      PM_RULE_OF_PERSISTENT("REPO-26", older_store_gains_fields_and_indexes),
      PM_RULE_OF_PERSISTENT("REPO-27", newer_store_is_refused),
      PM_RULE_OF_PERSISTENT("REPO-28", store_serves_one_instance_at_a_time),
      PM_RULE("REPO-29", delete_prefix_takes_all_that_begin_with_it_and_no_other),
      PM_RULE("REPO-30", delete_prefix_takes_its_turn_in_the_batch),
      PM_RULE("REPO-31", delete_prefix_refuses_what_is_no_prefix),
  };
  return rules;
}

}  // namespace pm::contract
