#include "host_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "report.h"

namespace pm::perf {

namespace {

bool accepts_connections(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int code = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  close(fd);
  return code == 0;
}

std::string contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

HostProcess::HostProcess(const HostSetup& setup) {
  address_ = "unix:" + directory_ / "run/host.sock";
  write_config(setup);
  start(setup.preload);
}

void HostProcess::start(const std::string& preload) {
  const std::string config = directory_ / "host.toml";
  const std::string log = directory_ / "host.log";
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    const int fd = open(log.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    if (!preload.empty()) setenv("LD_PRELOAD", preload.c_str(), 1);
    execl(PM_PERF_HOST, PM_PERF_HOST, "--config", config.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  must(pid_ > 0, "cannot fork");
  wait_until_ready();
}

HostProcess::~HostProcess() {
  if (pid_ <= 0) return;
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
}

double HostProcess::restart(bool by_kill) {
  kill(pid_, by_kill ? SIGKILL : SIGTERM);
  must(waitpid(pid_, nullptr, 0) == pid_, "the host cannot be waited for");
  pid_ = -1;
  const double begin = now_seconds();
  start({});
  return now_seconds() - begin;
}

void HostProcess::write_config(const HostSetup& setup) const {
  std::ofstream out(directory_ / "host.toml");
  const bool is_sqlite = setup.repository == "sqlite";
  const unsigned high = setup.high_watermark_percent;
  out << "[host]\nstate_directory = \"" << directory_ / "state"
      << "\"\nruntime_directory = \"" << directory_ / "run"
      << "\"\n\n[repository]\nplugin = \"org.payload-manager.repository-" << setup.repository
      << "\"\n";
  if (is_sqlite) out << "[repository.config]\npath = \"${state_directory}/catalog.sqlite\"\n";
  out << "\n[[tier]]\nname = \"shm\"\nplugin = \"org.payload-manager.tier-shm\"\nnumber = 2\n"
      << "rank = 20\nhigh_watermark_percent = " << high
      << "\nlow_watermark_percent = " << (high == 100 ? 100 : high - 5)
      << "\n[tier.config]\ncapacity_bytes = " << setup.shm_capacity_bytes
      << "\nslab_bytes = " << setup.slab_bytes << "\nprefix = \"" << prefix_.text() << "\"\n"
      << "\n[[tier]]\nname = \"disk\"\nplugin = \"org.payload-manager.tier-disk\"\nnumber = 3\n"
      << "rank = 30\n[tier.config]\nroot = \"${state_directory}/payloads\"\n"
      << "\n[[frontend]]\nname = \"grpc\"\nplugin = \"org.payload-manager.frontend-grpc\"\n"
      << "[frontend.config]\nlisten = [\"" << address_ << "\"]\n"
      << "\n[[frontend]]\nname = \"local\"\nplugin = \"org.payload-manager.frontend-local\"\n"
      << "[frontend.config]\nlisten = \"unix:" << directory_ / "run/local.sock"
      << "\"\n";
  out.close();
  must(out.good(), "cannot write the host's configuration");
}

void HostProcess::wait_until_ready() const {
  const double deadline = now_seconds() + 60;
  while (now_seconds() < deadline) {
    const bool ended = waitpid(pid_, nullptr, WNOHANG) != 0;
    must(!ended, "the host did not start: " + contents(directory_ / "host.log"));
    if (accepts_connections(address_.substr(std::strlen("unix:"))) &&
        accepts_connections(directory_ / "run/local.sock")) {
      return;
    }
    usleep(10'000);
  }
  throw Failure("the host is not ready after a minute: " + contents(directory_ / "host.log"));
}

std::uint64_t HostProcess::resident_bytes() const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  std::uint64_t resident_kib = 0;
  std::uint64_t shared_kib = 0;
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) resident_kib = std::stoull(line.substr(6));
    if (line.starts_with("RssShmem:")) shared_kib = std::stoull(line.substr(9));
  }
  must(resident_kib > shared_kib, "the host's memory cannot be read");
  return (resident_kib - shared_kib) * 1024;
}

std::uint64_t HostProcess::threads() const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("Threads:")) return std::stoull(line.substr(8));
  }
  throw Failure("the host's threads cannot be counted");
}

}  // namespace pm::perf
