#include "reasons.h"

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace pm::api {

const ReasonText& text_of(catalog::Reason reason) {
  using catalog::Reason;
  static constexpr ReasonText ok{Code::ok, "", ""};
  static constexpr ReasonText not_found{Code::not_found, "PAYLOAD_NOT_FOUND",
                                        "there is no such payload; it may have been deleted or "
                                        "its time to live may have ended"};
  static constexpr ReasonText not_committed{Code::failed_precondition, "PAYLOAD_NOT_COMMITTED",
                                            "the payload is still being written; commit it first"};
  static constexpr ReasonText committed{Code::failed_precondition, "PAYLOAD_ALREADY_COMMITTED",
                                        "the payload has been committed already"};
  static constexpr ReasonText lost{Code::data_loss, "PAYLOAD_LOST",
                                   "the bytes did not survive, as no copy was on a tier that "
                                   "outlives what happened; delete the payload"};
  static constexpr ReasonText leased{Code::aborted, "PAYLOAD_LEASED",
                                     "the payload is leased; wait until its leases end"};
  static constexpr ReasonText busy{Code::aborted, "PAYLOAD_BUSY",
                                   "another operation on the payload is under way; try again"};
  static constexpr ReasonText size{Code::invalid_argument, "SIZE_INVALID",
                                   "size_bytes must be from 1 up to the configured maximum"};
  static constexpr ReasonText unspecified{Code::failed_precondition, "TIER_UNSPECIFIED",
                                          "the request names no tier, and none is implied"};
  static constexpr ReasonText unknown{Code::failed_precondition, "TIER_UNKNOWN",
                                      "this host has no tier of that number"};
  static constexpr ReasonText keeps_nothing{Code::invalid_argument, "TIER_KEEPS_NO_BYTES",
                                            "the tier keeps no bytes; name one that does"};
  static constexpr ReasonText full{Code::resource_exhausted, "TIER_FULL",
                                   "the tier has no room, and nothing that may leave it in time"};
  static constexpr ReasonText failed{Code::unavailable, "TIER_FAILED",
                                     "the tier failed to sync and is out of service until an "
                                     "operator has looked into it (pm-host --trust-tier)"};
  static constexpr ReasonText faster{Code::failed_precondition, "TARGET_NOT_SLOWER",
                                     "spilling goes to a slower tier; to a faster one, promote"};
  static constexpr ReasonText volatile_target{Code::failed_precondition, "TARGET_NOT_DURABLE",
                                              "the payload requires a durable copy, and the "
                                              "target does not survive loss of power"};
  static constexpr ReasonText residency{Code::failed_precondition, "TARGET_BELOW_MIN_RESIDENCY",
                                        "the target is slower than min_residency_tier allows"};
  static constexpr ReasonText min_tier{Code::failed_precondition, "MIN_TIER_NOT_MET",
                                       "the payload is on a slower tier than min_tier; ask with "
                                       "PROMOTION_POLICY_BLOCKING, or promote it first"};
  static constexpr ReasonText waiters{Code::resource_exhausted, "TOO_MANY_WAITERS",
                                      "too many requests wait for room already; try again later"};
  static constexpr ReasonText timed_out{Code::deadline_exceeded, "WAIT_TIMED_OUT",
                                        "what the request waited for did not come in time"};
  static constexpr ReasonText length{Code::failed_precondition, "WRITER_CHANGED_LENGTH",
                                     "what was allocated is not there in its whole length any "
                                     "more; a writer must not truncate or unlink it"};
  static constexpr ReasonText checksum{Code::data_loss, "CHECKSUM_MISMATCH",
                                       "a copy's bytes are not what was committed"};
  static constexpr ReasonText storage{Code::internal, "STORAGE_ERROR", "the tier failed"};
  static constexpr ReasonText reused{Code::invalid_argument, "REQUEST_ID_REUSED",
                                     "the same request_id was used for another request"};
  static constexpr ReasonText cancelled{Code::cancelled, "CANCELLED", "the caller cancelled"};
  static constexpr ReasonText journal{Code::unavailable, "JOURNAL_FULL",
                                      "the repository does not keep up or does not answer; try "
                                      "again"};
  static constexpr ReasonText stopping{Code::unavailable, "SHUTTING_DOWN",
                                       "the host is stopping; try again"};
  switch (reason) {
    case Reason::none: return ok;
    case Reason::payload_not_found: return not_found;
    case Reason::payload_not_committed: return not_committed;
    case Reason::payload_already_committed: return committed;
    case Reason::payload_lost: return lost;
    case Reason::payload_leased: return leased;
    case Reason::payload_busy: return busy;
    case Reason::payload_size_invalid: return size;
    case Reason::tier_unspecified: return unspecified;
    case Reason::tier_unknown: return unknown;
    case Reason::tier_keeps_no_bytes: return keeps_nothing;
    case Reason::tier_full: return full;
    case Reason::tier_failed: return failed;
    case Reason::target_not_slower: return faster;
    case Reason::target_not_durable: return volatile_target;
    case Reason::target_below_min_residency: return residency;
    case Reason::min_tier_not_met: return min_tier;
    case Reason::waiters_full: return waiters;
    case Reason::wait_timed_out: return timed_out;
    case Reason::writer_changed_length: return length;
    case Reason::checksum_mismatch: return checksum;
    case Reason::storage_error: return storage;
    case Reason::request_id_reused: return reused;
    case Reason::request_cancelled: return cancelled;
    case Reason::journal_full: return journal;
    case Reason::shutting_down: return stopping;
  }
  return storage;
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
