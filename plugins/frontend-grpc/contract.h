#pragma once

#include <google/protobuf/descriptor.h>

#include <map>
#include <memory>
#include <pm/cpp/result.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace pm::frontend {

// Who answers a method, and how.
enum class MethodKind { unary, stream, refused, health_check, health_watch, reflection, unknown };

struct Method {
  std::string path;  // "/package.Service/Method"
  MethodKind kind = MethodKind::unknown;
  void* registered = nullptr;  // gRPC's handle.
};

// Whether gRPC leaves it to the call to ask for request messages.
inline bool streams_requests(const Method& method) {
  return method.kind == MethodKind::reflection || method.kind == MethodKind::refused;
}

// The methods that the engine serves, read from its descriptors, and health and reflection beside
// them. The pool is private: the process may hold generated code of the same files.
class Contract {
 public:
  static Result<std::unique_ptr<Contract>> load(std::string_view file_descriptor_set);

  std::vector<Method>& methods() { return methods_; }
  const std::vector<std::string>& services() const { return services_; }
  const google::protobuf::DescriptorPool& pool() const { return pool_; }

  // The serialized FileDescriptorProto of a file of the pool.
  const std::string& file_bytes(const std::string& name) const { return files_.at(name); }

 private:
  Status add_file(const google::protobuf::FileDescriptorProto& file);
  Status add_own_file(const char* name, const char* text);
  void add_methods(const google::protobuf::FileDescriptor& file);

  google::protobuf::DescriptorPool pool_;
  std::map<std::string, std::string> files_;
  std::vector<std::string> services_;
  std::vector<Method> methods_;
};

}  // namespace pm::frontend
