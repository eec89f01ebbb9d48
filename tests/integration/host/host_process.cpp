#include "host_process.h"

#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "child.h"

namespace pm::integration {

namespace fs = std::filesystem;

namespace {

std::string read_all(const fs::path& path, std::uintmax_t from) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(from));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

fs::path make_directory() {
  std::string pattern = (fs::temp_directory_path() / "pm-host-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp: " + pattern);
  return pattern;
}

}  // namespace

fs::path build_directory() {
  const char* path = std::getenv("PM_BUILD_DIR");
  if (path == nullptr) throw std::runtime_error("PM_BUILD_DIR is not set; run this by ctest");
  return path;
}

void sleep_ms(std::int64_t milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

HostProcess::HostProcess(HostOptions options) : options_(std::move(options)) {
  static std::atomic<unsigned> number{0};
  directory_ = make_directory();
  prefix_ = "pmi-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
  write_config();
}

HostProcess::~HostProcess() {
  kill();
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/dev/shm", ignored)) {
    if (entry.path().filename().string().rfind(prefix_ + "-", 0) == 0) {
      fs::remove(entry.path(), ignored);
    }
  }
  fs::remove_all(directory_, ignored);
}

void HostProcess::write_config() const {
  std::ofstream out(config_file());
  out << "[host]\nstate_directory = \"" << state_directory().string()
      << "\"\nruntime_directory = \"" << socket().parent_path().string()
      << "\"\ndrain_ms_max = " << options_.drain_ms_max << "\n[plugins]\ndirectories = [\""
      << (build_directory() / "lib/payload-manager").string() << "\"";
  if (options_.shm_faults || options_.disk_faults || options_.repository_faults) {
    out << ", \"" << (build_directory() / "lib/payload-manager-test").string() << "\"";
  }
  if (!options_.plugin_directory.empty()) out << ", \"" << options_.plugin_directory << "\"";
  out << "]\n[limits]\nallocate_wait_ms_max = " << options_.allocate_wait_ms_max << '\n'
      << options_.limits << "[recovery]\norphan_grace_ms = " << options_.orphan_grace_ms
      << "\nquarantine_ms = " << options_.quarantine_ms << '\n';
  write_repository(out);
  write_tier(out, "shm", options_.shm_faults, "number = 2\nrank = 20\n" + options_.tier_keys,
             "capacity_bytes = " + std::to_string(options_.shm_capacity_bytes) +
                 "\nslab_bytes = " + std::to_string(options_.slab_bytes) + "\nprefix = \"" +
                 prefix_ + "\"\n" + options_.shm_keys);
  write_tier(out, "disk", options_.disk_faults,
             "number = 3\nrank = 30\n" + options_.disk_keys + options_.tier_keys,
             "root = \"" + disk_root().string() +
                 "\"\ncapacity_bytes = " + std::to_string(options_.disk_capacity_bytes) + "\n");
  if (options_.more_tiers) write_more_tiers(out);
  out << "[[tier]]\nname = \"void\"\nplugin = \"org.payload-manager.tier-void\"\n"
      << "number = 5\nrank = 50\n[[frontend]]\nname = \"grpc\"\n"
      << "plugin = \"org.payload-manager.frontend-grpc\"\n[frontend.config]\nlisten = [\""
      << address() << "\"]\n";
  if (options_.local_socket) {
    out << "[[frontend]]\nname = \"local\"\n"
        << "plugin = \"org.payload-manager.frontend-local\"\n[frontend.config]\n"
        << "listen = \"unix:" << local_socket().string() << "\"\nconnections_max = 4096\n"
        << options_.local_keys;
  }
  out << options_.more;
  if (!out.flush()) throw std::runtime_error("cannot write " + config_file().string());
}

void HostProcess::write_repository(std::ostream& out) const {
  const std::string& name = options_.repository;
  out << "[repository]\nplugin = \"org.payload-manager.repository-"
      << (options_.repository_faults ? "fault" : name) << "\"\n[repository.config]\n";
  if (options_.repository_faults) {
    out << "plugin = \"repository-" << name << "\"\nschedule_file = \""
        << schedule_file("repository").string() << "\"\n[repository.config.config]\n";
  }
  if (name == "sqlite") {
    out << "path = \"${state_directory}/catalog.sqlite\"\n" << options_.repository_keys;
  }
}

void HostProcess::write_tier(std::ostream& out, const std::string& name, bool faults,
                             const std::string& keys, const std::string& config) const {
  out << "[[tier]]\nname = \"" << name << "\"\nplugin = \"org.payload-manager.tier-"
      << (faults ? "fault" : name) << "\"\n"
      << keys << watermarks() << "[tier.config]\n";
  if (faults) {
    out << "plugin = \"tier-" << name << "\"\nschedule_file = \"" << schedule_file(name).string()
        << "\"\n[tier.config.config]\n";
  }
  out << config;
}

std::string HostProcess::watermarks() const {
  const unsigned high = options_.high_watermark_percent;
  return "high_watermark_percent = " + std::to_string(high) +
         "\nlow_watermark_percent = " + std::to_string(high == 100 ? 100 : high - 5) + "\n";
}

void HostProcess::write_more_tiers(std::ostream& out) const {
  out << "[[tier]]\nname = \"fast\"\nplugin = \"org.payload-manager.tier-shm\"\n"
      << "number = 100\nrank = 10\n"
      << watermarks() << "[tier.config]\ncapacity_bytes = " << options_.fast_capacity_bytes
      << "\nprefix = \"" << prefix_
      << "-fast\"\n[[tier]]\nname = \"slow\"\nplugin = \"org.payload-manager.tier-disk\"\n"
      << "number = 101\nrank = 40\n[tier.config]\nroot = \"" << slow_root().string() << "\"\n";
}

fs::path HostProcess::schedule_file(const std::string& part) const {
  return directory_ / (part + "-faults.toml");
}

void HostProcess::set_faults(const std::string& part, const std::string& toml) const {
  const fs::path made = directory_ / "faults.new";
  if (!(std::ofstream(made) << toml).flush()) {
    throw std::runtime_error("cannot write " + made.string());
  }
  fs::rename(made, schedule_file(part));
}

void HostProcess::start(const Environment& environment, const std::vector<std::string>& arguments) {
  if (running()) throw std::logic_error("the host runs already");
  std::error_code ignored;
  log_begin_ = fs::exists(directory_ / "log", ignored) ? fs::file_size(directory_ / "log") : 0;
  std::vector<std::string> command = {(build_directory() / "bin/pm-host").string(), "--config",
                                      config_file().string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  pid_ = spawn(command, environment, directory_ / "log", directory_);
  if (pid_ == 0) throw std::runtime_error("cannot start " + command.front());
}

bool HostProcess::wait_ready(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < end) {
    if (log().find("ready: version") != std::string::npos) return true;
    if (wait_exit(std::chrono::milliseconds(2))) return false;
  }
  return false;
}

void HostProcess::send(int signal) const {
  if (running()) ::kill(pid_, signal);
}

std::optional<Exit> HostProcess::wait_exit(std::chrono::milliseconds limit) {
  if (!running()) return Exit{};
  const auto exit = wait_child(pid_, limit);
  if (exit) {
    pid_ = 0;
    last_exit_ = exit;
  }
  return exit;
}

std::string HostProcess::strange_death() const {
  if (!last_exit_ || last_exit_->signal == SIGKILL) return {};
  const std::string how = last_exit_->signal != 0
                              ? "by signal " + std::to_string(last_exit_->signal)
                              : "with code " + std::to_string(last_exit_->code);
  return "the host ended by itself, " + how + ":\n" + log();
}

void HostProcess::kill() {
  send(SIGKILL);
  while (running() && !wait_exit(std::chrono::seconds(1))) {
  }
}

std::optional<Exit> HostProcess::terminate(std::chrono::milliseconds limit) {
  send(SIGTERM);
  const auto exit = wait_exit(limit);
  if (!exit) kill();
  return exit;
}

std::string HostProcess::log() const { return read_all(directory_ / "log", log_begin_); }

std::string HostProcess::whole_log() const { return read_all(directory_ / "log", 0); }

bool HostProcess::wait_log(const std::string& text, std::chrono::milliseconds limit) const {
  return eventually([&] { return log().find(text) != std::string::npos; }, limit);
}

client::Client HostProcess::client(std::uint64_t deadline_ms) const {
  client::ConnectOptions options;
  options.deadline_ms = deadline_ms;
  auto connected = client::Client::connect(address(), options);
  if (!connected) throw std::runtime_error(connected.status().to_string());
  return *std::move(connected);
}

std::shared_ptr<grpc::Channel> HostProcess::channel() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  return grpc::CreateCustomChannel(address(), grpc::InsecureChannelCredentials(), arguments);
}

std::set<std::string> HostProcess::segments() const {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator("/dev/shm")) {
    const std::string name = entry.path().filename().string();
    const bool ours = name.rfind(prefix_ + "-", 0) == 0;
    if (ours && name.find("-slab-") == std::string::npos) names.insert(name);
  }
  return names;
}

std::set<std::string> HostProcess::files() const {
  std::set<std::string> names;
  for (const fs::path& root : {disk_root(), slow_root()}) {
    std::error_code error;
    for (auto entry = fs::recursive_directory_iterator(root, error);
         !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
      const std::string name = entry->path().filename().string();
      if (entry->is_regular_file(error) && name.rfind("pm-tier-disk", 0) != 0) {
        names.insert(entry->path().lexically_relative(root).string());
      }
    }
  }
  return names;
}

std::size_t HostProcess::open_descriptors() const {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry :
       fs::directory_iterator("/proc/" + std::to_string(pid_) + "/fd")) {
    ++count;
  }
  return count;
}

std::uint64_t HostProcess::resident_bytes() const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::stoull(line.substr(6)) * 1024;
  }
  return 0;
}

Finished run_program(const std::vector<std::string>& command, const fs::path& working_directory,
                     std::chrono::milliseconds limit) {
  const fs::path folder = make_directory();
  Finished run;
  const pid_t pid = spawn(command, {}, folder / "output", working_directory);
  if (pid != 0) {
    auto exit = wait_child(pid, limit);
    if (!exit) {
      ::kill(pid, SIGKILL);
      exit = wait_child(pid, std::chrono::seconds(60));
    }
    run.exit = exit.value_or(Exit{});
  }
  run.output = read_all(folder / "output", 0);
  fs::remove_all(folder);
  return run;
}

}  // namespace pm::integration
