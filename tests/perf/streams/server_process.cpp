#include "server_process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

namespace pm::perf {

ServerProcess::ServerProcess(const std::string& program) {
  address_ = "unix:" + directory_ / "server.sock";
  int input[2];
  int output[2];
  must(pipe2(input, O_CLOEXEC) == 0 && pipe2(output, O_CLOEXEC) == 0, "pipe2");
  pid_ = fork();
  if (pid_ == 0) {
    dup2(input[0], STDIN_FILENO);
    dup2(output[1], STDOUT_FILENO);
    execl(program.c_str(), program.c_str(), address_.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  close(input[0]);
  close(output[1]);
  input_ = input[1];
  char byte = 0;
  const bool listens = pid_ > 0 && read(output[0], &byte, 1) == 1;
  close(output[0]);
  must(listens, "the server does not start: " + program);
}

ServerProcess::~ServerProcess() {
  close(input_);
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
}

}  // namespace pm::perf
