#include "watcher.h"

namespace pm::integration {

Watcher::Watcher(Wire& wire, const wire_catalog::WatchRequest& request) {
  context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(90));
  reader_ = wire.catalog->Watch(&context_, request);
  thread_ = std::thread([this] { run(); });
}

void Watcher::run() {
  Event event;
  while (reader_->Read(&event)) {
    {
      const std::lock_guard lock(mutex_);
      events_.push_back(event);
    }
    changed_.notify_all();
  }
  const grpc::Status status = reader_->Finish();
  {
    const std::lock_guard lock(mutex_);
    status_ = status;
    ended_ = true;
  }
  changed_.notify_all();
}

std::vector<Watcher::Event> Watcher::wait(std::size_t count,
                                          std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, limit, [&] { return events_.size() >= count || ended_; });
  return events_;
}

std::string Watcher::wait_text(std::size_t count) const {
  std::string text;
  for (const Event& event : wait(count)) {
    if (!text.empty()) text += ", ";
    // "CHANGE_KIND_MOVED" without its beginning.
    text += wire_catalog::ChangeKind_Name(event.kind()).substr(12);
    if (event.kind() == wire_catalog::CHANGE_KIND_SYNC) continue;
    text += ' ';
    if (event.from_tier() != 0) text += std::to_string(event.from_tier()) + ">";
    text += std::to_string(event.tier());
  }
  return text;
}

std::string Watcher::token() const {
  const std::lock_guard lock(mutex_);
  return events_.empty() ? std::string() : events_.back().resume_token();
}

std::string Watcher::answer() {
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(mutex_);
  return answer_of(status_);
}

void Watcher::stop() {
  context_.TryCancel();
  if (thread_.joinable()) thread_.join();
}

}  // namespace pm::integration
