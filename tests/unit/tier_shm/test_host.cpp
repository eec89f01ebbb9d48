#include "test_host.h"

#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>

namespace pm::shm {

TestHost::TestHost()
    : identity_{sizeof identity_, 0, instance_id, boot_id, "/nowhere"},
      host_{PM_ABI_MAJOR, PM_ABI_MINOR, "test", "1", this, get_extension, set_error, log} {
  static std::atomic<unsigned> count = 0;
  prefix_ = "test" + std::to_string(::getpid()) + "-" + std::to_string(++count);
}

TestHost::~TestHost() {
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
    if (entry.path().filename().string().rfind(prefix_ + "-", 0) == 0) {
      std::filesystem::remove(entry.path());
    }
  }
}

int TestHost::entries() const {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
    if (entry.path().filename().string().rfind(prefix_ + "-", 0) == 0) ++count;
  }
  return count;
}

const void* TestHost::get_extension(const pm_host_t* host, const char* id) {
  const auto* self = static_cast<const TestHost*>(host->host_data);
  if (!self->identity_shown_ || std::strcmp(id, PM_HOST_IDENTITY) != 0) return nullptr;
  return &self->identity_;
}

void TestHost::log(const pm_host_t* host, std::int32_t, const char* message) {
  static_cast<TestHost*>(host->host_data)->logged_ += std::string(message) + "\n";
}

pm_object_id_t object_number(std::uint64_t number, std::uint64_t generation) {
  pm_object_id_t object{};
  std::memcpy(object.payload, &number, sizeof number);
  object.generation = generation;
  return object;
}

}  // namespace pm::shm
