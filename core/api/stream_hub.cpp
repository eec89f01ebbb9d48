#include "stream_hub.h"

#include <algorithm>
#include <utility>

#include "stream_call.h"
#include "stream_text.h"

namespace pm::api {

namespace {

constexpr std::size_t tail_entries_max = 1024;
constexpr std::uint64_t tail_bytes_max = 1 << 20;
// Of all streams together; beyond it, each keeps little.
constexpr std::uint64_t all_bytes_max = 64 << 20;
constexpr std::uint64_t tail_bytes_little = 16 << 10;
constexpr std::uint64_t message_bytes = 96;  // What a message costs besides its bytes, about.

std::vector<StreamHub::Message> messages_of(const catalog::StreamName& name,
                                            const catalog::StreamEntries& entries) {
  std::vector<StreamHub::Message> messages;
  messages.reserve(entries.items->size());
  ledger::StreamEntryRow row;
  row.offset = entries.first_offset;
  row.append_time_ns = entries.append_time_ns;
  for (const catalog::StreamItem& item : *entries.items) {
    row.payload = item.payload;
    row.event_time_ns = item.event_time_ns;
    row.duration_ns = item.duration_ns;
    row.tags = item.tags;
    messages.push_back({row.offset, row.append_time_ns,
                        std::make_shared<const std::string>(subscribe_response(name, row))});
    ++row.offset;
  }
  return messages;
}

}  // namespace

void StreamHub::join(const catalog::StreamName& name, std::uint64_t stream, StreamCall* follower) {
  const std::lock_guard lock(mutex_);
  Topic& topic = topics_[stream];
  if (topic.name == nullptr) topic.name = std::make_shared<const catalog::StreamName>(name);
  topic.followers.insert(follower);
}

void StreamHub::leave(std::uint64_t stream, StreamCall* follower) {
  const std::lock_guard lock(mutex_);
  const auto found = topics_.find(stream);
  if (found == topics_.end()) return;
  found->second.followers.erase(follower);
  if (!found->second.followers.empty()) return;
  bytes_ -= found->second.bytes;
  topics_.erase(found);
}

void StreamHub::note_end(std::uint64_t stream, std::uint64_t end) {
  const std::lock_guard lock(mutex_);
  const auto found = topics_.find(stream);
  if (found != topics_.end()) found->second.end = std::max(found->second.end, end);
}

void StreamHub::on_notice(const catalog::StreamNotice& notice) {
  std::shared_ptr<const catalog::StreamName> name;
  {
    const std::lock_guard lock(mutex_);
    const auto found = topics_.find(notice.entries.stream);
    if (found == topics_.end()) return;
    name = found->second.name;
  }
  std::vector<Message> messages;
  if (!notice.deleted) messages = messages_of(*name, notice.entries);
  std::vector<StreamCall*> awake;
  {
    const std::lock_guard lock(mutex_);
    const auto found = topics_.find(notice.entries.stream);
    if (found == topics_.end()) return;
    Topic& topic = found->second;
    if (notice.deleted) {
      topic.gone = true;
    } else {
      keep(topic, std::move(messages));
    }
    awake.assign(topic.followers.begin(), topic.followers.end());
    for (StreamCall* follower : awake) follower->retain();
  }
  for (StreamCall* follower : awake) {
    follower->wake();
    follower->drop();
  }
}

void StreamHub::keep(Topic& topic, std::vector<Message> messages) {
  const std::uint64_t first = messages.front().offset;
  topic.end = std::max(topic.end, messages.back().offset + 1);
  // Notices come in order; what would leave a gap all the same begins a new tail.
  while (!topic.tail.empty() && first != topic.tail.back().offset + 1) forget_first(topic);
  for (Message& message : messages) {
    const std::uint64_t bytes = message.bytes->size() + message_bytes;
    topic.bytes += bytes;
    bytes_ += bytes;
    topic.tail.push_back(std::move(message));
  }
  const std::uint64_t bytes_max = bytes_ <= all_bytes_max ? tail_bytes_max : tail_bytes_little;
  while (topic.tail.size() > tail_entries_max || topic.bytes > bytes_max) forget_first(topic);
}

void StreamHub::forget_first(Topic& topic) {
  const std::uint64_t bytes = topic.tail.front().bytes->size() + message_bytes;
  topic.bytes -= bytes;
  bytes_ -= bytes;
  topic.tail.pop_front();
}

StreamHub::Next StreamHub::next(std::uint64_t stream, std::uint64_t offset, std::size_t count,
                                std::vector<Message>& messages, std::uint64_t& end) {
  const std::lock_guard lock(mutex_);
  const Topic& topic = topics_.at(stream);
  if (topic.gone) return Next::gone;
  end = topic.end;
  if (offset >= topic.end) return Next::none;
  if (topic.tail.empty() || offset < topic.tail.front().offset) return Next::behind;
  const std::size_t first = offset - topic.tail.front().offset;
  // Its notice is on its way, and somebody who joined has told of the end before.
  if (first >= topic.tail.size()) return Next::behind;
  const std::size_t last = std::min(topic.tail.size(), first + count);
  const auto begin = topic.tail.begin();
  messages.assign(begin + static_cast<std::ptrdiff_t>(first),
                  begin + static_cast<std::ptrdiff_t>(last));
  return Next::ready;
}

}  // namespace pm::api
