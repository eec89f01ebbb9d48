#include "documents.h"

namespace pm::api {

bool fits(const Invocation& invocation, const std::string& field, const std::string& value,
          std::size_t bytes_max) {
  if (value.size() <= bytes_max) return true;
  reply_error(invocation, RequestFault::text_too_long,
              field + " has " + std::to_string(value.size()) + " bytes, at most " +
                  std::to_string(bytes_max) + " are allowed");
  return false;
}

Status read_failed(const Status& status) {
  const catalog::Reason reason = status.code() == Code::unavailable
                                     ? catalog::Reason::journal_full
                                     : catalog::Reason::storage_error;
  const ReasonText& text = text_of(reason);
  return {status.code() == Code::unavailable ? text.code : status.code(),
          "the repository could not be read: " + status.message(), text.name};
}

}  // namespace pm::api
