#pragma once

#include <cstdint>
#include <cstdlib>

// Planted mistakes: each is one wrong line of production code, there in test builds only, which a
// test switches on to see that it would be found.

namespace pm::catalog {

enum class Mutant : std::uint8_t {
  none = 0,
  delete_ignores_leases,
  expired_is_live,
  spill_ignores_durability,
  evicts_pinned,
  lets_in_one_block_too_many,
  promote_drops_durable_copy,
  removes_leased_copy,
  renewal_shortens_lease,
  request_id_alone_is_a_repeat,
  leaving_source_counts_twice,
  group_goes_back,
  stale_look_is_believed,
  tier_failure_is_not_recorded,
  bad_copy_is_still_shown,
  good_copy_is_condemned,
  checked_copy_is_removed,
  bad_copy_is_not_recorded,
  degraded_tier_is_used,
  last_of_catalog = degraded_tier_is_used,
  // Of sessions and holds, which the naive model of the catalog does not know.
  holds_are_ignored,
  session_end_is_forgotten,
  // Of what stands round the catalog, or shows there only.
  quarantine_is_ignored,
  orphan_is_kept,
  reply_comes_before_durable,
  copy_goes_before_durable,
  away_batch_is_dropped,
  power_is_not_asked_for,
  sequence_begins_anew,
  gone_copy_is_believed,
  failed_move_is_not_reported,
  failed_copy_is_reported_good,
  moved_copy_is_not_sealed,
  half_made_copy_is_forgotten,
  hung_object_is_not_held,
  given_up_allocation_is_forgotten,
  // Of a whole host, for what clients and clocks do to it, and for the soak.
  lease_never_ends,
  given_up_copy_goes_at_once,
  leases_count_wall_time,
  append_time_goes_back,
  call_leaks_memory,
  call_leaks_descriptor,
  count,
};

#if PM_FAILPOINTS
// Set by a test before it begins, and never while others run; that of a whole host by the number in
// PM_MUTANT.
inline Mutant planted = [] {
  const char* number = std::getenv("PM_MUTANT");
  return number == nullptr ? Mutant::none : static_cast<Mutant>(std::atoi(number));
}();
inline bool is_planted(Mutant mutant) { return planted == mutant; }
#else
constexpr bool is_planted(Mutant) { return false; }
#endif

}  // namespace pm::catalog
