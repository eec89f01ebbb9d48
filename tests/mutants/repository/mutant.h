#pragma once

#include <memory>

#include "subject.h"

namespace pm::contract {

// One way in which a repository can be wrong.
enum class Mutation {
  none,
  epoch_stands_still,
  instance_id_is_drawn_anew,
  upper_half_of_numbers_is_cut,
  text_ends_at_nul,
  put_keeps_fields_left_out,
  delete_of_nothing_is_an_error,
  key_is_its_first_field,
  get_takes_unknown_fields,
  batch_runs_backwards,
  bad_batch_is_half_applied,
  repeat_is_applied_again,
  gap_is_taken,
  other_epoch_is_taken,
  numbers_are_ordered_as_signed,
  ties_go_by_key_upwards,
  less_equal_is_less,
  last_condition_is_ignored,
  limit_gives_one_more,
  visitor_cannot_end,
  scan_ignores_unknown_fields,
  descending_is_ignored_with_a_limit,
  scan_sees_later_batches,
  batch_shows_in_parts,
  reads_fail_during_apply,
  reopening_loses_deletes,
  sequence_begins_anew,
  new_fields_are_not_added,
  newer_store_is_opened,
  second_instance_is_let_in,
  prefix_is_its_first_field,
  prefix_leaves_the_last_one,
  prefix_is_deleted_last,
  prefix_may_be_a_whole_key,
};

// A small repository over std::map, right but for its mutation. Its store lives as long as the
// subject, so it passes for a persistent one.
Subject mutant_subject(Mutation mutation);

}  // namespace pm::contract
