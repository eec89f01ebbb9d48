#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pm/ext/draft/tier_async.h>
#include <pm/ext/draft/tier_enumerate.h>
#include <pm/ext/draft/tier_upload.h>
#include <pm/tier.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

// The disk tier as a host sees it: the shared object, a small host, and a directory of its own.

namespace pm::test {

inline const pm_plugin_entry_t& disk_plugin() {
  static const pm_plugin_entry_t* entry = [] {
    const char* build = std::getenv("PM_BUILD_DIR");
    const std::string path =
        std::string(build == nullptr ? "." : build) + "/lib/payload-manager/tier-disk.so";
    void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(::dlerror());
    return static_cast<const pm_plugin_entry_t*>(::dlsym(library, PM_PLUGIN_ENTRY_SYMBOL));
  }();
  return *entry;
}

// A host with an identity, which remembers the last error and all log lines.
class SmallHost {
 public:
  explicit SmallHost(std::string instance = "00000000000000aa") : instance_(std::move(instance)) {
    identity_ = {sizeof(identity_), 0, instance_.c_str(), "boot", "/nonexistent"};
    abi_ = {PM_ABI_MAJOR, PM_ABI_MINOR, "small-host", "0", this, get_extension, set_error, log};
  }
  SmallHost(const SmallHost&) = delete;

  const pm_host_t* abi() const { return &abi_; }
  std::string error() const {
    std::lock_guard lock(mutex_);
    return error_;
  }
  std::string logged() const {
    std::lock_guard lock(mutex_);
    return logged_;
  }

 private:
  static SmallHost& self(const pm_host_t* host) {
    return *static_cast<SmallHost*>(host->host_data);
  }
  static const void* get_extension(const pm_host_t* host, const char* id) {
    return std::strcmp(id, PM_HOST_IDENTITY) == 0 ? &self(host).identity_ : nullptr;
  }
  static void set_error(const pm_host_t* host, const char* message) {
    std::lock_guard lock(self(host).mutex_);
    self(host).error_ = message;
  }
  static void log(const pm_host_t* host, int32_t, const char* message) {
    std::lock_guard lock(self(host).mutex_);
    self(host).logged_ += std::string(message) + "\n";
  }

  const std::string instance_;
  pm_host_identity_t identity_{};
  pm_host_t abi_{};
  mutable std::mutex mutex_;
  std::string error_;
  std::string logged_;
};

// A new empty directory, removed with all it holds at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    const char* base = std::getenv("TMPDIR");
    std::string pattern = std::string(base == nullptr ? "/tmp" : base) + "/pm-tier-disk-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp " + pattern);
    path_ = pattern;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// An open tier. Calls are thin; `object` is a number that becomes an id.
class DiskTier {
 public:
  DiskTier(const SmallHost& host, const std::string& root, const std::string& more = {})
      : host_(host) {
    const std::string config = "{\"root\":\"" + root +
                               "\",\"capacity_bytes\":" + (more.empty() ? "0" : more) +
                               ",\"file_mode\":\"0600\",\"direct\":true,\"depth\":8}";
    open(config);
  }
  struct FromConfig {};
  DiskTier(const SmallHost& host, FromConfig, const std::string& config) : host_(host) {
    open(config);
  }
  DiskTier(const DiskTier&) = delete;
  ~DiskTier() { close(); }

  bool is_open() const { return tier_ != nullptr; }
  void close() {
    if (tier_ != nullptr) tier_->destroy(tier_);
    tier_ = nullptr;
  }
  const pm_tier_t* abi() const { return tier_; }

  static pm_object_id_t id(unsigned number, std::uint64_t generation = 1) {
    pm_object_id_t result{};
    result.payload[0] = 0xab;
    result.payload[1] = static_cast<std::uint8_t>(number >> 8);
    result.payload[15] = static_cast<std::uint8_t>(number);
    result.generation = generation;
    return result;
  }

  pm_status_t allocate(const pm_object_id_t& object, std::uint64_t length) {
    const pm_allocate_options_t options{sizeof(options), 0, ::getuid(), 0};
    allocation_.size = sizeof(allocation_);
    return live()->allocate(tier_, nullptr, &object, length, &options, &allocation_);
  }
  const pm_allocation_t& allocation() const { return allocation_; }
  pm_status_t adopt(const pm_object_id_t& object, std::uint64_t length) {
    return live()->adopt(tier_, &object, &cookie_, length, &charged_);
  }
  std::uint64_t charged() const { return charged_; }
  pm_status_t write(const pm_object_id_t& object, std::uint64_t offset, const void* data,
                    std::uint64_t length) {
    return live()->write(tier_, nullptr, &object, &cookie_, offset, data, length);
  }
  pm_status_t read(const pm_object_id_t& object, std::uint64_t offset, void* data,
                   std::uint64_t length, std::uint64_t* count) {
    return live()->read(tier_, nullptr, &object, &cookie_, offset, data, length, count);
  }
  pm_status_t seal(const pm_object_id_t& object, std::uint64_t length) {
    return live()->seal(tier_, nullptr, &object, &cookie_, length);
  }
  pm_status_t remove(const pm_object_id_t& object, std::uint64_t length) {
    return live()->remove(tier_, nullptr, &object, &cookie_, length);
  }
  pm_status_t set_length(const pm_object_id_t& object, std::uint64_t allocated,
                         std::uint64_t length) {
    const auto* extension =
        static_cast<const pm_tier_upload_t*>(live()->get_extension(tier_, PM_TIER_UPLOAD));
    return extension->set_length(tier_, nullptr, &object, &cookie_, allocated, length);
  }
  std::string locate(const pm_object_id_t& object) {
    char text[512] = {};
    pm_location_t location{};
    location.size = sizeof(location);
    location.text = text;
    location.text_capacity = sizeof(text);
    EXPECT_EQ(live()->locate(tier_, &object, &cookie_, 1, &location), PM_OK);
    EXPECT_EQ(location.kind, static_cast<std::uint32_t>(PM_LOCATION_FILE));
    return text;
  }
  pm_tier_info_t info() const {
    pm_tier_info_t info{};
    info.size = sizeof(info);
    live()->get_info(tier_, &info);
    return info;
  }
  pm_tier_usage_t usage() const {
    pm_tier_usage_t usage{};
    usage.size = sizeof(usage);
    live()->get_usage(tier_, &usage);
    return usage;
  }
  std::vector<pm_tier_object_t> enumerate() const {
    std::vector<pm_tier_object_t> objects;
    const auto* extension =
        static_cast<const pm_tier_enumerate_t*>(live()->get_extension(tier_, PM_TIER_ENUMERATE));
    const auto append = [](void* data, const pm_tier_object_t* object) {
      static_cast<std::vector<pm_tier_object_t>*>(data)->push_back(*object);
      return true;
    };
    EXPECT_EQ(extension->enumerate(tier_, nullptr, append, &objects), PM_OK);
    return objects;
  }
  const pm_tier_async_t* async() const {
    return static_cast<const pm_tier_async_t*>(live()->get_extension(tier_, PM_TIER_ASYNC));
  }
  pm_status_t submit(const pm_transfer_t& transfer) const {
    return async()->submit(tier_, &transfer);
  }

  // Allocates, writes `bytes` and seals.
  void put(const pm_object_id_t& object, const std::vector<char>& bytes) {
    ASSERT_EQ(allocate(object, bytes.size()), PM_OK) << host_.error();
    ASSERT_EQ(write(object, 0, bytes.data(), bytes.size()), PM_OK) << host_.error();
    ASSERT_EQ(seal(object, bytes.size()), PM_OK) << host_.error();
  }
  std::vector<char> get(const pm_object_id_t& object, std::size_t length) {
    std::vector<char> bytes(length);
    std::uint64_t count = 0;
    EXPECT_EQ(read(object, 0, bytes.data(), length, &count), PM_OK) << host_.error();
    bytes.resize(count);
    return bytes;
  }

 private:
  // So that a test whose tier did not open fails with words.
  const pm_tier_t* live() const {
    if (tier_ == nullptr) throw std::runtime_error("the tier is not open: " + host_.error());
    return tier_;
  }
  void open(const std::string& config) {
    tier_ = static_cast<const pm_tier_t*>(disk_plugin().create(host_.abi(), config.c_str()));
  }

  const SmallHost& host_;
  const pm_tier_t* tier_ = nullptr;
  const pm_cookie_t cookie_{};
  pm_allocation_t allocation_{};
  std::uint64_t charged_ = 0;
};

// Memory aligned for O_DIRECT.
class AlignedBuffer {
 public:
  explicit AlignedBuffer(std::size_t bytes) : bytes_(bytes) {
    void* memory = nullptr;
    if (::posix_memalign(&memory, 4096, bytes + 4096) != 0) throw std::bad_alloc();
    data_.reset(static_cast<char*>(memory));
    std::memset(memory, 0, bytes + 4096);
  }
  char* data() { return data_.get(); }
  std::size_t size() const { return bytes_; }

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  std::size_t bytes_;
  std::unique_ptr<char, Free> data_;
};

// Bytes that differ everywhere, so that a range put elsewhere shows.
inline void fill(char* data, std::size_t length, std::uint64_t seed) {
  std::uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
  for (std::size_t i = 0; i < length; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    data[i] = static_cast<char>(state >> 56);
  }
}
inline std::vector<char> pattern(std::size_t length, std::uint64_t seed = 1) {
  std::vector<char> bytes(length);
  fill(bytes.data(), length, seed);
  return bytes;
}

inline std::vector<char> file_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline bool exists(const std::string& path) {
  struct stat state {};
  return ::lstat(path.c_str(), &state) == 0;
}
inline unsigned mode_of(const std::string& path) {
  struct stat state {};
  return ::stat(path.c_str(), &state) == 0 ? state.st_mode & 07777 : 0;
}

}  // namespace pm::test
