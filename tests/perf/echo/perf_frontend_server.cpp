// The gRPC frontend with an engine that answers at once, which does the same parsing as the bare
// echo: perf_frontend_server PLUGIN THREADS ADDRESS. Writes a byte when it listens, ends when its
// standard input does.

#include <dlfcn.h>
#include <pm/frontend.h>
#include <unistd.h>

#include <google/protobuf/descriptor.pb.h>
#include <cstdio>
#include <string>

#include "echo.pb.h"

namespace {

std::uint64_t call(const pm_engine_t*, const char*, const std::uint8_t* bytes, std::uint64_t length,
                   const pm_call_info_t*, pm_on_reply_t on_reply, void* data) {
  thread_local pm::perf::echo::EchoRequest request;
  thread_local pm::perf::echo::EchoReply response;
  thread_local std::string serialized;
  pm_reply_t reply{};
  reply.size = sizeof(reply);
  reply.done = 1;
  if (!request.ParseFromArray(bytes, static_cast<int>(length))) {
    reply.status = PM_INVALID_ARGUMENT;
  } else {
    if (request.reply_bytes() == 0) {
      response.set_payload(request.payload());
    } else {
      response.mutable_payload()->assign(request.reply_bytes(), 'y');
    }
    response.SerializeToString(&serialized);
    reply.bytes = reinterpret_cast<const std::uint8_t*>(serialized.data());
    reply.length = serialized.size();
  }
  on_reply(data, &reply);
  return 1;
}

const std::uint8_t* get_descriptors(const pm_engine_t*, std::uint64_t* length) {
  static const std::string bytes = [] {
    google::protobuf::FileDescriptorSet set;
    pm::perf::echo::EchoRequest::descriptor()->file()->CopyTo(set.add_file());
    return set.SerializeAsString();
  }();
  *length = bytes.size();
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}

void log(const pm_host_t*, std::int32_t, const char* message) {
  std::fprintf(stderr, "frontend: %s\n", message);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  const auto* entry = static_cast<const pm_plugin_entry_t*>(dlsym(library, PM_PLUGIN_ENTRY_SYMBOL));
  const pm_host_t host{
      PM_ABI_MAJOR,
      PM_ABI_MINOR,
      "perf",
      "1",
      nullptr,
      [](const pm_host_t*, const char*) -> const void* { return nullptr; },
      [](const pm_host_t* self, const char* message) { log(self, PM_LOG_ERROR, message); },
      log};
  const std::string config =
      "{\"listen\":[\"" + std::string(argv[3]) + "\"],\"threads\":" + argv[2] + "}";
  const auto* frontend = static_cast<const pm_frontend_t*>(entry->create(&host, config.c_str()));
  const pm_engine_t engine{
      nullptr,
      call,
      [](const pm_engine_t*, std::uint64_t) {},
      [](const pm_engine_t*, std::uint64_t, std::uint32_t) {},
      [](const pm_engine_t*, const pm_principal_t*) -> std::uint64_t { return 0; },
      [](const pm_engine_t*, std::uint64_t) {},
      get_descriptors,
      [](const pm_engine_t*, const char*) -> const void* { return nullptr; }};
  if (frontend == nullptr || frontend->start(frontend, &engine) != PM_OK) return 1;
  if (write(STDOUT_FILENO, "\n", 1) != 1) return 1;
  char byte = 0;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  frontend->stop(frontend);
  frontend->destroy(frontend);
  return 0;
}
