#include "client_process.h"

#include <signal.h>
#include <sys/wait.h>

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace pm::clients {

namespace fs = std::filesystem;

namespace {

Part placed(const fs::path& folder, Part part) {
  const std::string name = "client-" + std::to_string(part.seed);
  part.story = folder / (name + ".story");
  part.go = folder / (name + ".go");
  return part;
}

}  // namespace

ClientProcess::ClientProcess(const fs::path& folder, Part part)
    : part_(placed(folder, std::move(part))), log_(part_.story.string() + ".log") {
  const fs::path program = integration::build_directory() / "tests/pm_test_client";
  pid_ = integration::spawn(command_of(program, part_), {}, log_, folder);
  if (pid_ == 0) throw std::runtime_error("cannot start " + program.string());
}

ClientProcess::~ClientProcess() { kill(); }

bool ClientProcess::wait_posed(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < end) {
    if (story().posed) return true;
    if (wait_exit(std::chrono::milliseconds(2))) return false;
  }
  return false;
}

void ClientProcess::send(int signal) const {
  if (pid_ > 0) ::kill(pid_, signal);
}

bool ClientProcess::kill() {
  send(SIGKILL);
  bool killed = false;
  while (pid_ > 0) {
    if (const auto exit = wait_exit(std::chrono::seconds(1))) killed = exit->signal == SIGKILL;
  }
  return killed;
}

void ClientProcess::stop() const {
  send(SIGSTOP);
  int status = 0;
  if (pid_ > 0) ::waitpid(pid_, &status, WUNTRACED);
}

void ClientProcess::go_on() const {
  std::ofstream(part_.go).flush();
  send(SIGCONT);
}

std::optional<integration::Exit> ClientProcess::wait_exit(std::chrono::milliseconds limit) {
  if (pid_ == 0) return integration::Exit{};
  const auto exit = integration::wait_child(pid_, limit);
  if (exit) pid_ = 0;
  return exit;
}

std::string ClientProcess::output() const {
  std::ostringstream text;
  text << std::ifstream(log_).rdbuf();
  return text.str();
}

}  // namespace pm::clients
