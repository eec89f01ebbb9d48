#include "direct_holds.h"

#include <algorithm>
#include <utility>

#include "guarded.h"

namespace pm::client::detail {
namespace {

// Between a refusal that may pass and the next question.
constexpr std::chrono::seconds pause(1);

}  // namespace

void DirectHolds::renew(std::shared_ptr<LocalSession> session) noexcept {
  const std::lock_guard lock(mutex_);
  if (DirectoryReader* reader = reader_.exchange(nullptr)) reader->retire();
  session_ = std::move(session);
  next_ask_ = {};
  phase_.store(session_ ? Phase::due : Phase::settled);
}

void DirectHolds::look() noexcept {
  if (phase_.load(std::memory_order_relaxed) == Phase::settled) return;
  // Who comes while another one looks goes on with its own.
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;
  static_cast<void>(guarded([&]() -> Status {
    if (phase_.load() == Phase::due && Clock::now() >= next_ask_) ask();
    if (phase_.load() == Phase::asked) take();
    return {};
  }));
}

// Under the lock, as all below.
void DirectHolds::ask() {
  next_ask_ = Clock::now() + pause;
  if (session_->ask_for_pages()) phase_.store(Phase::asked);
}

void DirectHolds::take() {
  const auto pages = session_->take_pages();
  if (!pages) return;
  const Status status = pages->ok() ? begin_reading(**pages) : pages->status();
  const bool is_settled = status.ok() || is_lasting(status);
  next_ask_ = Clock::now() + pause;
  phase_.store(is_settled ? Phase::settled : Phase::due);
}

Status DirectHolds::begin_reading(const std::vector<FileDescriptor>& pages) {
  auto found = std::find_if(readers_.begin(), readers_.end(),
                            [](const auto& reader) { return reader->is_free(); });
  if (found == readers_.end()) {
    found = readers_.insert(found, std::make_unique<DirectoryReader>());
  }
  PM_TRY((*found)->begin(pages.at(0), pages.at(1), session_));
  reader_.store(found->get(), std::memory_order_release);
  return {};
}

std::size_t DirectHolds::readers() const {
  const std::lock_guard lock(mutex_);
  return readers_.size();
}

}  // namespace pm::client::detail
