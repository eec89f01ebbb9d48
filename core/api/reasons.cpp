#include "reasons.h"

#include <iterator>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace pm::api {

namespace {

// In the order of catalog::Reason.
constexpr ReasonText reason_texts[] = {
    // none
    {Code::ok, "", ""},
    // payload_not_found
    {Code::not_found, "PAYLOAD_NOT_FOUND",
     "there is no such payload; it may have been deleted or its time to live may have ended"},
    // payload_not_committed
    {Code::failed_precondition, "PAYLOAD_NOT_COMMITTED",
     "the payload is still being written; commit it first"},
    // payload_already_committed
    {Code::failed_precondition, "PAYLOAD_ALREADY_COMMITTED",
     "the payload has been committed already"},
    // payload_lost
    {Code::data_loss, "PAYLOAD_LOST",
     "no good copy of the bytes is left; what is left of them stays until the payload is deleted"},
    // payload_leased
    {Code::aborted, "PAYLOAD_LEASED", "the payload is leased; wait until its leases end"},
    // payload_busy
    {Code::aborted, "PAYLOAD_BUSY", "another operation on the payload is under way; try again"},
    // payload_size_invalid
    {Code::invalid_argument, "SIZE_INVALID",
     "size_bytes must be from 1 up to the configured maximum"},
    // tier_unspecified
    {Code::failed_precondition, "TIER_UNSPECIFIED",
     "the request names no tier, and none is implied"},
    // tier_unknown
    {Code::failed_precondition, "TIER_UNKNOWN", "this host has no tier of that number"},
    // tier_keeps_no_bytes
    {Code::invalid_argument, "TIER_KEEPS_NO_BYTES", "the tier keeps no bytes; name one that does"},
    // tier_full
    {Code::resource_exhausted, "TIER_FULL",
     "the tier has no room, and nothing that may leave it in time"},
    // tier_failed
    {Code::unavailable, "TIER_FAILED",
     "the tier failed to sync and is out of service until an operator has looked into it (pm-host "
     "--trust-tier)"},
    // tier_degraded
    {Code::unavailable, "TIER_DEGRADED",
     "the tier fails too often or hangs, and takes nothing until it works again; ListTiers tells "
     "why; try again later, or use another tier"},
    // target_not_slower
    {Code::failed_precondition, "TARGET_NOT_SLOWER",
     "spilling goes to a slower tier; to a faster one, promote"},
    // target_not_durable
    {Code::failed_precondition, "TARGET_NOT_DURABLE",
     "the payload requires a durable copy, and the target does not survive loss of power"},
    // target_below_min_residency
    {Code::failed_precondition, "TARGET_BELOW_MIN_RESIDENCY",
     "the target is slower than min_residency_tier allows"},
    // min_tier_not_met
    {Code::failed_precondition, "MIN_TIER_NOT_MET",
     "the payload is on a slower tier than min_tier; ask with PROMOTION_POLICY_BLOCKING, or "
     "promote it first"},
    // waiters_full
    {Code::resource_exhausted, "TOO_MANY_WAITERS",
     "too many requests wait for room already; try again later"},
    // writer_changed_length
    {Code::failed_precondition, "WRITER_CHANGED_LENGTH",
     "what was allocated is not there in its whole length any more; a writer must not truncate or "
     "unlink it"},
    // checksum_mismatch
    {Code::data_loss, "CHECKSUM_MISMATCH", "a copy's bytes are not what was committed"},
    // storage_error
    {Code::internal, "STORAGE_ERROR", "the tier failed"},
    // request_id_reused
    {Code::invalid_argument, "REQUEST_ID_REUSED",
     "the same request_id was used for another request"},
    // request_cancelled
    {Code::cancelled, "CANCELLED", "the caller cancelled"},
    // journal_full
    {Code::unavailable, "JOURNAL_FULL",
     "the repository does not keep up or does not answer; try again"},
    // shutting_down
    {Code::unavailable, "SHUTTING_DOWN", "the host is stopping; try again"},
    // payload_pinned
    {Code::aborted, "PAYLOAD_PINNED", "the payload is pinned to its tier; unpin it first"},
    // labels_full
    {Code::failed_precondition, "LABELS_FULL", "a payload has at most 64 labels; remove some"},
    // lease_not_found
    {Code::not_found, "LEASE_NOT_FOUND",
     "there is no such lease; it may have ended; acquire a new one"},
    // range_outside_payload
    {Code::out_of_range, "RANGE_OUTSIDE_PAYLOAD",
     "the range does not lie within the payload's size_bytes"},
    // import_length_mismatch
    {Code::failed_precondition, "IMPORT_LENGTH_MISMATCH",
     "the object is not there, or not in the length claimed; upload it whole, then import it"},
    // import_not_uploadable
    {Code::failed_precondition, "IMPORT_NOT_UPLOADABLE",
     "clients do not upload to this payload's tier; write it and commit it"},
    // commit_checksum_mismatch
    {Code::data_loss, "COMMIT_CHECKSUM_MISMATCH",
     "the bytes written do not have the checksum given; write them again, or abort"},
    // conflict
    {Code::aborted, "CONFLICT", "others changed it at the same time, again and again; try again"},
    // lineage_cycle
    {Code::failed_precondition, "LINEAGE_CYCLE",
     "a parent was made from the child itself; lineage has no cycles"},
    // lineage_full
    {Code::resource_exhausted, "LINEAGE_FULL", "the payload has as many parents as are allowed"},
    // metadata_events_full
    {Code::resource_exhausted, "METADATA_EVENTS_FULL",
     "the payload has as many metadata events as are allowed"},
    // stream_not_found
    {Code::not_found, "STREAM_NOT_FOUND", "there is no such stream; create it first"},
    // stream_exists
    {Code::already_exists, "STREAM_EXISTS", "there is a stream of that name and namespace"},
    // streams_full
    {Code::resource_exhausted, "STREAMS_FULL", "there are as many streams as are allowed"},
    // consumer_groups_full
    {Code::resource_exhausted, "CONSUMER_GROUPS_FULL",
     "the stream has as many consumer groups as are allowed"},
    // offset_goes_back
    {Code::aborted, "OFFSET_GOES_BACK",
     "the group has committed a higher offset; ask with allow_rewind if it is to go back"},
    // offset_beyond_end
    {Code::out_of_range, "OFFSET_BEYOND_END", "the stream has no entry at that offset yet"},
    // watch_too_old
    {Code::out_of_range, "WATCH_TOO_OLD",
     "changes after the resume token are no longer remembered; list again, and watch anew"},
    // not_admitted
    {Code::resource_exhausted, "NOT_ADMITTED", "a policy of this host refuses the allocation"},
    // writer_not_done
    {Code::failed_precondition, "WRITER_NOT_DONE",
     "a process still maps what was allocated for writing, or has kept it from being sealed; unmap "
     "it everywhere, also in forked children, and commit again"},
};
static_assert(std::size(reason_texts) ==
              static_cast<std::size_t>(catalog::Reason::writer_not_done) + 1);

// In the order of RequestFault.
constexpr ReasonText fault_texts[] = {
    // method_unknown
    {Code::unimplemented, "METHOD_UNKNOWN", "this server has no such method"},
    // request_malformed
    {Code::invalid_argument, "REQUEST_MALFORMED", "the request is not a message of this method"},
    // payload_id_malformed
    {Code::invalid_argument, "PAYLOAD_ID_MALFORMED", "a payload id has 16 bytes"},
    // lease_id_malformed
    {Code::invalid_argument, "LEASE_ID_MALFORMED", "a lease id has 16 bytes"},
    // priority_unknown
    {Code::invalid_argument, "EVICTION_PRIORITY_UNKNOWN",
     "eviction_policy.priority is none of the enum's"},
    // ttl_too_long
    {Code::invalid_argument, "TTL_TOO_LONG", "ttl_ms is more than a hundred years"},
    // duration_too_long
    {Code::invalid_argument, "DURATION_TOO_LONG", "duration_ms is more than a hundred years"},
    // lease_mode_unsupported
    {Code::failed_precondition, "LEASE_MODE_UNSUPPORTED", "leases are for reading"},
    // too_many_items
    {Code::invalid_argument, "TOO_MANY_ITEMS", "more items than one call may have; send parts"},
    // no_items
    {Code::invalid_argument, "NO_ITEMS", "the call has no items"},
    // page_size_invalid
    {Code::invalid_argument, "PAGE_SIZE_INVALID", "page_size is negative"},
    // page_token_invalid
    {Code::invalid_argument, "PAGE_TOKEN_INVALID",
     "page_token is not one of this list's; start at the first page"},
    // filter_invalid
    {Code::invalid_argument, "FILTER_INVALID", "the filter cannot be read"},
    // order_by_invalid
    {Code::invalid_argument, "ORDER_BY_INVALID",
     "order_by is one of: age, age desc, size_bytes, size_bytes desc"},
    // label_invalid
    {Code::invalid_argument, "LABEL_INVALID",
     "keys match [a-z0-9]([a-z0-9._/-]*[a-z0-9])? and have at most 63 characters, values at most "
     "255 bytes of UTF-8 without control characters"},
    // text_too_long
    {Code::invalid_argument, "TEXT_TOO_LONG", "a text or its bytes are longer than allowed"},
    // checksum_invalid
    {Code::invalid_argument, "CHECKSUM_INVALID",
     "the checksum has no known algorithm, or not its number of bytes"},
    // update_mode_unknown
    {Code::invalid_argument, "UPDATE_MODE_UNKNOWN", "mode is none of the enum's"},
    // lineage_self_edge
    {Code::invalid_argument, "LINEAGE_SELF_EDGE", "a payload cannot be made from itself"},
    // stream_name_invalid
    {Code::failed_precondition, "STREAM_NAME_INVALID",
     "a stream needs a name; names and namespaces have at most 255 bytes of UTF-8 without control "
     "characters"},
    // consumer_group_invalid
    {Code::invalid_argument, "CONSUMER_GROUP_INVALID",
     "a consumer group needs a name of at most 255 bytes of UTF-8 without control characters"},
    // range_reversed
    {Code::invalid_argument, "RANGE_REVERSED", "end_offset is lower than start_offset"},
    // time_invalid
    {Code::invalid_argument, "TIME_INVALID", "a time lies outside of the years 1970 to 2262"},
    // resume_token_invalid
    {Code::invalid_argument, "RESUME_TOKEN_INVALID", "resume_token is not one of this host's"},
    // subject_missing
    {Code::invalid_argument, "SUBJECT_MISSING", "name a payload or a holder, and not both"},
    // change_kind_unknown
    {Code::invalid_argument, "CHANGE_KIND_UNKNOWN", "kinds has one that is none of the enum's"},
    // scrub_under_way
    {Code::aborted, "SCRUB_UNDER_WAY",
     "a pass that was asked for goes on; GetScrub tells when it has ended"},
    // layout_needs_session
    {Code::invalid_argument, "LAYOUT_NEEDS_SESSION",
     "memory of the sealed layout has no name and comes as a descriptor over the host's local "
     "socket; connect there, or use another layout"},
};
static_assert(std::size(fault_texts) ==
              static_cast<std::size_t>(RequestFault::layout_needs_session) + 1);

}  // namespace

const ReasonText& text_of(catalog::Reason reason) {
  return reason_texts[static_cast<std::size_t>(reason)];
}

Status status_of(catalog::Reason reason) {
  const ReasonText& text = text_of(reason);
  return {text.code, text.message, text.name};
}

const ReasonText& text_of(RequestFault fault) {
  return fault_texts[static_cast<std::size_t>(fault)];
}

Status status_of(RequestFault fault, const std::string& detail) {
  const ReasonText& text = text_of(fault);
  std::string message = text.message;
  if (!detail.empty()) message += ": " + detail;
  return {text.code, std::move(message), text.name};
}

std::string error_details(const Status& status, const ErrorFacts& facts) {
  google::rpc::Status message;
  message.set_code(static_cast<int>(status.code()));
  message.set_message(status.message());
  google::rpc::ErrorInfo info;
  info.set_reason(status.reason());
  info.set_domain("payload-manager");
  for (const auto& [name, value] : facts) (*info.mutable_metadata())[name] = value;
  message.add_details()->PackFrom(info);
  const bool retry = status.code() == Code::unavailable || status.code() == Code::aborted ||
                     status.code() == Code::resource_exhausted;
  if (retry) {
    constexpr int retry_delay_ns = 100'000'000;
    constexpr int probe_delay_s = 1;  // A tier that is out of service is looked at no sooner.
    google::rpc::RetryInfo when;
    if (status.reason() == text_of(catalog::Reason::tier_degraded).name) {
      when.mutable_retry_delay()->set_seconds(probe_delay_s);
    } else {
      when.mutable_retry_delay()->set_nanos(retry_delay_ns);
    }
    message.add_details()->PackFrom(when);
  }
  return message.SerializeAsString();
}

}  // namespace pm::api
