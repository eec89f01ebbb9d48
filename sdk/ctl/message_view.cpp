#include "message_view.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/timestamp.pb.h>
#include <openssl/evp.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cctype>
#include <map>

#include "pm/client/client.h"
#include "text.h"

namespace pm::ctl {
namespace {

namespace json = boost::json;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::string uuid_text(const std::string& bytes) {
  client::PayloadId id;
  if (bytes.size() != id.bytes.size()) return {};
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  return id.to_string();
}

bool is_printable(const std::string& bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](unsigned char c) { return c >= 0x20 && c < 0x7f; });
}

json::value bytes_json(const std::string& bytes) {
  if (is_printable(bytes)) return json::value(bytes);
  std::string encoded((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  encoded.resize(static_cast<std::size_t>(length));
  return json::object{{"base64", encoded}};
}

bool is_id(const Message& message) {
  const std::string& name = message.GetDescriptor()->name();
  return name == "PayloadID" || name == "LeaseID";
}

// Messages that are one value: ids and times.
bool simple_text(const Message& message, std::string& text) {
  const auto* descriptor = message.GetDescriptor();
  if (is_id(message)) {
    text = uuid_text(message.GetReflection()->GetString(message, descriptor->FindFieldByNumber(1)));
    return true;
  }
  if (descriptor->full_name() != "google.protobuf.Timestamp") return false;
  google::protobuf::Timestamp time;
  time.CopyFrom(message);
  text = iso_time(client::WallTime(std::chrono::duration_cast<client::WallTime::duration>(
      std::chrono::seconds(time.seconds()) + std::chrono::nanoseconds(time.nanos()))));
  return true;
}

json::value scalar_json(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& reflection = *message.GetReflection();
  const bool repeated = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL: return reflection.GetBool(message, &field);
    case FieldDescriptor::CPPTYPE_INT32: return reflection.GetInt32(message, &field);
    case FieldDescriptor::CPPTYPE_UINT32: return reflection.GetUInt32(message, &field);
    case FieldDescriptor::CPPTYPE_INT64: return reflection.GetInt64(message, &field);
    case FieldDescriptor::CPPTYPE_UINT64: return reflection.GetUInt64(message, &field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return json::value(enum_text(
          *field.enum_type(), repeated ? reflection.GetRepeatedEnumValue(message, &field, index)
                                       : reflection.GetEnumValue(message, &field)));
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string value = repeated ? reflection.GetRepeatedString(message, &field, index)
                                         : reflection.GetString(message, &field);
      return field.type() == FieldDescriptor::TYPE_BYTES ? bytes_json(value) : json::value(value);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return message_json(repeated ? reflection.GetRepeatedMessage(message, &field, index)
                                   : reflection.GetMessage(message, &field));
    default: return nullptr;
  }
}

json::value field_json(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  if (!field.is_repeated()) {
    const bool is_message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (is_message && !reflection.HasField(message, &field)) return nullptr;
    return scalar_json(message, field, 0);
  }
  const int size = reflection.FieldSize(message, &field);
  if (field.is_map()) {
    // Maps have no order on the wire; scripts and people want one.
    std::map<std::string, json::value> sorted;
    const auto& entry = *field.message_type();
    for (int index = 0; index < size; ++index) {
      const Message& pair = reflection.GetRepeatedMessage(message, &field, index);
      sorted[pair.GetReflection()->GetString(pair, entry.map_key())] =
          scalar_json(pair, *entry.map_value(), 0);
    }
    json::object object;
    for (auto& [key, value] : sorted) object[key] = std::move(value);
    return object;
  }
  json::array array;
  for (int index = 0; index < size; ++index) {
    array.push_back(scalar_json(message, field, index));
  }
  return array;
}

// As a cell of a table.
std::string plain(const json::value& value) {
  if (value.is_null()) return {};
  if (value.is_string()) return std::string(value.get_string());
  if (!value.is_object()) return json::serialize(value);
  std::string text;
  for (const auto& [key, part] : value.get_object()) {
    text += (text.empty() ? "" : ",") + std::string(key) + '=' + plain(part);
  }
  return text;
}

}  // namespace

json::value message_json(const Message& message) {
  std::string text;
  if (simple_text(message, text)) return json::value(text);
  json::object object;
  const auto& descriptor = *message.GetDescriptor();
  for (int index = 0; index < descriptor.field_count(); ++index) {
    const FieldDescriptor& field = *descriptor.field(index);
    const bool chosen = field.real_containing_oneof() == nullptr ||
                        message.GetReflection()->HasField(message, &field);
    if (chosen) object[field.json_name()] = field_json(message, field);
  }
  return object;
}

std::string field_text(const Message& message, const std::string& path) {
  const std::size_t dot = path.find('.');
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(path.substr(0, dot));
  if (field == nullptr) return {};
  if (dot == std::string::npos) return plain(field_json(message, *field));
  if (!message.GetReflection()->HasField(message, field)) return {};
  return field_text(message.GetReflection()->GetMessage(message, field), path.substr(dot + 1));
}

std::string enum_text(const google::protobuf::EnumDescriptor& kind, int number) {
  // TIER_RAM of Tier, PROMOTION_POLICY_BEST_EFFORT of PromotionPolicy: the first word or words say
  // the kind again.
  std::string prefix;
  for (const char c : kind.name()) {
    if (std::isupper(static_cast<unsigned char>(c)) != 0 && !prefix.empty()) prefix += '-';
    prefix += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  const auto* value = kind.FindValueByNumber(number);
  if (value == nullptr) return prefix + '-' + std::to_string(number);
  std::string text;
  for (const char c : value->name()) {
    text += c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return text.rfind(prefix + '-', 0) == 0 ? text.substr(prefix.size() + 1) : text;
}

}  // namespace pm::ctl
