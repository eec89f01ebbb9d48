#include "reflection.h"

#include <set>

#include "wire.h"

namespace pm::frontend {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;

// Field numbers of ServerReflectionRequest and ServerReflectionResponse.
enum Request : int {
  kHost = 1,
  kFileByName = 3,
  kFileBySymbol = 4,
  kFileByExtension = 5,
  kExtensionNumbers = 6,
  kListServices = 7
};
enum Response : int {
  kValidHost = 1,
  kOriginalRequest = 2,
  kFileResponse = 4,
  kNumbersResponse = 5,
  kServicesResponse = 6,
  kErrorResponse = 7
};

void append_error(std::string& response, Code code, const std::string& message) {
  std::string error;
  append_number(error, 1, static_cast<std::uint64_t>(code));
  append_bytes(error, 2, message);
  append_bytes(response, kErrorResponse, error);
}

// The file and what it imports, each once, so that a client can build it without asking again.
void append_file_and_imports(const Contract& contract, const FileDescriptor& file,
                             std::set<std::string>& seen, std::string& result) {
  if (!seen.insert(file.name()).second) return;
  append_bytes(result, 1, contract.file_bytes(file.name()));
  for (int i = 0; i < file.dependency_count(); ++i) {
    append_file_and_imports(contract, *file.dependency(i), seen, result);
  }
}

void append_files(const Contract& contract, const FileDescriptor* file, std::string_view asked,
                  std::string& response) {
  if (file == nullptr) {
    append_error(response, Code::not_found, "no file, symbol or extension " + std::string(asked));
    return;
  }
  std::set<std::string> seen;
  std::string files;
  append_file_and_imports(contract, *file, seen, files);
  append_bytes(response, kFileResponse, files);
}

const FileDescriptor* find_extension_file(const Contract& contract, std::string_view request) {
  std::string type;
  int number = 0;
  FieldReader reader(request);
  while (reader.next()) {
    if (reader.field() == 1) type = reader.bytes();
    if (reader.field() == 2) number = static_cast<int>(reader.number());
  }
  const auto* extended = contract.pool().FindMessageTypeByName(type);
  if (extended == nullptr) return nullptr;
  const auto* extension = contract.pool().FindExtensionByNumber(extended, number);
  return extension == nullptr ? nullptr : extension->file();
}

void append_extension_numbers(const Contract& contract, const std::string& type,
                              std::string& response) {
  const auto* message = contract.pool().FindMessageTypeByName(type);
  if (message == nullptr) {
    append_error(response, Code::not_found, "no message type " + type);
    return;
  }
  std::vector<const FieldDescriptor*> extensions;
  contract.pool().FindAllExtensions(message, &extensions);
  std::string numbers;
  append_bytes(numbers, 1, type);
  for (const auto* extension : extensions) {
    append_number(numbers, 2, static_cast<std::uint64_t>(extension->number()));
  }
  append_bytes(response, kNumbersResponse, numbers);
}

void append_services(const Contract& contract, std::string& response) {
  std::string services;
  for (const auto& name : contract.services()) {
    std::string service;
    append_bytes(service, 1, name);
    append_bytes(services, 1, service);
  }
  append_bytes(response, kServicesResponse, services);
}

}  // namespace

std::string answer_reflection(const Contract& contract, std::string_view request) {
  std::string_view host;
  std::string asked;
  int what = 0;
  FieldReader reader(request);
  while (reader.next()) {
    if (reader.field() == kHost) {
      host = reader.bytes();
    } else if (reader.field() >= kFileByName && reader.field() <= kListServices) {
      what = reader.field();
      asked = reader.bytes();
    }
  }
  std::string response;
  append_bytes(response, kValidHost, host);
  append_bytes(response, kOriginalRequest, request);
  const auto& pool = contract.pool();
  switch (reader.malformed() ? 0 : what) {
    case kFileByName: append_files(contract, pool.FindFileByName(asked), asked, response); break;
    case kFileBySymbol:
      append_files(contract, pool.FindFileContainingSymbol(asked), asked, response);
      break;
    case kFileByExtension:
      append_files(contract, find_extension_file(contract, asked), "of that number", response);
      break;
    case kExtensionNumbers: append_extension_numbers(contract, asked, response); break;
    case kListServices: append_services(contract, response); break;
    default:
      append_error(response, Code::invalid_argument,
                   "the request asks for nothing that v1alpha knows");
  }
  return response;
}

}  // namespace pm::frontend
