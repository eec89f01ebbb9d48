#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <map>
#include <set>

#include "rules.h"

// Rules about the services that every gRPC server offers: health and reflection.

namespace pm::frontend_contract {
namespace {

using google::protobuf::FileDescriptorProto;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

constexpr const char* kReflection =
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

std::string field(int number, const std::string& value) {
  std::string result(1, static_cast<char>(number << 3 | 2));
  result.push_back(static_cast<char>(value.size()));  // All values here are below 128 bytes.
  return result + value;
}

// The length-delimited fields of a message, by number; varints as their decimal text.
std::multimap<int, std::string> fields(const std::string& message) {
  std::multimap<int, std::string> result;
  CodedInputStream input(reinterpret_cast<const std::uint8_t*>(message.data()),
                         static_cast<int>(message.size()));
  while (const std::uint32_t tag = input.ReadTag()) {
    std::string text;
    std::uint64_t number = 0;
    if (WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
      std::uint32_t length = 0;
      if (!input.ReadVarint32(&length) || !input.ReadString(&text, static_cast<int>(length))) break;
    } else if (input.ReadVarint64(&number)) {
      text = std::to_string(number);
    }
    result.emplace(WireFormatLite::GetTagFieldNumber(tag), text);
  }
  return result;
}

std::string first(const std::multimap<int, std::string>& all, int number) {
  const auto found = all.find(number);
  return found == all.end() ? "" : found->second;
}

std::string health_of(Bench& bench, const std::string& service) {
  const auto reply =
      bench.client().call("/grpc.health.v1.Health/Check", service.empty() ? "" : field(1, service));
  if (!reply.status.ok()) return "error " + std::to_string(reply.status.error_code());
  return first(fields(reply.bytes), 1);
}

std::string health_answers_for_every_service(Bench& bench) {
  for (const char* service : {"", "pm.fake.v1.Fake", "pm.fake.v1.Streams"}) {
    const std::string status = health_of(bench, service);
    PM_RULE(status == "1", "health of '" + std::string(service) + "': " + status);
  }
  const std::string unknown = health_of(bench, "pm.fake.v1.Nothing");
  PM_RULE(unknown == "error 5", "an unknown service is not NOT_FOUND but " + unknown);
  return {};
}

std::string health_watchers_hear_of_the_drain(Bench& bench) {
  Stream watch(bench.client(), "/grpc.health.v1.Health/Watch");
  watch.write(field(1, "pm.fake.v1.Fake"));
  std::string reply;
  PM_RULE(watch.read(reply), "the watch ended");
  PM_RULE(first(fields(reply), 1) == "1", "the service does not serve");
  const auto begin = std::chrono::steady_clock::now();
  bench.frontend().drain(std::chrono::seconds(5));
  const auto took = std::chrono::steady_clock::now() - begin;
  PM_RULE(watch.read(reply), "the watch ended without a word");
  PM_RULE(first(fields(reply), 1) == "2", "the watcher did not hear NOT_SERVING");
  PM_RULE(took < std::chrono::seconds(2), "a watcher held up the drain");
  return {};
}

struct Reflected {
  std::set<std::string> services;
  std::set<std::string> files;
  std::string error_code;
};

Reflected reflect(Stream& stream, const std::string& request) {
  Reflected result;
  std::string reply;
  stream.write(request, false);
  if (!stream.read(reply)) return result;
  const auto all = fields(reply);
  for (const auto& [number, value] : fields(first(all, 6))) {
    if (number == 1) result.services.insert(first(fields(value), 1));
  }
  for (const auto& [number, value] : fields(first(all, 4))) {
    FileDescriptorProto file;
    if (number == 1 && file.ParseFromString(value)) result.files.insert(file.name());
  }
  result.error_code = first(fields(first(all, 7)), 1);
  return result;
}

std::string reflection_tells_services_and_files(Bench& bench) {
  Stream stream(bench.client(), kReflection);
  const auto list = reflect(stream, field(7, "*"));
  for (const char* service : {"pm.fake.v1.Fake", "pm.fake.v1.Streams", "grpc.health.v1.Health",
                              "grpc.reflection.v1alpha.ServerReflection"}) {
    PM_RULE(list.services.count(service) == 1, std::string(service) + " is not listed");
  }
  for (const auto& service : list.services) {
    const auto answer = reflect(stream, field(4, service));
    PM_RULE(!answer.files.empty(), "no file for " + service);
  }
  const std::set<std::string> both{"pm/fake/v1/services.proto", "pm/fake/v1/messages.proto"};
  PM_RULE(reflect(stream, field(4, "pm.fake.v1.Fake.Echo")).files == both, "by method");
  PM_RULE(reflect(stream, field(3, "pm/fake/v1/services.proto")).files == both, "by file name");
  PM_RULE(reflect(stream, field(4, "pm.fake.v1.Text")).files.size() == 1, "by message");
  PM_RULE(reflect(stream, field(4, "no.such.Symbol")).error_code == "5", "not NOT_FOUND");
  PM_RULE(reflect(stream, field(9, "?")).error_code == "3", "not INVALID_ARGUMENT");
  stream.write(field(7, "*"), true);
  std::string reply;
  PM_RULE(stream.read(reply), "the last question got no answer");
  PM_RULE(!stream.read(reply), "more answers than questions");
  const auto status = stream.finish();
  PM_RULE(status.ok(), status.error_message());
  return {};
}

}  // namespace

std::vector<Rule> service_rules() {
  return {
      {"FRONT-14", "health_answers_for_every_service", health_answers_for_every_service, over_grpc},
      {"FRONT-15", "health_watchers_hear_of_the_drain", health_watchers_hear_of_the_drain,
       over_grpc},
      {"FRONT-16", "reflection_tells_services_and_files", reflection_tells_services_and_files,
       over_grpc},
  };
}

}  // namespace pm::frontend_contract
