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
     "the bytes did not survive, as no copy was on a tier that outlives what happened; delete the "
     "payload"},
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
};
static_assert(std::size(reason_texts) ==
              static_cast<std::size_t>(catalog::Reason::shutting_down) + 1);

}  // namespace

const ReasonText& text_of(catalog::Reason reason) {
  return reason_texts[static_cast<std::size_t>(reason)];
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
    google::rpc::RetryInfo when;
    when.mutable_retry_delay()->set_nanos(retry_delay_ns);
    message.add_details()->PackFrom(when);
  }
  return message.SerializeAsString();
}

}  // namespace pm::api
