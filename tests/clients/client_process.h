#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "child.h"
#include "pose.h"
#include "story.h"

namespace pm::clients {

// A client program of the build, as a child of the calling thread. The destructor kills it.
class ClientProcess {
 public:
  // Its files lie in `folder`.
  ClientProcess(const std::filesystem::path& folder, Part part);
  ~ClientProcess();
  ClientProcess(const ClientProcess&) = delete;
  ClientProcess& operator=(const ClientProcess&) = delete;

  // False: it ended, or did not come to its pose in time.
  bool wait_posed(std::chrono::milliseconds limit = std::chrono::seconds(60));
  void send(int signal) const;
  // SIGKILL, and waits for the end. False: it had ended before.
  bool kill();
  // SIGSTOP; returns when none of its threads runs any more.
  void stop() const;
  // Lets a late one go on.
  void go_on() const;
  std::optional<integration::Exit> wait_exit(std::chrono::milliseconds limit);

  Pose pose() const { return part_.pose; }
  Story story() const { return read_story(part_.story); }
  // What it printed before it gave up.
  std::string output() const;

 private:
  Part part_;
  std::filesystem::path log_;
  pid_t pid_ = 0;  // 0: it has ended.
};

using ClientProcesses = std::vector<std::unique_ptr<ClientProcess>>;

}  // namespace pm::clients
