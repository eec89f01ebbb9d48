#pragma once

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

// The details of an error: a serialized google.rpc.Status with one ErrorInfo
// (https://google.aip.dev/193), and RetryInfo where trying again helps.
std::string error_details(const Status& status, const ErrorFacts& facts);

}  // namespace pm::api
