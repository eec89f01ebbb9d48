#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/catalog/stream.h"

namespace pm::api {

class StreamCall;

// Where appended entries meet their subscribers. Of each stream that anybody follows it keeps the
// last entries, made ready to be sent once for all; who has fallen behind them reads the
// repository. No subscriber is ever polled for, and none has a thread. [thread-safe]
class StreamHub {
 public:
  // An entry, ready to be sent.
  struct Message {
    std::uint64_t offset = 0;
    std::int64_t append_time_ns = 0;
    std::shared_ptr<const std::string> bytes;
  };

  // `follower` is woken from now on; to be called while nothing can be appended to the stream
  // (under the ledger's lock), so that no entry is missed.
  void join(const catalog::StreamName& name, std::uint64_t stream, StreamCall* follower);
  // It is not woken any more.
  void leave(std::uint64_t stream, StreamCall* follower);

  // Every entry below `end` is durable.
  void note_end(std::uint64_t stream, std::uint64_t end);
  void on_notice(const catalog::StreamNotice& notice);

  enum class Next {
    ready,   // `messages` begin at the offset asked for.
    behind,  // They are in the repository, up to `end`.
    none,    // There is no entry yet; who asked is woken when there is.
    gone     // The stream has been deleted.
  };
  // What follows from `offset` on, at most `count`. The follower must have joined.
  Next next(std::uint64_t stream, std::uint64_t offset, std::size_t count,
            std::vector<Message>& messages, std::uint64_t& end);

 private:
  struct Topic {
    std::shared_ptr<const catalog::StreamName> name;
    std::unordered_set<StreamCall*> followers;
    std::uint64_t end = 0;     // Below it, all is durable.
    std::deque<Message> tail;  // Neighbours.
    std::uint64_t bytes = 0;   // Of the tail.
    bool gone = false;
  };

  void keep(Topic& topic, std::vector<Message> messages);
  void forget_first(Topic& topic);

  std::mutex mutex_;
  std::unordered_map<std::uint64_t, Topic> topics_;  // By the stream's number.
  std::uint64_t bytes_ = 0;                          // Of all tails.
};

}  // namespace pm::api
