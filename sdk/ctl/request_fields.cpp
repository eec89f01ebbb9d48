#include "request_fields.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>

#include "message_view.h"
#include "pm/client/client.h"

namespace pm::ctl {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

Status bad(const RequestField& field, const std::string& words) {
  return {Code::invalid_argument, "--" + field.option + ": " + words};
}

// Messages that one argument gives whole.
bool is_value(const google::protobuf::Descriptor& message) {
  static const std::set<std::string> names = {"PayloadID", "LeaseID", "StreamID", "Timestamp",
                                              "Checksum"};
  return names.count(message.name()) != 0;
}

std::string value_name(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL: return {};
    case FieldDescriptor::CPPTYPE_STRING:
      return field.type() == FieldDescriptor::TYPE_BYTES ? "TEXT|@FILE" : "TEXT";
    case FieldDescriptor::CPPTYPE_ENUM: return "NAME";
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      const std::string& name = field.message_type()->name();
      if (field.is_map()) return "KEY=VALUE";
      if (name == "StreamID") return "[NAMESPACE/]NAME";
      if (name == "Timestamp") return "TIME";
      if (name == "Checksum") return "ALGORITHM[:HEX]";
      return "ID";
    }
    default: return "N";
  }
}

void collect(const google::protobuf::Descriptor& message,
             const std::vector<const FieldDescriptor*>& path, std::vector<RequestField>& fields) {
  std::vector<const FieldDescriptor*> inner;
  for (int index = 0; index < message.field_count(); ++index) {
    const FieldDescriptor& field = *message.field(index);
    if (field.name() == "page_size" || field.name() == "page_token") continue;
    const bool is_message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (is_message && !field.is_map() && !is_value(*field.message_type())) {
      inner.push_back(&field);
      continue;
    }
    RequestField entry{field.name(), path, value_name(field), field.is_repeated(), false};
    std::replace(entry.option.begin(), entry.option.end(), '_', '-');
    entry.path.push_back(&field);
    const bool taken = std::any_of(fields.begin(), fields.end(), [&](const RequestField& other) {
      return other.option == entry.option;
    });
    if (!taken) fields.push_back(std::move(entry));
  }
  for (const FieldDescriptor* field : inner) {
    std::vector<const FieldDescriptor*> deeper = path;
    deeper.push_back(field);
    collect(*field->message_type(), deeper, fields);
  }
}

template <typename Integer>
Status set_integer(const RequestField& field, const std::string& text, Integer& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return {};
  return bad(field, "'" + text + "' is not a whole number from " +
                        std::to_string(std::numeric_limits<Integer>::min()) + " to " +
                        std::to_string(std::numeric_limits<Integer>::max()));
}

Result<int> enum_number(const RequestField& field, const std::string& text) {
  const auto& kind = *field.path.back()->enum_type();
  std::string allowed;
  for (int index = 0; index < kind.value_count(); ++index) {
    const int number = kind.value(index)->number();
    const std::string name = enum_text(kind, number);
    if (name == text) return number;
    if (number != 0) allowed += (allowed.empty() ? "" : ", ") + name;
  }
  if (kind.name() == "Tier") {
    const auto tier = client::parse_tier(text);
    if (!tier) return bad(field, tier.status().message());
    return static_cast<int>(*tier);
  }
  return bad(field, "'" + text + "' is none of " + allowed);
}

Result<std::string> content(const RequestField& field, const std::string& text) {
  if (text.empty() || text.front() != '@') return text;
  std::ifstream file(text.substr(1), std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  if (!file) return bad(field, "cannot read " + text.substr(1));
  return bytes.str();
}

// "sha256:9f86d0...", "crc32c".
Status set_checksum(const RequestField& field, const std::string& text, Message& checksum) {
  const auto& descriptor = *checksum.GetDescriptor();
  const RequestField algorithm{
      field.option, {descriptor.FindFieldByName("algorithm")}, {}, false, false};
  const std::size_t colon = std::min(text.find(':'), text.size());
  const auto number = enum_number(algorithm, text.substr(0, colon));
  if (!number) return number.status();
  checksum.GetReflection()->SetEnumValue(&checksum, algorithm.path.back(), *number);
  std::string value;
  for (std::size_t at = colon + 1; at < text.size(); at += 2) {
    unsigned byte = 0;
    const std::string pair = text.substr(at, 2);
    const auto [end, error] = std::from_chars(pair.data(), pair.data() + pair.size(), byte, 16);
    if (error != std::errc() || end != pair.data() + 2) {
      return bad(field, "'" + text.substr(colon + 1) + "' is not in pairs of hexadecimal digits");
    }
    value += static_cast<char>(byte);
  }
  checksum.GetReflection()->SetString(&checksum, descriptor.FindFieldByName("value"), value);
  return {};
}

Status set_pair(const RequestField& field, const std::string& text, Message& entry) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) return bad(field, "'" + text + "' is not KEY=VALUE");
  const auto& descriptor = *entry.GetDescriptor();
  entry.GetReflection()->SetString(&entry, descriptor.map_key(), text.substr(0, equals));
  entry.GetReflection()->SetString(&entry, descriptor.map_value(), text.substr(equals + 1));
  return {};
}

Status set_leaf(Message& message, const RequestField& field, const std::string& text) {
  const FieldDescriptor& leaf = *field.path.back();
  const Reflection& reflection = *message.GetReflection();
  switch (leaf.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL: reflection.SetBool(&message, &leaf, true); return {};
    case FieldDescriptor::CPPTYPE_INT32: {
      std::int32_t value = 0;
      PM_TRY(set_integer(field, text, value));
      reflection.SetInt32(&message, &leaf, value);
      return {};
    }
    case FieldDescriptor::CPPTYPE_UINT32: {
      std::uint32_t value = 0;
      PM_TRY(set_integer(field, text, value));
      reflection.SetUInt32(&message, &leaf, value);
      return {};
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      std::uint64_t value = 0;
      PM_TRY(set_integer(field, text, value));
      reflection.SetUInt64(&message, &leaf, value);
      return {};
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto number = enum_number(field, text);
      if (!number) return number.status();
      if (leaf.is_repeated()) {
        reflection.AddEnumValue(&message, &leaf, *number);
      } else {
        reflection.SetEnumValue(&message, &leaf, *number);
      }
      return {};
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string value = text;
      if (leaf.type() == FieldDescriptor::TYPE_BYTES) {
        auto bytes = content(field, text);
        if (!bytes) return bytes.status();
        value = *std::move(bytes);
      }
      if (leaf.is_repeated()) {
        reflection.AddString(&message, &leaf, value);
      } else {
        reflection.SetString(&message, &leaf, value);
      }
      return {};
    }
    default: break;
  }
  Message* value = leaf.is_repeated() ? reflection.AddMessage(&message, &leaf)
                                      : reflection.MutableMessage(&message, &leaf);
  return leaf.is_map() ? set_pair(field, text, *value) : set_value(*value, field, text);
}

// Within a repeated message a positional argument makes the elements, an option is for all of them.
Status set_along(Message& message, const RequestField& field, std::size_t depth,
                 const std::string& text) {
  if (depth + 1 == field.path.size()) return set_leaf(message, field, text);
  const FieldDescriptor& step = *field.path[depth];
  const Reflection& reflection = *message.GetReflection();
  if (!step.is_repeated()) {
    return set_along(*reflection.MutableMessage(&message, &step), field, depth + 1, text);
  }
  if (field.adds_element)
    return set_along(*reflection.AddMessage(&message, &step), field, depth + 1, text);
  for (int index = 0; index < reflection.FieldSize(message, &step); ++index) {
    PM_TRY(set_along(*reflection.MutableRepeatedMessage(&message, &step, index), field, depth + 1,
                     text));
  }
  return {};
}

}  // namespace

Status set_value(Message& value, const RequestField& field, const std::string& text) {
  const auto& descriptor = *value.GetDescriptor();
  const Reflection& reflection = *value.GetReflection();
  if (descriptor.name() == "Checksum") return set_checksum(field, text, value);
  if (descriptor.name() == "Timestamp") {
    google::protobuf::Timestamp time;
    if (!google::protobuf::util::TimeUtil::FromString(text, &time)) {
      return bad(field, "'" + text + "' is not a time like 2026-01-02T03:04:05Z");
    }
    value.CopyFrom(time);
    return {};
  }
  if (descriptor.name() == "StreamID") {
    const std::size_t slash = text.find('/');
    const std::string name = slash == std::string::npos ? text : text.substr(slash + 1);
    reflection.SetString(&value, descriptor.FindFieldByName("name"), name);
    if (slash != std::string::npos) {
      reflection.SetString(&value, descriptor.FindFieldByName("namespace"), text.substr(0, slash));
    }
    return {};
  }
  const auto id = client::PayloadId::parse(text);
  if (!id) return bad(field, id.status().message());
  reflection.SetString(&value, descriptor.FindFieldByNumber(1),
                       {reinterpret_cast<const char*>(id->bytes.data()), id->bytes.size()});
  return {};
}

std::vector<RequestField> request_fields(const Message& request) {
  std::vector<RequestField> fields;
  collect(*request.GetDescriptor(), {}, fields);
  return fields;
}

Status set_field(Message& request, const RequestField& field, const std::string& text) {
  return set_along(request, field, 0, text);
}

}  // namespace pm::ctl
