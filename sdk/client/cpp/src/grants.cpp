#include "grants.h"

#include <algorithm>
#include <utility>

namespace pm::client::detail {
namespace {

using Clock = std::chrono::steady_clock;

// What CreateOptions::ahead promises.
constexpr std::size_t grants_max = 8;
constexpr std::chrono::seconds life(1);

}  // namespace

std::optional<Descriptor> Grants::take(const std::string& request) {
  const std::lock_guard lock(mutex_);
  const Time now = Clock::now();
  const auto found = std::find_if(grants_.begin(), grants_.end(), [&](const Grant& grant) {
    return grant.end > now && grant.request == request;
  });
  if (found == grants_.end()) return std::nullopt;
  Descriptor descriptor = std::move(found->descriptor);
  grants_.erase(found);
  return descriptor;
}

bool Grants::begin() {
  const std::lock_guard lock(mutex_);
  if (grants_.size() + asked_ >= grants_max) return false;
  ++asked_;
  return true;
}

void Grants::keep(std::string request, Descriptor descriptor) {
  const std::lock_guard lock(mutex_);
  --asked_;
  grants_.push_back({std::move(request), std::move(descriptor), Clock::now() + life});
}

void Grants::give_up() {
  const std::lock_guard lock(mutex_);
  --asked_;
}

std::vector<PayloadId> Grants::take_ended(Time now) {
  const std::lock_guard lock(mutex_);
  std::vector<PayloadId> ids;
  while (!grants_.empty() && grants_.front().end <= now) {
    ids.push_back(grants_.front().descriptor.id);
    grants_.erase(grants_.begin());
  }
  return ids;
}

std::vector<PayloadId> Grants::take_stale() { return take_ended(Clock::now()); }

std::vector<PayloadId> Grants::take_all() { return take_ended(Time::max()); }

}  // namespace pm::client::detail
