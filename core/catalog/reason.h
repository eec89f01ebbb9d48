#pragma once

#include <cstdint>

namespace pm::catalog {

// Why a command did not do what it was asked. One reason for one cause; core/api gives each its
// code, its name on the wire and its words.
enum class Reason : std::uint8_t {
  none = 0,
  payload_not_found,
  payload_not_committed,
  payload_already_committed,
  payload_lost,
  payload_leased,
  payload_busy,
  payload_size_invalid,
  tier_unspecified,
  tier_unknown,
  tier_keeps_no_bytes,
  tier_full,
  tier_failed,
  tier_degraded,
  target_not_slower,
  target_not_durable,
  target_below_min_residency,
  min_tier_not_met,
  waiters_full,
  writer_changed_length,
  checksum_mismatch,
  storage_error,
  request_id_reused,
  request_cancelled,
  journal_full,
  shutting_down,
  payload_pinned,
  labels_full,
  lease_not_found,
  range_outside_payload,
  import_length_mismatch,
  import_not_uploadable,
  commit_checksum_mismatch,
  conflict,
  lineage_cycle,
  lineage_full,
  metadata_events_full,
  stream_not_found,
  stream_exists,
  streams_full,
  consumer_groups_full,
  offset_goes_back,
  offset_beyond_end,
  watch_too_old,
  not_admitted,
  writer_not_done,
};

}  // namespace pm::catalog
