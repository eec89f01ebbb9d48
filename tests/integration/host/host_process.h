#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "pm/client/client.h"

namespace grpc {
class Channel;
}

namespace pm::integration {

using Environment = std::vector<std::pair<std::string, std::string>>;

// What a test wants to differ. Times in milliseconds, sizes in bytes.
struct HostOptions {
  std::string repository = "sqlite";  // Or "memory".
  std::uint64_t shm_capacity_bytes = 64 << 20;
  std::uint64_t slab_bytes = 0;
  std::uint64_t disk_capacity_bytes = 0;  // 0: unbounded.
  // Of each tier of shm or disk; the low one is 5 less. 100: it may fill up.
  unsigned high_watermark_percent = 100;
  std::uint64_t drain_ms_max = 3'000;
  std::uint64_t allocate_wait_ms_max = 10'000;
  std::uint64_t orphan_grace_ms = 200;
  std::uint64_t quarantine_ms = 200;
  std::string shm_keys;          // More lines of [[tier]] shm.
  std::string repository_keys;   // And of [repository.config], of "sqlite" alone.
  std::string limits;            // More lines of [limits].
  std::string tier_keys;         // Of [[tier]] shm and disk, before their configuration.
  std::string disk_keys;         // And of [[tier]] disk, before its configuration.
  std::string more;              // More sections.
  bool local_socket = false;     // A frontend for clients of this machine besides gRPC's.
  std::string local_keys;        // More lines of its configuration.
  std::string plugin_directory;  // One more, besides the ones of the build.
  // The tier stands behind tier-fault, the repository behind repository-fault; each reads what its
  // set_..._faults() wrote.
  bool shm_faults = false;
  bool disk_faults = false;
  bool repository_faults = false;
  // A second shm tier "fast" (number 100) above the first, and a second disk tier "slow" (number
  // 101) below the first.
  bool more_tiers = false;
  std::uint64_t fast_capacity_bytes = 4 << 20;
};

// One end of a program.
struct Exit {
  int code = -1;   // Of exit(); -1: ended by a signal.
  int signal = 0;  // That ended it; 0: none.
};

// A pm-host of the build, as a child of this process, with directories and names in /dev/shm of its
// own. The destructor kills it and removes both. One thread; the host's end is seen by wait_exit().
class HostProcess {
 public:
  explicit HostProcess(HostOptions options = {});
  ~HostProcess();
  HostProcess(const HostProcess&) = delete;
  HostProcess& operator=(const HostProcess&) = delete;

  // Starts it and returns at once. The log of earlier lives is kept.
  void start(const Environment& environment = {}, const std::vector<std::string>& arguments = {});
  // False: it ended, or was not ready in time.
  bool wait_ready(std::chrono::milliseconds limit = std::chrono::seconds(60));
  bool start_ready(const Environment& environment = {},
                   const std::vector<std::string>& arguments = {}) {
    start(environment, arguments);
    return wait_ready();
  }

  void send(int signal) const;
  // Nothing: it still runs.
  std::optional<Exit> wait_exit(std::chrono::milliseconds limit);
  // SIGKILL, and waits for the end.
  void kill();
  // SIGTERM, and waits; a host that outlives `limit` is killed and gives nothing.
  std::optional<Exit> terminate(std::chrono::milliseconds limit = std::chrono::seconds(60));
  bool running() const { return pid_ > 0; }
  // How the last life ended, in words, unless it was by SIGKILL, of a failpoint or of kill(): then
  // empty. For tests in which a host may die only so.
  std::string strange_death() const;
  pid_t pid() const { return pid_; }

  const std::filesystem::path& directory() const { return directory_; }
  std::filesystem::path state_directory() const { return directory_ / "state"; }
  std::filesystem::path disk_root() const { return state_directory() / "payloads"; }
  std::filesystem::path slow_root() const { return state_directory() / "slow"; }
  // Of SQLite.
  std::filesystem::path database() const { return state_directory() / "catalog.sqlite"; }
  // Whether a tier keeps each copy in a file that files() names.
  static bool keeps_files(const std::string& tier) { return tier == "disk" || tier == "slow"; }
  std::filesystem::path socket() const { return directory_ / "run/pm.sock"; }
  std::filesystem::path config_file() const { return directory_ / "host.toml"; }
  std::string address() const { return "unix:" + socket().string(); }
  std::filesystem::path local_socket() const { return directory_ / "run/local.sock"; }
  std::string local_address() const { return "local:" + local_socket().string(); }
  HostOptions& options() { return options_; }
  const HostOptions& options() const { return options_; }
  void write_config() const;
  // From the next call on, whether the host runs or not: a schedule of [[fault]]s in TOML.
  void set_shm_faults(const std::string& toml) const { set_faults("shm", toml); }
  void set_disk_faults(const std::string& toml) const { set_faults("disk", toml); }
  void set_repository_faults(const std::string& toml) const { set_faults("repository", toml); }

  // Of this life, or of all of them.
  std::string log() const;
  std::string whole_log() const;
  // True as soon as this life's log has `text`.
  bool wait_log(const std::string& text, std::chrono::milliseconds limit) const;

  client::Client client(std::uint64_t deadline_ms = 30'000) const;
  std::shared_ptr<grpc::Channel> channel() const;

  // Names in /dev/shm of this host, without the slab.
  std::set<std::string> segments() const;
  // Payload files under the disk tiers' roots, relative.
  std::set<std::string> files() const;
  std::size_t open_descriptors() const;
  std::uint64_t resident_bytes() const;

 private:
  std::filesystem::path schedule_file(const std::string& part) const;
  void set_faults(const std::string& part, const std::string& toml) const;
  void write_repository(std::ostream& out) const;
  std::string watermarks() const;
  void write_tier(std::ostream& out, const std::string& name, bool faults, const std::string& keys,
                  const std::string& config) const;
  void write_more_tiers(std::ostream& out) const;

  HostOptions options_;
  std::filesystem::path directory_;
  std::string prefix_;  // Of the names in /dev/shm.
  pid_t pid_ = 0;       // 0: not running.
  std::optional<Exit> last_exit_;
  std::uintmax_t log_begin_ = 0;
};

// The build's folder, which the test is told by PM_BUILD_DIR.
std::filesystem::path build_directory();

// Runs a program to its end, with standard output and error in `output`.
struct Finished {
  Exit exit;
  std::string output;
};
Finished run_program(const std::vector<std::string>& command,
                     const std::filesystem::path& working_directory = "/",
                     std::chrono::milliseconds limit = std::chrono::seconds(120));

// Asks again every 20 ms until it is so; false: not within `limit`.
template <typename Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit = std::chrono::seconds(10));

void sleep_ms(std::int64_t milliseconds);

template <typename Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    sleep_ms(20);
  }
  return true;
}

}  // namespace pm::integration
