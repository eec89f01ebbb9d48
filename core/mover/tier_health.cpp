#include "tier_health.h"

#include <algorithm>

namespace pm::mover {

namespace {

// What tells of the tier and not of what it was asked.
bool is_sickness(Code code) {
  switch (code) {
    case Code::unknown:
    case Code::deadline_exceeded:
    case Code::permission_denied:
    case Code::aborted:
    case Code::internal:
    case Code::unavailable:
    case Code::unauthenticated: return true;
    default: return false;
  }
}

}  // namespace

bool is_transient(Code code) { return code == Code::unavailable || code == Code::aborted; }

void TierHealth::note(const Status& status) {
  const std::uint32_t tenths = tenths_.load(std::memory_order_relaxed);
  if (tenths < tenths_max) tenths_.fetch_add(1, std::memory_order_relaxed);
  std::uint32_t failures = failures_.load(std::memory_order_relaxed);
  if (!is_sickness(status.code())) {
    while (failures > 0 && !failures_.compare_exchange_weak(failures, failures - 1)) {
    }
    return;
  }
  if (status.code() == Code::deadline_exceeded) return degrade(status.message());
  if (++failures_ >= options_.failures_max) {
    degrade("its calls fail, the last one with " + status.to_string());
  }
}

void TierHealth::note_abandoned(const std::string& words) {
  ++hanging_;
  degrade(words);
}

bool TierHealth::may_repeat() {
  std::uint32_t tenths = tenths_.load(std::memory_order_relaxed);
  while (tenths >= tenths_each) {
    if (tenths_.compare_exchange_weak(tenths, tenths - tenths_each)) return true;
  }
  return false;
}

void TierHealth::degrade(const std::string& why) {
  Change change{true, why, 0};
  {
    const std::lock_guard lock(mutex_);
    if (degraded_.load()) return;
    degraded_.store(true);
    change.number = ++changes_;
    probe_after_ns_ = options_.probe_ns_min;
    probe_at_ns_ = now_ns_() + probe_after_ns_;
  }
  on_change_(change);
}

bool TierHealth::take_probe() {
  if (!is_degraded()) return false;
  const std::lock_guard lock(mutex_);
  if (is_probed_ || !degraded_.load() || now_ns_() < probe_at_ns_ || !may_call()) return false;
  is_probed_ = true;
  return true;
}

void TierHealth::note_probe(const Status& status) {
  Change change;
  {
    const std::lock_guard lock(mutex_);
    is_probed_ = false;
    if (!degraded_.load()) return;
    if (!status.ok()) {
      probe_after_ns_ = std::min(probe_after_ns_ * 2, options_.probe_ns_max);
      probe_at_ns_ = now_ns_() + probe_after_ns_;
      return;
    }
    failures_.store(0);
    degraded_.store(false);
    change.number = ++changes_;
  }
  on_change_(change);
}

}  // namespace pm::mover
