#include "child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

namespace pm::integration {

namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// Ours, with those of `more` replaced.
std::vector<std::string> merged(const Environment& more) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string line(*entry);
    bool replaced = false;
    for (const auto& [name, value] : more) replaced |= line.rfind(name + "=", 0) == 0;
    if (!replaced) result.push_back(line);
  }
  for (const auto& [name, value] : more) result.push_back(name + "=" + value);
  return result;
}

}  // namespace

pid_t spawn(const std::vector<std::string>& command, const Environment& environment,
            const std::filesystem::path& log, const std::filesystem::path& working_directory) {
  // Everything that allocates comes before fork(): other threads may hold the heap's lock.
  std::vector<std::string> arguments = command;
  std::vector<std::string> variables = merged(environment);
  std::vector<char*> argv = pointers(arguments);
  std::vector<char*> envp = pointers(variables);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid != 0) return pid > 0 ? pid : 0;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int input = ::open("/dev/null", O_RDONLY);
  ::dup2(input, 0);
  ::dup2(output, 1);
  ::dup2(output, 2);
  ::close_range(3, ~0U, 0);
  if (::chdir(working_directory.c_str()) != 0) ::_exit(127);
  ::execve(argv[0], argv.data(), envp.data());
  ::_exit(127);
}

std::optional<Exit> wait_child(pid_t pid, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    int status = 0;
    const pid_t got = ::waitpid(pid, &status, WNOHANG);
    if (got == pid) {
      if (WIFEXITED(status)) return Exit{WEXITSTATUS(status), 0};
      return Exit{-1, WTERMSIG(status)};
    }
    if (got < 0 && errno != EINTR) return Exit{};
    if (std::chrono::steady_clock::now() >= end) return std::nullopt;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace pm::integration
