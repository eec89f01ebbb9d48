#pragma once

#include <string>

#include "command_line.h"

namespace pm::ctl {

// One call of the administration's service. The message of an answer of another kind is INTERNAL.
template <typename Response, typename Request>
Result<Response> ask_admin(const Context& context, const char* method, const Request& request) {
  const std::string name =
      std::string("/payload.manager.services.v1.PayloadAdminService/") + method;
  const auto bytes = context.client.call(name, request.SerializeAsString());
  if (!bytes) return bytes.status();
  Response response;
  if (!response.ParseFromString(*bytes)) return Status(Code::internal, "an answer of another kind");
  return response;
}

}  // namespace pm::ctl
