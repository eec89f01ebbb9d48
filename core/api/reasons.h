#pragma once

#include <cstdint>
#include <pm/cpp/result.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/catalog/reason.h"

namespace pm::api {

// What goes into the metadata of an error: ("payload", "7f0c..."), ("tier", "shm").
using ErrorFacts = std::vector<std::pair<std::string, std::string>>;

// One reason of the catalog, as the wire shows it.
struct ReasonText {
  Code code;
  const char* name;     // ErrorInfo.reason: "TIER_FULL"
  const char* message;  // What happened, and what to do.
};
const ReasonText& text_of(catalog::Reason reason);
Status status_of(catalog::Reason reason);

// What is wrong with a request by itself, whatever the state. Each has its row in reasons.cpp.
enum class RequestFault : std::uint8_t {
  method_unknown,
  request_malformed,
  payload_id_malformed,
  lease_id_malformed,
  priority_unknown,
  ttl_too_long,
  duration_too_long,
  lease_mode_unsupported,
  too_many_items,
  no_items,
  page_size_invalid,
  page_token_invalid,
  filter_invalid,
  order_by_invalid,
  label_invalid,
  text_too_long,
  checksum_invalid,
  update_mode_unknown,
  lineage_self_edge,
  stream_name_invalid,
  consumer_group_invalid,
  range_reversed,
  time_invalid,
  resume_token_invalid,
  subject_missing,
  change_kind_unknown,
  scrub_under_way,
  layout_needs_session,
};
const ReasonText& text_of(RequestFault fault);

// `detail` says which field, and what stood there.
Status status_of(RequestFault fault, const std::string& detail = {});

// The details of an error: a serialized google.rpc.Status with one ErrorInfo
// (https://google.aip.dev/193), and RetryInfo where trying again helps.
std::string error_details(const Status& status, const ErrorFacts& facts);

}  // namespace pm::api
