#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "rules.h"

// Rules about the Unix socket's place in the file system.

namespace pm::frontend_contract {
namespace {

// Starts another frontend at `path`, which is to be stopped again at once.
Status start_at(Bench& bench, const std::string& path) {
  auto other = bench.another("unix:" + path);
  return other.ok() ? (*other)->start(bench.engine().face()) : other.status();
}

std::string the_socket_is_for_its_owner_alone(Bench& bench) {
  struct stat found {};
  PM_RULE(lstat(bench.socket_path().c_str(), &found) == 0, "there is no socket");
  PM_RULE(S_ISSOCK(found.st_mode), "it is no socket");
  PM_RULE((found.st_mode & 07777) == 0600, "its mode is " + std::to_string(found.st_mode & 07777));
  PM_RULE(bench.address() == "unix:" + bench.socket_path(), bench.address());
  return {};
}

std::string a_live_socket_is_left_alone(Bench& bench) {
  const Status second = start_at(bench, bench.socket_path());
  PM_RULE(second.code() == Code::unavailable, second.to_string());
  PM_RULE(second.message().find(bench.socket_path()) != std::string::npos, second.message());
  const auto client = bench.connect();
  const auto reply = client->call("/pm.fake.v1.Fake/Echo", "first");
  PM_RULE(reply.bytes == "first", "the first frontend is gone: " + reply.status.error_message());
  return {};
}

std::string a_stale_socket_is_taken_over(Bench& bench) {
  const std::string path = bench.directory() + "/stale.sock";
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  PM_RULE(bound, "cannot make a stale socket");
  // And what a host that was killed between bind and link leaves.
  std::filesystem::create_directory(bench.directory() + "/.pm-bind-killed");
  auto other = bench.another("unix:" + path);
  PM_RULE(other.ok(), other.status().to_string());
  const Status started = (*other)->start(bench.engine().face());
  PM_RULE(started.ok(), started.to_string());
  const auto client = bench.connect("unix:" + path);
  const auto reply = client->call("/pm.fake.v1.Fake/Echo", "taken");
  PM_RULE(reply.bytes == "taken", reply.status.error_message());
  (*other)->stop();
  PM_RULE(!std::filesystem::exists(path), "the socket is left behind");
  PM_RULE(!std::filesystem::exists(bench.directory() + "/.pm-bind-killed"), "leftovers stay");
  return {};
}

std::string what_is_no_socket_is_left_alone(Bench& bench) {
  const std::string file = bench.directory() + "/file";
  std::ofstream(file) << "precious";
  const Status at_file = start_at(bench, file);
  PM_RULE(at_file.code() == Code::failed_precondition, at_file.to_string());
  std::string content;
  std::ifstream(file) >> content;
  PM_RULE(content == "precious", "the file was changed");
  const std::string symlink = bench.directory() + "/link";
  std::filesystem::create_symlink(bench.directory() + "/elsewhere.sock", symlink);
  const Status at_link = start_at(bench, symlink);
  PM_RULE(at_link.code() == Code::failed_precondition, at_link.to_string());
  PM_RULE(at_link.message().find(symlink) != std::string::npos, at_link.message());
  PM_RULE(std::filesystem::is_symlink(symlink), "the link was removed");
  return {};
}

std::string places_that_cannot_be_are_told_in_words(Bench& bench) {
  const Status missing = start_at(bench, bench.directory() + "/no/such/directory.sock");
  PM_RULE(missing.code() == Code::failed_precondition, missing.to_string());
  const Status long_path = start_at(bench, bench.directory() + "/" + std::string(120, 'x'));
  PM_RULE(long_path.code() == Code::invalid_argument, long_path.to_string());
  PM_RULE(long_path.message().find("107") != std::string::npos, long_path.message());
  return {};
}

}  // namespace

std::vector<Rule> socket_rules() {
  return {
      {"FRONT-22", "the_socket_is_for_its_owner_alone", the_socket_is_for_its_owner_alone,
       over_sockets},
      {"FRONT-23", "a_live_socket_is_left_alone", a_live_socket_is_left_alone, over_sockets},
      {"FRONT-24", "a_stale_socket_is_taken_over", a_stale_socket_is_taken_over, over_sockets},
      {"FRONT-25", "what_is_no_socket_is_left_alone", what_is_no_socket_is_left_alone,
       over_sockets},
      {"FRONT-26", "places_that_cannot_be_are_told_in_words",
       places_that_cannot_be_are_told_in_words, over_sockets},
  };
}

}  // namespace pm::frontend_contract
