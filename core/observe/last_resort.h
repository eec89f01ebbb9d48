#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace pm {

// Ends the process when its end is held up by a call of a plugin that does not come back. By then
// replies are out and the journal is flushed, if the repository takes it; what else there is, the
// next start undoes.
class LastResort {
 public:
  // Unless it is destroyed within `limit`, the process says `what_hangs()` in its log and exits
  // with `exit_code`. While that is empty, all that is late makes progress, and gets 30 s more.
  LastResort(std::chrono::milliseconds limit, std::function<std::string()> what_hangs,
             int exit_code);
  ~LastResort();
  LastResort(const LastResort&) = delete;
  LastResort& operator=(const LastResort&) = delete;

 private:
  void run(std::chrono::milliseconds limit, int exit_code);

  const std::function<std::string()> what_hangs_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_over_ = false;
  std::thread thread_;
};

}  // namespace pm
