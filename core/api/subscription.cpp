#include "subscription.h"

#include <algorithm>
#include <utility>

#include "stream_pages.h"
#include "stream_text.h"

namespace pm::api {

namespace {

constexpr std::size_t take_max = 32;  // Messages from the hub at a time.
constexpr std::uint64_t page_entries_max = 64;
constexpr std::uint64_t page_bytes_max = 64 << 10;

}  // namespace

Subscription::Subscription(const Services& services, const Invocation& invocation,
                           const catalog::StreamName& name, std::uint32_t max_inflight)
    : StreamCall(services, invocation), name_(name) {
  if (max_inflight != 0) limit_credit(max_inflight);
}

void Subscription::set(const catalog::StreamHead& head, std::uint64_t next_offset) {
  constexpr std::int64_t second_ns = 1'000'000'000;
  constexpr auto seconds_max = static_cast<std::uint64_t>(INT64_MAX / second_ns);
  stream_ = head.number;
  age_max_ns_ = static_cast<std::int64_t>(std::min(head.age_max_s, seconds_max)) * second_ns;
  next_offset_ = next_offset;
}

void Subscription::refuse(catalog::Reason reason) { finish(status_of(reason), facts_of(name_)); }

void Subscription::leave() { services().streams.leave(stream_, this); }

bool Subscription::is_too_old(const Message& message) const {
  return age_max_ns_ != 0 && message.append_time_ns < ledger::read_clocks().wall_ns - age_max_ns_;
}

void Subscription::deliver() {
  while (true) {
    if (sent_ == messages_.size() && !refill()) return;
    const Message& message = messages_[sent_];
    if (!is_too_old(message)) {
      if (!take_credit()) return;
      send_bytes(*message.bytes);
    }
    ++sent_;
  }
}

// False: there is nothing now, or the call has ended.
bool Subscription::refill() {
  messages_.clear();
  sent_ = 0;
  if (!take_page()) return false;
  if (!messages_.empty()) return true;
  std::uint64_t end = 0;
  switch (services().streams.next(stream_, next_offset_, take_max, messages_, end)) {
    case StreamHub::Next::ready: next_offset_ = messages_.back().offset + 1; return true;
    case StreamHub::Next::behind: read_next_page(end); return false;
    case StreamHub::Next::none: return false;
    case StreamHub::Next::gone: break;
  }
  StreamCall::end(status_of(catalog::Reason::stream_not_found), facts_of(name_));
  return false;
}

// Takes over a page that has been read. False: it is still being read, or failed and the call has
// ended.
bool Subscription::take_page() {
  Status status;
  {
    const std::lock_guard lock(page_mutex_);
    if (page_ == Page::none) return true;
    // A stream that is deleted meanwhile gives no more pages.
    if (page_ == Page::being_read) {
      std::uint64_t end = 0;
      const auto next = services().streams.next(stream_, next_offset_, 0, messages_, end);
      if (next != StreamHub::Next::gone) return false;
      status = status_of(catalog::Reason::stream_not_found);
    } else {
      page_ = Page::none;
      messages_ = std::exchange(page_messages_, {});
      next_offset_ = std::max(next_offset_, page_end_);
      status = page_status_;
    }
  }
  if (status.ok()) return true;
  StreamCall::end(status, facts_of(name_));
  return false;
}

void Subscription::read_next_page(std::uint64_t end) {
  {
    const std::lock_guard lock(page_mutex_);
    page_ = Page::being_read;
  }
  retain();
  services().reader.after(0, [this, begin = next_offset_, end](bool can_read) {
    if (can_read) read_page_now(begin, end);
    drop();
  });
}

// [worker]
void Subscription::read_page_now(std::uint64_t begin, std::uint64_t end) {
  catalog::StreamHead head;
  const bool found =
      services().ledger.read([&](const catalog::Catalog& catalog, const catalog::Clocks& now) {
        return catalog.streams().find(stream_, now, head);
      });
  // The hub will tell that it is gone, as soon as that is durable.
  if (!found) return;
  std::vector<Message> messages;
  std::uint64_t bytes = 0;
  std::uint64_t read = 0;
  const StreamPage page{stream_, std::max(begin, head.first_offset), end, head.keep_from_ns,
                        page_entries_max};
  const Status status = read_page(services().reader, page, [&](const ledger::StreamEntryRow& row) {
    messages.push_back({row.offset, row.append_time_ns,
                        std::make_shared<const std::string>(subscribe_response(name_, row))});
    bytes += messages.back().bytes->size();
    ++read;
    return bytes < page_bytes_max;
  });
  const bool whole = read < page_entries_max && bytes < page_bytes_max;
  {
    const std::lock_guard lock(page_mutex_);
    page_ = Page::ready;
    page_end_ = whole || messages.empty() ? end : messages.back().offset + 1;
    page_messages_ = std::move(messages);
    page_status_ = status;
  }
  wake();
}

}  // namespace pm::api
