#pragma once

#include <google/protobuf/message.h>

#include <boost/json/value.hpp>
#include <string>
#include <vector>

// How messages of the contract look: JSON with lowerCamelCase keys in the order of the fields, and
// cells of a table. Ids are UUIDs, times ISO 8601 in UTC, values of enums short names in lower case
// ("best-effort"), other bytes text where they are printable UTF-8, else {"base64": ...}.

namespace pm::ctl {

boost::json::value message_json(const google::protobuf::Message& message);

// The field that `path` names ("stream.name"), as text; empty when it is not there.
std::string field_text(const google::protobuf::Message& message, const std::string& path);

// "ram", "best-effort"; a number that has no name is "tier-100".
std::string enum_text(const google::protobuf::EnumDescriptor& kind, int number);

}  // namespace pm::ctl
