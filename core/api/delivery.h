#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace pm::api {

class StreamCall;

// One thread that sends the replies of every streaming call, so that none needs a thread of its
// own and the replies of one call never overlap.
class Delivery {
 public:
  Delivery();
  ~Delivery() { stop(); }
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  // Has the call's deliver() run soon, once for any number of requests before it begins.
  // [thread-safe]
  void schedule(StreamCall& call);

  // Ends the thread when the queue is empty; what is scheduled later runs on its caller's.
  void stop();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<StreamCall*> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace pm::api
