#include "bare_echo.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace pm::perf {

Result<std::unique_ptr<EchoServer>> EchoServer::start(std::vector<std::string> arguments) {
  std::unique_ptr<EchoServer> server(new EchoServer);
  char directory[] = "/tmp/pm-perf-echo-XXXXXX";
  if (mkdtemp(directory) == nullptr) return Status(Code::internal, "mkdtemp failed");
  server->directory_ = directory;
  server->address_ = "unix:" + server->directory_ + "/echo.sock";
  arguments.push_back(server->address_);
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  int input[2];
  int output[2];
  if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0) {
    return Status(Code::internal, std::string("pipe2: ") + std::strerror(errno));
  }
  server->pid_ = fork();
  if (server->pid_ == 0) {
    dup2(input[0], STDIN_FILENO);
    dup2(output[1], STDOUT_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  close(input[0]);
  close(output[1]);
  server->standard_input_ = input[1];
  char byte = 0;
  const auto got = server->pid_ > 0 ? read(output[0], &byte, 1) : -1;
  close(output[0]);
  if (got != 1) return Status(Code::unavailable, "the server did not start: " + arguments[0]);
  return server;
}

Result<std::unique_ptr<EchoServer>> EchoServer::start_bare(std::uint32_t threads) {
  return start({PM_PERF_ECHO_SERVER, std::to_string(threads)});
}

EchoServer::~EchoServer() {
  // The child ends when its standard input does, however its owner ends.
  if (standard_input_ >= 0) close(standard_input_);
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
  if (!directory_.empty()) {
    unlink((directory_ + "/echo.sock").c_str());
    rmdir(directory_.c_str());
  }
}

double EchoServer::cpu_seconds() const {
  // proc(5): utime and stime are the 12th and 13th field behind the name in brackets.
  std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
  std::string line;
  std::getline(file, line);
  std::istringstream fields(line.substr(line.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

Result<EchoFigures> measure(const EchoServer& server, const EchoLoad& load) {
  const double before = server.cpu_seconds();
  auto figures = run_echo_load(server.address(), load);
  if (figures.ok() && figures->calls != 0) {
    figures->server_cpu_us =
        (server.cpu_seconds() - before) * 1e6 / static_cast<double>(figures->calls);
  }
  return figures;
}

Result<EchoFigures> measure_bare_echo(const EchoLoad& load) {
  const auto server = EchoServer::start_bare();
  if (!server.ok()) return server.status();
  return measure(**server, load);
}

}  // namespace pm::perf
