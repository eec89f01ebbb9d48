#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "answers.h"

namespace pm::integration {

// A watch with a thread that reads it; events are kept in the order in which they came.
class Watcher {
 public:
  using Event = wire_catalog::WatchResponse;

  explicit Watcher(Wire& wire, const wire_catalog::WatchRequest& request = {});
  ~Watcher() { stop(); }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // Waits until there are `count` events, or the watch ended; gives all there are then.
  std::vector<Event> wait(std::size_t count,
                          std::chrono::milliseconds limit = std::chrono::seconds(10)) const;
  // The same, in short: "ALLOCATED 2, MOVED 2>3".
  std::string wait_text(std::size_t count) const;
  // The token of the newest event; empty: none came.
  std::string token() const;
  // Waits for the end of the watch, which the server decides.
  std::string answer();
  // Cancels it, and waits for its end.
  void stop();

 private:
  void run();

  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<Event>> reader_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<Event> events_;
  bool ended_ = false;
  grpc::Status status_;
  std::thread thread_;
};

}  // namespace pm::integration
