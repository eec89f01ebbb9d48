// Measures the disk tier through its C ABI against bare O_DIRECT loops on the same file system, in
// interleaved rounds: perf_disk_tier [DIRECTORY [ROUNDS [MIB]]]

#include <dlfcn.h>
#include <fcntl.h>
#include <pm/ext/draft/tier_async.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "raw_file.h"

namespace pm::perf {
namespace {

constexpr unsigned depth = 8;

struct Host {
  static const void* get_extension(const pm_host_t*, const char*) { return nullptr; }
  static void report(const pm_host_t*, const char* message) {
    std::fprintf(stderr, "error: %s\n", message);
  }
  static void log(const pm_host_t*, std::int32_t level, const char* message) {
    if (level >= PM_LOG_WARN) std::fprintf(stderr, "log: %s\n", message);
  }
  const pm_host_t abi{PM_ABI_MAJOR, PM_ABI_MINOR, "perf", "0", nullptr, get_extension, report, log};
};

// Opens the plugin of this build on `root`.
const pm_tier_t* open_tier(const pm_host_t& host, const std::string& root) {
  const auto build = std::filesystem::canonical("/proc/self/exe").parent_path().parent_path();
  const auto path = build / "lib/payload-manager/tier-disk.so";
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) fail(::dlerror());
  const auto* entry =
      static_cast<const pm_plugin_entry_t*>(::dlsym(library, PM_PLUGIN_ENTRY_SYMBOL));
  const std::string config = "{\"root\":\"" + root +
                             "\",\"capacity_bytes\":0,\"file_mode\":\"0600\",\"direct\":true,"
                             "\"depth\":" +
                             std::to_string(depth) + "}";
  const auto* tier = static_cast<const pm_tier_t*>(entry->create(&host, config.c_str()));
  if (tier == nullptr) fail("create");
  return tier;
}

// Buffers that come back as transfers end.
class Buffers {
 public:
  Buffers(char* memory, std::uint64_t chunk_bytes) {
    for (unsigned i = 0; i < depth; ++i) slots_.push_back({this, memory + i * chunk_bytes});
    for (auto& slot : slots_) free_.push_back(&slot);
  }
  struct Slot {
    Buffers* owner;
    char* data;
  };
  Slot* take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !free_.empty(); });
    Slot* const slot = free_.back();
    free_.pop_back();
    return slot;
  }
  void wait_for_all() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return free_.size() == slots_.size(); });
  }
  static void on_done(void* data, pm_status_t status, std::uint64_t, const char* message) {
    if (status != PM_OK) fail(message == nullptr ? "transfer" : message);
    auto* const slot = static_cast<Slot*>(data);
    std::lock_guard lock(slot->owner->mutex_);
    slot->owner->free_.push_back(slot);
    slot->owner->changed_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Slot> slots_;
  std::vector<Slot*> free_;
};

pm_object_id_t object_of(std::uint64_t number) {
  pm_object_id_t object{};
  const std::uint64_t mixed = (number + 1) * 0x9e3779b97f4a7c15u;
  std::memcpy(object.payload, &mixed, sizeof(mixed));
  object.generation = number + 1;
  return object;
}

class Subject {
 public:
  explicit Subject(const std::string& root) : tier_(open_tier(host_.abi, root)) {
    async_ = static_cast<const pm_tier_async_t*>(tier_->get_extension(tier_, PM_TIER_ASYNC));
    if (async_ == nullptr) fail("no io_uring");
  }
  ~Subject() { tier_->destroy(tier_); }

  // Seconds for a new object, sealing included, or for reading it.
  double move(const pm_object_id_t& object, bool is_write, char* memory, std::uint64_t bytes,
              std::uint64_t chunk_bytes) {
    const double start = now();
    if (is_write) allocate(object, bytes);
    Buffers buffers(memory, chunk_bytes);
    for (std::uint64_t offset = 0; offset < bytes; offset += chunk_bytes) {
      auto* const slot = buffers.take();
      const pm_transfer_t transfer{
          sizeof(transfer), is_write ? 1u : 0u, object,           {},  offset,
          chunk_bytes,      slot->data,         Buffers::on_done, slot};
      if (async_->submit(tier_, &transfer) != PM_OK) fail("submit");
    }
    buffers.wait_for_all();
    if (is_write) seal(object, bytes);
    return now() - start;
  }
  void allocate(const pm_object_id_t& object, std::uint64_t bytes) {
    const pm_allocate_options_t options{sizeof(options), 0, ::getuid(), 0};
    pm_allocation_t allocation{};
    allocation.size = sizeof(allocation);
    if (tier_->allocate(tier_, nullptr, &object, bytes, &options, &allocation) != PM_OK)
      fail("allocate");
  }
  void seal(const pm_object_id_t& object, std::uint64_t bytes) {
    if (tier_->seal(tier_, nullptr, &object, &cookie_, bytes) != PM_OK) fail("seal");
  }
  void remove(const pm_object_id_t& object, std::uint64_t bytes) {
    if (tier_->remove(tier_, nullptr, &object, &cookie_, bytes) != PM_OK) fail("remove");
  }
  void adopt(const pm_object_id_t& object, std::uint64_t bytes) {
    std::uint64_t charged = 0;
    if (tier_->adopt(tier_, &object, &cookie_, bytes, &charged) != PM_OK) fail("adopt");
  }
  std::uint64_t chunk_bytes() const {
    pm_tier_info_t info{};
    info.size = sizeof(info);
    tier_->get_info(tier_, &info);
    return info.chunk_bytes_preferred;
  }

 private:
  const Host host_;
  const pm_tier_t* tier_;
  const pm_tier_async_t* async_;
  const pm_cookie_t cookie_{};
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// `lower_is_better`: the aim is an upper bound of the ratio.
void print(const std::string& name, double value, const char* unit, const std::string& reference,
           double reference_value, double aim, bool lower_is_better = false) {
  const double ratio = value / reference_value;
  const bool meets = lower_is_better ? ratio <= aim : ratio >= aim;
  std::printf(
      "{\"name\":\"%s\",\"value\":%.4g,\"unit\":\"%s\",\"reference\":{\"name\":\"%s\","
      "\"value\":%.4g},\"ratio\":%.3f,\"aim\":\"%s%.2f\",\"meets_aim\":%s}\n",
      name.c_str(), value, unit, reference.c_str(), reference_value, ratio,
      lower_is_better ? "<=" : ">=", aim, meets ? "true" : "false");
  std::fflush(stdout);
}

// Lets the file system finish what a removal left behind (journal, discards), which would
// otherwise be paid by whoever comes next.
void settle(const std::string& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || ::syncfs(fd) != 0) fail("syncfs of " + directory);
  ::close(fd);
}

using Samples = std::map<std::string, std::vector<double>>;

void measure_transfers(Subject& subject, const std::string& directory, int rounds,
                       std::uint64_t bytes) {
  const std::uint64_t whole = subject.chunk_bytes();
  void* memory = nullptr;
  if (::posix_memalign(&memory, 4096, depth * whole) != 0) fail("out of memory");
  std::memset(memory, 7, depth * whole);
  char* const data = static_cast<char*>(memory);
  const std::string raw = directory + "/raw";
  Samples samples;
  const auto measure_raw = [&](unsigned at_a_time) {
    settle(directory);
    for (const bool is_write : {true, false})
      samples[std::string(is_write ? "raw_write_" : "raw_read_") + std::to_string(at_a_time)]
          .push_back(move_raw(raw, is_write, data, bytes, whole, at_a_time));
    ::unlink(raw.c_str());
  };
  const auto measure_tier = [&](std::uint64_t chunk, int round) {
    settle(directory);
    const auto object = object_of(static_cast<std::uint64_t>(round));
    for (const bool is_write : {true, false})
      samples[std::string(is_write ? "write_" : "read_") + std::to_string(chunk >> 10)].push_back(
          subject.move(object, is_write, data, bytes, chunk));
    subject.remove(object, bytes);
  };
  for (int round = 0; round < rounds; ++round) {
    for (int turn = 0; turn < 4; ++turn) {  // Each round begins with another one.
      switch ((round + turn) % 4) {
        case 0: measure_raw(1); break;
        case 1: measure_tier(whole / 2, round); break;
        case 2: measure_raw(depth); break;
        case 3: measure_tier(whole, round); break;
      }
    }
  }
  std::free(memory);
  if (std::getenv("PM_PERF_SAMPLES") != nullptr)
    for (const auto& [name, values] : samples) {
      std::fprintf(stderr, "%s:", name.c_str());
      for (const double value : values) std::fprintf(stderr, " %.3f", value);
      std::fprintf(stderr, " s\n");
    }
  const double mib = static_cast<double>(bytes) / (1 << 20);
  for (const std::string kind : {"write", "read"}) {
    const double one = median(samples["raw_" + kind + "_1"]);
    const double many = median(samples["raw_" + kind + "_" + std::to_string(depth)]);
    for (const std::uint64_t chunk : {whole / 2, whole}) {
      const std::string chunk_kib = std::to_string(chunk >> 10);
      print("disk_tier_" + kind + "_chunks_of_" + chunk_kib + "_kib",
            mib / median(samples[kind + "_" + chunk_kib]), "MiB/s",
            "O_DIRECT loop, depth " + std::to_string(one < many ? 1 : depth),
            mib / std::min(one, many), 0.9);
    }
  }
}

// Seconds for a small file made durable as the tier does it.
double make_bare(const std::string& name, int directory, std::uint64_t bytes) {
  const double start = now();
  const std::string part = name + ".part";
  const int fd = ::open(part.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 || ::posix_fallocate(fd, 0, static_cast<off_t>(bytes)) != 0 || ::fsync(fd) != 0 ||
      ::rename(part.c_str(), name.c_str()) != 0 || ::fsync(directory) != 0)
    fail("cannot make " + name);
  ::close(fd);
  return now() - start;
}

// A small object made durable, against the same system calls bare; adopting, against stat(2).
void measure_small(Subject& subject, const std::string& directory, int rounds) {
  constexpr std::uint64_t objects = 200;
  constexpr std::uint64_t bytes = 4096;
  const std::string bare = directory + "/bare";
  std::filesystem::create_directory(bare);
  const int bare_fd = ::open(bare.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  Samples samples;
  for (int round = 0; round < rounds; ++round) {
    for (std::uint64_t i = 0; i < objects; ++i) {  // In turns: others share the device's cache.
      samples["bare_make"].push_back(make_bare(bare + "/" + std::to_string(i), bare_fd, bytes));
      const double start = now();
      subject.allocate(object_of(i), bytes);
      subject.seal(object_of(i), bytes);
      samples["make"].push_back(now() - start);
    }
    double start = now();
    struct stat state {};
    for (std::uint64_t i = 0; i < objects; ++i)
      if (::stat((bare + "/" + std::to_string(i)).c_str(), &state) != 0) fail("stat");
    samples["stat"].push_back((now() - start) / objects);

    start = now();
    for (std::uint64_t i = 0; i < objects; ++i) subject.adopt(object_of(i), bytes);
    samples["adopt"].push_back((now() - start) / objects);

    for (std::uint64_t i = 0; i < objects; ++i) {
      subject.remove(object_of(i), bytes);
      ::unlink((bare + "/" + std::to_string(i)).c_str());
    }
  }
  ::close(bare_fd);
  print("disk_tier_allocate_and_seal_of_4_kib", median(samples["make"]) * 1e6, "us",
        "create, fallocate, fsync, rename, fsync of the directory",
        median(samples["bare_make"]) * 1e6, 1.5, true);
  print("disk_tier_adopt", median(samples["adopt"]) * 1e6, "us", "stat",
        median(samples["stat"]) * 1e6, 5, true);
}

}  // namespace
}  // namespace pm::perf

int main(int argc, char** argv) {
  using namespace pm::perf;
  const char* base = std::getenv("TMPDIR");
  std::string directory = std::string(argc > 1          ? argv[1]
                                      : base == nullptr ? "/tmp"
                                                        : base) +
                          "/pm-perf-disk-XXXXXX";
  const int rounds = argc > 2 ? std::max(1, std::atoi(argv[2])) : 5;
  const std::uint64_t bytes = std::strtoull(argc > 3 ? argv[3] : "1024", nullptr, 10) << 20;
  if (bytes % (8u << 20) != 0 || bytes == 0) fail("MIB must be a multiple of 8");
  if (::mkdtemp(directory.data()) == nullptr) fail("cannot make " + directory);
  {
    Subject subject(directory + "/root");
    measure_transfers(subject, directory, rounds, bytes);
    measure_small(subject, directory, rounds);
  }
  std::filesystem::remove_all(directory);
  return 0;
}
