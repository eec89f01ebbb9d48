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

std::optional<Descriptor> Grants::take(const std::string& request, std::uint64_t session) {
  const std::lock_guard lock(mutex_);
  forget_others(session);
  const Time now = Clock::now();
  const auto found = std::find_if(grants_.begin(), grants_.end(), [&](const Grant& grant) {
    return grant.end > now && grant.request == request;
  });
  if (found == grants_.end()) return std::nullopt;
  Descriptor descriptor = std::move(found->descriptor);
  grants_.erase(found);
  return descriptor;
}

bool Grants::begin(std::uint64_t session) {
  const std::lock_guard lock(mutex_);
  forget_others(session);
  if (grants_.size() + asked_ >= grants_max) return false;
  ++asked_;
  return true;
}

void Grants::keep(std::string request, Descriptor descriptor, std::uint64_t session) {
  const std::lock_guard lock(mutex_);
  --asked_;
  grants_.push_back({std::move(request), std::move(descriptor), Clock::now() + life, session});
}

void Grants::give_up() {
  const std::lock_guard lock(mutex_);
  --asked_;
}

// Under the lock.
void Grants::forget_others(std::uint64_t session) {
  std::erase_if(grants_, [&](const Grant& grant) { return grant.session != session; });
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
