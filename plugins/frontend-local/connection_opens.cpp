#include <algorithm>
#include <memory>
#include <utility>

#include "connection.h"

// The part of a connection that gets descriptors for its client.
//
// The host has only so many, for everybody. So a connection has few of them open at a time, until
// its client has taken them; what else the client asks for waits, and is not opened before.

namespace pm::frontend_local {
namespace {

using local::FrameKind;
using local::OpenWhat;

// Opened, or being opened, and not sent.
constexpr std::size_t waiting_max = 16;

pm_status_t listed(pm_status_t status) {
  return status < 0 || status > PM_UNAUTHENTICATED ? PM_INTERNAL : status;
}

const char* words_for(pm_status_t status) {
  switch (status) {
    case PM_OK: return "";
    case PM_NOT_FOUND: return "the session has no such lease or allocation";
    case PM_UNIMPLEMENTED: return "the tier has no descriptors to share";
    case PM_PERMISSION_DENIED: return "only trusted users get this; see trusted_uids";
    case PM_DEADLINE_EXCEEDED: return "the tier did not open it in time (open_ms); it may hang";
    case PM_RESOURCE_EXHAUSTED: return "too many are in use; try again when some have ended";
    default: return "the host cannot give this descriptor; its log may say why";
  }
}

}  // namespace

bool Connection::start_open(const Frame& frame) {
  const local::FrameHeader& header = frame.header;
  const bool is_slab = header.number == static_cast<std::uint32_t>(OpenWhat::slab);
  Open open{header.call, header.number, static_cast<std::uint32_t>(header.value), {}};
  if (frame.body.size() != (is_slab ? 0 : open.id.size())) {
    wrong_ = "an open whose body is not what it asks for";
    return false;
  }
  pm_status_t status = PM_OK;
  std::string_view words;
  if (header.number > static_cast<std::uint32_t>(OpenWhat::slab)) {
    status = PM_INVALID_ARGUMENT;
    words = "this host opens leases, allocations and slabs";
  } else if (service_.local == nullptr) {
    status = PM_UNIMPLEMENTED;
    words = "this host shares no descriptors";
  } else if (is_slab && header.value > UINT32_MAX) {
    status = PM_NOT_FOUND;
    words = "there is no such slab";
  } else {
    const std::lock_guard lock(mutex_);
    status = why_not_begin(words);
    if (status == PM_OK) {
      std::copy(frame.body.begin(), frame.body.end(), open.id.begin());
      begin();
      opens_.push_back(open);
      start_opens();
    }
  }
  if (status != PM_OK) answer(FrameKind::handle, header.call, status, words);
  return true;
}

// Under mutex_.
void Connection::start_opens() {
  while (!opens_.empty() && opening_ + outbox_.descriptors() < waiting_max) {
    ++opening_;
    const auto open = std::make_shared<BegunOpen>(BegunOpen{opens_.front()});
    opens_.pop_front();
    service_.openers.add(
        {[self = shared_from_this(), open] { self->open_handle(*open); },
         [self = shared_from_this(), open] { self->answer_open(*open, PM_DEADLINE_EXCEEDED); }});
  }
}

// Under mutex_: nobody will get what has not begun.
void Connection::drop_opens() {
  open_ -= opens_.size();
  opens_.clear();
}

// On a thread that may block.
void Connection::open_handle(BegunOpen& open) {
  bool is_wanted = !service_.stopping.load();
  {
    const std::lock_guard lock(mutex_);
    is_wanted = is_wanted && !ended_ && !open.is_answered;
  }
  pm_status_t status = PM_UNAVAILABLE;
  Descriptors descriptors;
  if (is_wanted) {
    int fd = -1;
    status = listed(service_.local->open_handle(service_.engine, session_, open.what,
                                                open.id.data(), open.slab, &fd));
    if (status == PM_OK) descriptors.add(fd);
  }
  answer_open(open, status, std::move(descriptors));
}

// What comes too late is closed.
void Connection::answer_open(BegunOpen& open, pm_status_t status, Descriptors descriptors) {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(open.is_answered, true)) return;
  }
  answer(FrameKind::handle, open.number, status, words_for(status), std::move(descriptors));
  const std::lock_guard lock(mutex_);
  --opening_;
  start_opens();
  finished();
}

bool Connection::attach(const Frame& frame) {
  std::string_view refusal;
  if (service_.local == nullptr) {
    answer(FrameKind::attached, frame.header.call, PM_UNIMPLEMENTED,
           "this host shares no directory");
    return true;
  }
  {
    const std::lock_guard lock(mutex_);
    if (outbox_.descriptors() >= waiting_max) {
      refusal = "read the descriptors that wait for this connection first";
    }
  }
  if (!refusal.empty()) {
    answer(FrameKind::attached, frame.header.call, PM_RESOURCE_EXHAUSTED, refusal);
    return true;
  }
  int directory = -1;
  int page = -1;
  const pm_status_t status =
      listed(service_.local->attach(service_.engine, session_, &directory, &page));
  Descriptors descriptors;
  if (status == PM_OK) {
    descriptors.add(directory);
    descriptors.add(page);
  }
  answer(FrameKind::attached, frame.header.call, status, words_for(status), std::move(descriptors));
  return true;
}

}  // namespace pm::frontend_local
