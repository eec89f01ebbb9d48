#pragma once

#include <mutex>
#include <vector>

#include "core/catalog/stream.h"
#include "stream_call.h"
#include "stream_hub.h"

namespace pm::api {

// One Subscribe call. It sends what the hub has, and reads a page of the repository when it has
// fallen behind; between two entries it costs its memory and nothing else.
class Subscription final : public StreamCall {
 public:
  Subscription(const Services& services, const Invocation& invocation,
               const catalog::StreamName& name, std::uint32_t max_inflight);

  // The stream's number and age limit; the first offset that is sent. Before begin().
  void set(const catalog::StreamHead& head, std::uint64_t next_offset);
  // Instead of begin(), when the call has joined no stream. It must not be touched after it.
  void refuse(catalog::Reason reason);

 private:
  using Message = StreamHub::Message;

  void deliver() override;
  void leave() override;
  bool refill();
  bool take_page();
  void read_next_page(std::uint64_t end);
  void read_page_now(std::uint64_t begin, std::uint64_t end);
  bool is_too_old(const Message& message) const;

  const catalog::StreamName name_;
  std::uint64_t stream_ = 0;
  std::int64_t age_max_ns_ = 0;  // 0: none.
  // Touched by deliver() alone.
  std::uint64_t next_offset_ = 0;  // Behind all of messages_.
  std::vector<Message> messages_;
  std::size_t sent_ = 0;  // Of those.

  std::mutex page_mutex_;
  enum class Page { none, being_read, ready } page_ = Page::none;
  std::vector<Message> page_messages_;
  std::uint64_t page_end_ = 0;
  Status page_status_;
};

}  // namespace pm::api
