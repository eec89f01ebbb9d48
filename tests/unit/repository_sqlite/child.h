#pragma once

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace pm::contract {

// A process that writes to a store until it is killed; see writer.cpp.
class WriterProcess {
 public:
  explicit WriterProcess(const std::string& path) {
    int pipe_fds[2] = {-1, -1};
    if (::pipe(pipe_fds) != 0) return;
    const std::string program =
        std::string(std::getenv("PM_BUILD_DIR")) + "/tests/repository_sqlite_writer";
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(pipe_fds[1], STDOUT_FILENO);
      ::close(pipe_fds[0]);
      ::close(pipe_fds[1]);
      ::execl(program.c_str(), program.c_str(), path.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(pipe_fds[1]);
    output_ = pipe_fds[0];
  }
  ~WriterProcess() { kill(); }
  WriterProcess(const WriterProcess&) = delete;
  WriterProcess& operator=(const WriterProcess&) = delete;

  pid_t pid() const { return pid_; }

  // The next acknowledged sequence; 0 when the process is no more.
  std::uint64_t next_acknowledged() {
    std::uint64_t sequence = 0;
    return ::read(output_, &sequence, sizeof sequence) == sizeof sequence ? sequence : 0;
  }

  // Kills with SIGKILL; the last sequence that was acknowledged and not yet read, or `last`.
  std::uint64_t kill(std::uint64_t last = 0) {
    if (pid_ <= 0) return last;
    ::kill(pid_, SIGKILL);
    while (const std::uint64_t next = next_acknowledged()) last = next;
    ::waitpid(pid_, nullptr, 0);
    ::close(output_);
    pid_ = -1;
    return last;
  }

 private:
  pid_t pid_ = -1;
  int output_ = -1;
};

}  // namespace pm::contract
