#include <dlfcn.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <set>
#include <thread>

#include "fake_engine.h"

// What a frontend leaves in its process. This program has no gRPC client, so that every thread
// and descriptor that appears is the frontend's.

namespace pm::frontend_contract {
namespace {

std::size_t count(const char* directory) {
  const std::filesystem::directory_iterator entries(directory);
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

const pm_plugin_entry_t* load() {
  static void* library = dlopen(PM_FRONTEND_PLUGIN, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return nullptr;
  return static_cast<const pm_plugin_entry_t*>(dlsym(library, PM_PLUGIN_ENTRY_SYMBOL));
}

const pm_frontend_t* create(const std::string& socket) {
  const auto* entry = load();
  if (entry == nullptr) return nullptr;
  static const pm_host_t host{PM_ABI_MAJOR,
                              PM_ABI_MINOR,
                              "leftovers",
                              "1",
                              nullptr,
                              [](const pm_host_t*, const char*) -> const void* { return nullptr; },
                              [](const pm_host_t*, const char*) {},
                              [](const pm_host_t*, std::int32_t, const char*) {}};
  const std::string config = R"({"listen": ["unix:)" + socket + R"("]})";
  return static_cast<const pm_frontend_t*>(entry->create(&host, config.c_str()));
}

int connect_to(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 ? fd : -1;
}

// One life of a frontend, with a client that connects and says nothing, and one that says
// nonsense.
void live(const std::string& socket, const FakeEngine& engine) {
  const auto* frontend = create(socket);
  ASSERT_NE(frontend, nullptr);
  ASSERT_EQ(frontend->start(frontend, engine.face()), PM_OK);
  const int silent = connect_to(socket);
  const int noisy = connect_to(socket);
  ASSERT_GE(silent, 0);
  ASSERT_GE(noisy, 0);
  ASSERT_EQ(write(noisy, "GET / HTTP/1.1\r\n\r\n", 18), 18);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const auto begin = std::chrono::steady_clock::now();
  frontend->drain(frontend, monotonic_ns() + 200'000'000);
  frontend->stop(frontend);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(1200));
  frontend->destroy(frontend);
  close(silent);
  close(noisy);
}

TEST(FrontendLeftovers, no_thread_descriptor_or_file_stays) {
  std::string directory = std::filesystem::temp_directory_path() / "pm-leftovers-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  {
    const FakeEngine engine;
    live(directory + "/s", engine);  // What libraries keep for good is made here.
    const std::size_t threads = count("/proc/self/task");
    const std::size_t descriptors = count("/proc/self/fd");
    EXPECT_LE(threads, 3U) << "this one, the engine's, and a sanitizer's";
    for (int i = 0; i < 20; ++i) live(directory + "/s", engine);
    EXPECT_EQ(count("/proc/self/task"), threads);
    EXPECT_EQ(count("/proc/self/fd"), descriptors);
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory));
  std::filesystem::remove_all(directory);
}

TEST(FrontendDescriptor, schema_describes_every_key_and_gives_defaults) {
  const auto* entry = load();
  ASSERT_NE(entry, nullptr);
  EXPECT_STREQ(entry->descriptor->kind, PM_KIND_FRONTEND);
  google::protobuf::Struct schema;
  ASSERT_TRUE(
      google::protobuf::util::JsonStringToMessage(entry->descriptor->config_schema, &schema).ok());
  const auto& keys = schema.fields().at("properties").struct_value().fields();
  const std::set<std::string> without_default{"listen", "tls", "trusted_uids"};
  EXPECT_EQ(keys.size(), std::size_t{PM_FRONTEND_KEYS});
  for (const auto& [key, value] : keys) {
    const auto& members = value.struct_value().fields();
    EXPECT_EQ(members.count("description"), 1U) << key;
    EXPECT_EQ(members.count("default"), without_default.contains(key) ? 0U : 1U) << key;
  }
}

}  // namespace
}  // namespace pm::frontend_contract
