#pragma once

#include <optional>
#include <string>
#include <vector>

#include "subject.h"

// What pm/repository.h promises, as rules that can be checked on any repository.

namespace pm::contract {

// Nothing when the rule holds, else what was found and where.
using Verdict = std::optional<std::string>;

struct Rule {
  const char* id;                            // "REPO-01"
  const char* name;                          // A fact: "open_claims_a_larger_epoch"
  bool only_persistent;                      // Holds for stores that outlive their instances only.
  Verdict (*check)(const Subject& subject);  // The subject's store is empty.
};

// rules_records.cpp
Verdict open_claims_a_larger_epoch(const Subject&);               // REPO-01
Verdict every_value_comes_back_as_it_went_in(const Subject&);     // REPO-02
Verdict bytes_and_text_are_opaque(const Subject&);                // REPO-03
Verdict put_replaces_the_whole_record(const Subject&);            // REPO-04
Verdict delete_takes_the_record_and_no_other(const Subject&);     // REPO-05
Verdict compound_keys_count_in_all_their_fields(const Subject&);  // REPO-06
Verdict get_refuses_what_the_schema_lacks(const Subject&);        // REPO-07

// rules_batches.cpp
Verdict last_operation_on_a_key_wins(const Subject&);             // REPO-08
Verdict batch_with_a_bad_record_changes_nothing(const Subject&);  // REPO-09
Verdict repeated_sequence_changes_nothing(const Subject&);        // REPO-10
Verdict gap_in_the_sequence_is_refused(const Subject&);           // REPO-11
Verdict other_epoch_is_refused(const Subject&);                   // REPO-12

// rules_scans.cpp
Verdict scan_goes_by_key(const Subject&);                      // REPO-13
Verdict scan_goes_by_another_field_both_ways(const Subject&);  // REPO-14
Verdict each_comparison_selects_its_records(const Subject&);   // REPO-15
Verdict all_conditions_hold_together(const Subject&);          // REPO-16
Verdict limit_ends_a_scan(const Subject&);                     // REPO-17
Verdict visitor_ends_a_scan(const Subject&);                   // REPO-18
Verdict scan_refuses_what_the_schema_lacks(const Subject&);    // REPO-19
Verdict scans_agree_with_a_model(const Subject&);              // REPO-20

// rules_threads.cpp
Verdict scan_sees_one_snapshot(const Subject&);                  // REPO-21
Verdict readers_see_whole_batches(const Subject&);               // REPO-22
Verdict readers_and_a_writer_run_without_error(const Subject&);  // REPO-23

// rules_stores.cpp
Verdict reopening_keeps_everything(const Subject&);            // REPO-24
Verdict sequence_goes_on_in_the_next_epoch(const Subject&);    // REPO-25
Verdict older_store_gains_fields_and_indexes(const Subject&);  // REPO-26
Verdict newer_store_is_refused(const Subject&);                // REPO-27
Verdict store_serves_one_instance_at_a_time(const Subject&);   // REPO-28

// rules_prefixes.cpp
Verdict delete_prefix_takes_all_that_begin_with_it_and_no_other(const Subject&);  // REPO-29
Verdict delete_prefix_takes_its_turn_in_the_batch(const Subject&);                // REPO-30
Verdict delete_prefix_refuses_what_is_no_prefix(const Subject&);                  // REPO-31

const std::vector<Rule>& repository_rules();

// Leaves a rule with the place and the words of what did not hold.
#define PM_HOLDS(condition, words)                                                          \
  do {                                                                                      \
    if (!(condition)) return ::pm::contract::broken(__FILE__, __LINE__, #condition, words); \
  } while (false)

Verdict broken(const char* file, int line, const char* condition, const std::string& words);

}  // namespace pm::contract
