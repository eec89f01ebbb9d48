#include "status.h"

#include <utility>

#include "google/rpc/error_details.pb.h"

namespace pm::client::detail {

Status status_from(const google::rpc::Status& status) {
  if (status.code() == 0) return {};
  std::string reason;
  google::rpc::ErrorInfo info;
  for (const google::protobuf::Any& detail : status.details()) {
    if (detail.UnpackTo(&info)) reason = info.reason();
  }
  const bool is_known = status.code() > 0 && status.code() <= 16;
  const Code code = is_known ? static_cast<Code>(status.code()) : Code::internal;
  return {code, status.message(), std::move(reason)};
}

Status status_from(int code, std::string_view message, std::string_view details) {
  if (code == 0) return {};
  google::rpc::Status status;
  if (!status.ParseFromArray(details.data(), static_cast<int>(details.size()))) status.Clear();
  status.set_code(code);
  status.set_message(std::string(message));
  return status_from(status);
}

}  // namespace pm::client::detail
