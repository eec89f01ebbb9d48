// Measures a call over the local frontend, answered by an engine that does nothing, beside a bare
// round trip of as many bytes between two processes over a Unix socket. Both take turns, so that a
// machine that is busy is so for both.
//
// Usage: perf_local [ROUNDS]     rounds of each, 10 times (50000)

#include <dlfcn.h>
#include <pm/frontend.h>
#include <sdk/local/frames.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace {

using pm::local::FrameHeader;
using pm::local::FrameKind;

constexpr std::size_t request_bytes = 64;
constexpr char method[] = "/pm.perf.Echo/Call";
constexpr std::size_t frame_bytes = sizeof(FrameHeader) + sizeof method - 1 + request_bytes;
constexpr std::size_t reply_bytes = sizeof(FrameHeader) + request_bytes;

void check(bool condition, const char* what) {
  if (condition) return;
  std::perror(what);
  std::exit(1);
}

bool receive_exactly(int fd, char* bytes, std::size_t length) {
  for (std::size_t done = 0; done < length;) {
    const ssize_t count = ::recv(fd, bytes + done, length - done, 0);
    if (count <= 0) return false;
    done += static_cast<std::size_t>(count);
  }
  return true;
}

std::uint64_t answer(const pm_engine_t*, const char*, const std::uint8_t* request,
                     std::uint64_t length, const pm_call_info_t*, pm_on_reply_t on_reply,
                     void* data) {
  pm_reply_t reply{};
  reply.size = sizeof reply;
  reply.done = 1;
  reply.bytes = request;
  reply.length = length;
  on_reply(data, &reply);
  return 1;
}

// The other process: the frontend until it is killed.
[[noreturn]] void serve(const std::string& path) {
  void* library = ::dlopen(PM_FRONTEND_LOCAL_PLUGIN, RTLD_NOW | RTLD_LOCAL);
  check(library != nullptr, "dlopen");
  const auto* entry =
      static_cast<const pm_plugin_entry_t*>(::dlsym(library, PM_PLUGIN_ENTRY_SYMBOL));
  const pm_host_t host{PM_ABI_MAJOR,
                       PM_ABI_MINOR,
                       "perf",
                       "1",
                       nullptr,
                       [](const pm_host_t*, const char*) -> const void* { return nullptr; },
                       [](const pm_host_t*, const char* words) { std::fputs(words, stderr); },
                       [](const pm_host_t*, std::int32_t, const char*) {}};
  pm_engine_t engine{};
  engine.call = answer;
  engine.cancel = [](const pm_engine_t*, std::uint64_t) {};
  engine.credit = [](const pm_engine_t*, std::uint64_t, std::uint32_t) {};
  engine.session_open = [](const pm_engine_t*, const pm_principal_t*) -> std::uint64_t {
    return 1;
  };
  engine.session_close = [](const pm_engine_t*, std::uint64_t) {};
  engine.get_extension = [](const pm_engine_t*, const char*) -> const void* { return nullptr; };
  const std::string config = "{\"listen\": \"unix:" + path + "\"}";
  const auto* frontend = static_cast<const pm_frontend_t*>(entry->create(&host, config.c_str()));
  check(frontend != nullptr && frontend->start(frontend, &engine) == PM_OK, "start");
  for (;;) ::pause();
}

[[noreturn]] void echo(int fd) {
  char bytes[frame_bytes];
  while (receive_exactly(fd, bytes, frame_bytes)) {
    if (::send(fd, bytes, reply_bytes, 0) < 0) break;
  }
  ::_exit(0);
}

int connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  for (int i = 0; i < 1000; ++i) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
    ::close(fd);
    ::usleep(5000);
  }
  return -1;
}

// Nanoseconds of each round trip.
std::vector<double> measure(int fd, const std::string& frame, int rounds) {
  std::vector<double> times(static_cast<std::size_t>(rounds));
  char reply[reply_bytes];
  for (auto& time : times) {
    const auto begin = std::chrono::steady_clock::now();
    check(::send(fd, frame.data(), frame.size(), 0) > 0, "send");
    check(receive_exactly(fd, reply, sizeof reply), "recv");
    time =
        std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count();
  }
  return times;
}

void print(const char* name, std::vector<double>& times) {
  std::sort(times.begin(), times.end());
  const auto at = [&times](double part) {
    return times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))] / 1000;
  };
  std::printf("%-10s p50 %6.2f us   p99 %6.2f us   p99.9 %6.2f us\n", name, at(.5), at(.99),
              at(.999));
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 50'000;
  std::string directory = std::filesystem::temp_directory_path() / "pm-perf-local-XXXXXX";
  check(::mkdtemp(directory.data()) != nullptr, "mkdtemp");
  const std::string path = directory + "/s";
  int pair[2] = {};
  check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
  const pid_t echoes = ::fork();
  if (echoes == 0) echo(pair[1]);
  const pid_t server = ::fork();
  if (server == 0) serve(path);
  const int fd = connect_to(path);
  check(fd >= 0, "connect");
  FrameHeader header{};
  check(receive_exactly(fd, reinterpret_cast<char*>(&header), sizeof header), "hello");
  header = {};
  header.kind = FrameKind::call;
  header.call = 1;
  header.method_bytes = sizeof method - 1;
  header.body_bytes = sizeof method - 1 + request_bytes;
  const std::string frame = std::string(reinterpret_cast<const char*>(&header), sizeof header) +
                            method + std::string(request_bytes, 'r');
  std::vector<double> bare;
  std::vector<double> framed;
  for (int turn = 0; turn < 10; ++turn) {
    const auto more_bare = measure(pair[0], frame, rounds);
    const auto more_framed = measure(fd, frame, rounds);
    bare.insert(bare.end(), more_bare.begin(), more_bare.end());
    framed.insert(framed.end(), more_framed.begin(), more_framed.end());
  }
  print("bare", bare);
  print("frames", framed);
  for (const pid_t child : {echoes, server}) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  std::filesystem::remove_all(directory);
  return 0;
}
