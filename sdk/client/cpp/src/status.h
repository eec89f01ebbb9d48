#pragma once

#include <string>
#include <string_view>

#include "google/rpc/status.pb.h"
#include "pm/cpp/result.hpp"

// What a host says of a failure, as a Status: the code, the words, and the reason of the
// google.rpc.ErrorInfo among the details.

namespace pm::client::detail {

Status status_from(const google::rpc::Status& status);
// `details`: a serialized google.rpc.Status, or empty. OK when `code` is 0.
Status status_from(int code, std::string_view message, std::string_view details);

}  // namespace pm::client::detail
