#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "pm/cpp/result.hpp"

// The options of a verb that is one call of the contract, made from the request's own fields: so
// that every field can be given, and a new one needs no work here.

namespace pm::ctl {

// One field of a request, as the command line gives it.
struct RequestField {
  std::string option;  // "min-lease-duration-ms"
  // From the request: through singular messages, and the elements of a repeated one that a
  // positional argument names.
  std::vector<const google::protobuf::FieldDescriptor*> path;
  std::string value_name;     // "N", "ID", "KEY=VALUE"; empty: a switch.
  bool repeats = false;       // May be given again.
  bool adds_element = false;  // Each makes another element of the repeated message on its path.
};

// All fields of `request` but pages' sizes and tokens; messages within are opened, and of two
// fields of one name the outer one counts.
std::vector<RequestField> request_fields(const google::protobuf::Message& request);

// Sets a field from its text. A value "@FILE" of bytes is a file's content. INVALID_ARGUMENT says
// what is allowed.
Status set_field(google::protobuf::Message& request, const RequestField& field,
                 const std::string& text);

// Sets a message that one text gives whole: an id, a time, a stream's name, a checksum. Errors name
// the field's option.
Status set_value(google::protobuf::Message& value, const RequestField& field,
                 const std::string& text);

}  // namespace pm::ctl
