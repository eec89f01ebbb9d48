#include "request_editor.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <memory>

#include "input.h"

namespace pm::fuzz {
namespace {

namespace proto = google::protobuf;

using proto::FieldDescriptor;

// Of a name that begins with a dot.
const proto::Descriptor* type_of(const std::string& name) {
  return proto::DescriptorPool::generated_pool()->FindMessageTypeByName(name.substr(1));
}

std::unique_ptr<proto::Message> make(const proto::Descriptor* type) {
  return std::unique_ptr<proto::Message>(
      proto::MessageFactory::generated_factory()->GetPrototype(type)->New());
}

bool is_id(const FieldDescriptor& field) {
  return field.type() == FieldDescriptor::TYPE_BYTES && field.name() == "value";
}

std::vector<const FieldDescriptor*> fields_of(const proto::Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  return fields;
}

}  // namespace

const std::vector<ContractMethod>& contract_methods(const pm_engine_t* engine) {
  // Never destroyed: a call may still run when the process ends.
  static const auto& methods = *new const std::vector<ContractMethod>([engine] {
    std::uint64_t length = 0;
    const std::uint8_t* const bytes = engine->get_descriptors(engine, &length);
    proto::FileDescriptorSet files;
    expect(files.ParseFromArray(bytes, static_cast<int>(length)), "the contract can be read");
    std::vector<ContractMethod> all;
    for (const proto::FileDescriptorProto& file : files.file()) {
      for (const proto::ServiceDescriptorProto& service : file.service()) {
        for (const proto::MethodDescriptorProto& method : service.method()) {
          all.push_back({"/" + file.package() + "." + service.name() + "/" + method.name(),
                         type_of(method.input_type()), type_of(method.output_type())});
        }
      }
    }
    return all;
  }());
  return methods;
}

std::string RequestEditor::edit(const ContractMethod& method, std::string_view bytes) {
  const auto message = make(method.request);
  if (!message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return std::string(bytes);
  }
  edit(*message);
  return message->SerializeAsString();
}

void RequestEditor::edit(proto::Message& message) {
  const proto::Reflection& reflection = *message.GetReflection();
  for (const FieldDescriptor* field : fields_of(message)) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (!field->is_repeated()) {
        edit(*reflection.MutableMessage(&message, field));
        continue;
      }
      for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
        edit(*reflection.MutableRepeatedMessage(&message, field, i));
      }
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING && !field->is_repeated()) {
      const std::string value = reflection.GetString(message, field);
      if (value.size() != 1) continue;
      const auto number = static_cast<unsigned char>(value[0]);
      if (is_id(*field) && !ids_.empty()) {
        reflection.SetString(&message, field, ids_[number % ids_.size()]);
      } else if (field->name() == "page_token") {
        reflection.SetString(&message, field, page_token_);
      } else if (field->name() == "resume_token") {
        reflection.SetString(&message, field, resume_token_);
      }
    }
  }
}

bool RequestEditor::learn(const ContractMethod& method, std::string_view bytes) {
  const auto message = make(method.reply);
  if (!message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return false;
  learn(*message);
  return true;
}

void RequestEditor::learn(const proto::Message& message) {
  constexpr std::size_t ids_max = 64;
  const proto::Reflection& reflection = *message.GetReflection();
  for (const FieldDescriptor* field : fields_of(message)) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (!field->is_repeated()) {
        learn(reflection.GetMessage(message, field));
        continue;
      }
      for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
        learn(reflection.GetRepeatedMessage(message, field, i));
      }
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING && !field->is_repeated()) {
      const std::string value = reflection.GetString(message, field);
      if (is_id(*field) && ids_.size() < ids_max) ids_.push_back(value);
      if (field->name() == "next_page_token") page_token_ = value;
      if (field->name() == "resume_token") resume_token_ = value;
    }
  }
}

}  // namespace pm::fuzz
