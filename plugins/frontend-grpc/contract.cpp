#include "contract.h"

#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <cstring>

namespace pm::frontend {
namespace {

namespace protobuf = google::protobuf;

// The two services that every gRPC server is expected to offer, as their published files say.
constexpr const char* kHealthProto = R"(syntax = "proto3";
package grpc.health.v1;
message HealthCheckRequest { string service = 1; }
message HealthCheckResponse {
  enum ServingStatus { UNKNOWN = 0; SERVING = 1; NOT_SERVING = 2; SERVICE_UNKNOWN = 3; }
  ServingStatus status = 1;
}
service Health {
  rpc Check(HealthCheckRequest) returns (HealthCheckResponse);
  rpc Watch(HealthCheckRequest) returns (stream HealthCheckResponse);
}
)";

constexpr const char* kReflectionProto = R"(syntax = "proto3";
package grpc.reflection.v1alpha;
service ServerReflection {
  rpc ServerReflectionInfo(stream ServerReflectionRequest)
      returns (stream ServerReflectionResponse);
}
message ServerReflectionRequest {
  string host = 1;
  oneof message_request {
    string file_by_filename = 3;
    string file_containing_symbol = 4;
    ExtensionRequest file_containing_extension = 5;
    string all_extension_numbers_of_type = 6;
    string list_services = 7;
  }
}
message ExtensionRequest { string containing_type = 1; int32 extension_number = 2; }
message ServerReflectionResponse {
  string valid_host = 1;
  ServerReflectionRequest original_request = 2;
  oneof message_response {
    FileDescriptorResponse file_descriptor_response = 4;
    ExtensionNumberResponse all_extension_numbers_response = 5;
    ListServiceResponse list_services_response = 6;
    ErrorResponse error_response = 7;
  }
}
message FileDescriptorResponse { repeated bytes file_descriptor_proto = 1; }
message ExtensionNumberResponse { string base_type_name = 1; repeated int32 extension_number = 2; }
message ListServiceResponse { repeated ServiceResponse service = 1; }
message ServiceResponse { string name = 1; }
message ErrorResponse { int32 error_code = 1; string error_message = 2; }
)";

class Errors : public protobuf::DescriptorPool::ErrorCollector {
 public:
  void AddError(const std::string& file, const std::string& element, const protobuf::Message*,
                ErrorLocation, const std::string& message) override {
    if (text.empty()) text = file + ": " + element + ": " + message;
  }
  std::string text;
};

MethodKind kind_of(const protobuf::MethodDescriptor& method) {
  const std::string& name = method.full_name();
  if (name == "grpc.health.v1.Health.Check") return MethodKind::health_check;
  if (name == "grpc.health.v1.Health.Watch") return MethodKind::health_watch;
  if (name == "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo") {
    return MethodKind::reflection;
  }
  if (method.client_streaming()) return MethodKind::refused;
  return method.server_streaming() ? MethodKind::stream : MethodKind::unary;
}

}  // namespace

Result<std::unique_ptr<Contract>> Contract::load(std::string_view file_descriptor_set) {
  auto contract = std::make_unique<Contract>();
  protobuf::FileDescriptorSet set;
  if (!set.ParseFromArray(file_descriptor_set.data(),
                          static_cast<int>(file_descriptor_set.size()))) {
    return Status(Code::internal, "the host's descriptors are no FileDescriptorSet");
  }
  for (const auto& file : set.file()) PM_TRY(contract->add_file(file));
  PM_TRY(contract->add_own_file("grpc/health/v1/health.proto", kHealthProto));
  PM_TRY(contract->add_own_file("grpc/reflection/v1alpha/reflection.proto", kReflectionProto));
  return contract;
}

Status Contract::add_file(const protobuf::FileDescriptorProto& file) {
  Errors errors;
  const auto* built = pool_.BuildFileCollectingErrors(file, &errors);
  if (built == nullptr) {
    return {Code::internal, "the host's descriptors do not fit together: " + errors.text};
  }
  files_[file.name()] = file.SerializeAsString();
  add_methods(*built);
  return {};
}

Status Contract::add_own_file(const char* name, const char* text) {
  if (files_.count(name) != 0) return {};
  protobuf::io::ArrayInputStream input(text, static_cast<int>(std::strlen(text)));
  protobuf::io::Tokenizer tokenizer(&input, nullptr);
  protobuf::FileDescriptorProto file;
  if (!protobuf::compiler::Parser().Parse(&tokenizer, &file)) {
    return {Code::internal, std::string("the plugin's own ") + name + " does not parse"};
  }
  file.set_name(name);
  return add_file(file);
}

void Contract::add_methods(const protobuf::FileDescriptor& file) {
  for (int i = 0; i < file.service_count(); ++i) {
    const auto& service = *file.service(i);
    services_.push_back(service.full_name());
    for (int j = 0; j < service.method_count(); ++j) {
      const auto& method = *service.method(j);
      methods_.push_back(
          {"/" + service.full_name() + "/" + method.name(), kind_of(method), nullptr});
    }
  }
}

}  // namespace pm::frontend
