#include "transfers.h"

#include <exception>
#include <utility>

#include "tier.h"

namespace pm::fault {

namespace {

// How often transfers that are held up are looked at.
constexpr std::chrono::milliseconds look_interval{5};

}  // namespace

pm_status_t Transfers::submit(const pm_transfer_t& asked) {
  return tier_.run(call_submit, nullptr, 0, [&](const Decision&) -> pm_status_t {
    Decision decision = tier_.schedule->next(asked.is_write != 0 ? call_write : call_read);
    if (!decision.applies()) return async_->submit(tier_.inner, &asked);
    auto transfer = std::make_unique<Transfer>();
    transfer->asked = asked;
    transfer->not_before = Clock::now() + std::chrono::milliseconds(decision.latency_ms);
    if (asked.is_write != 0 && decision.corruption) {
      const auto* bytes = static_cast<const unsigned char*>(asked.buffer);
      transfer->spoilt.assign(bytes, bytes + asked.length);
      decision.corruption->spoil(transfer->spoilt.data(), asked.length);
    }
    transfer->decision = std::move(decision);
    if (may_go_on(*transfer)) return begin(transfer);
    hold_up(std::move(transfer));
    return PM_OK;
  });
}

// Takes the transfer unless the inner tier refuses it.
pm_status_t Transfers::begin(std::unique_ptr<Transfer>& transfer) {
  const Decision& decision = transfer->decision;
  const pm_transfer_t& asked = transfer->asked;
  if (decision.failure && !decision.failure->after) {
    end(*std::exchange(transfer, nullptr), decision.failure->status);
    return PM_OK;
  }
  if (tier_.is_full(decision, asked.length)) {
    end(*std::exchange(transfer, nullptr), decision.full->status);
    return PM_OK;
  }
  pm_transfer_t inner = asked;
  if (!transfer->spoilt.empty()) inner.buffer = transfer->spoilt.data();
  if (decision.short_read) inner.length = decision.short_read->cut(asked.length);
  inner.on_done = finish;
  inner.data = transfer.get();
  if (inner.length == 0) {
    finish(transfer.release(), PM_OK, 0, nullptr);
    return PM_OK;
  }
  // It may be finished, and gone, before this returns.
  Transfer* const taken = transfer.release();
  const pm_status_t status = async_->submit(tier_.inner, &inner);
  if (status != PM_OK) transfer.reset(taken);
  return status;
}

// The inner tier has done a transfer, on any thread.
void Transfers::finish(void* data, pm_status_t status, std::uint64_t count, const char* message) {
  const std::unique_ptr<Transfer> transfer(static_cast<Transfer*>(data));
  const pm_transfer_t& asked = transfer->asked;
  const Decision& decision = transfer->decision;
  if (status == PM_OK && decision.failure) return end(*transfer, decision.failure->status);
  if (status == PM_OK && asked.is_write == 0 && decision.corruption) {
    decision.corruption->spoil(asked.buffer, count);
  }
  asked.on_done(asked.data, status, count, message);
}

void Transfers::end(const Transfer& transfer, const Status& status) {
  transfer.asked.on_done(transfer.asked.data, static_cast<pm_status_t>(status.code()), 0,
                         status.message().c_str());
}

bool Transfers::may_go_on(const Transfer& transfer) const {
  if (Clock::now() < transfer.not_before) return false;
  try {
    return !tier_.schedule->hangs_on(transfer.decision);
  } catch (const std::exception&) {
    return false;  // Without memory to read the schedule, it waits for the next look.
  }
}

void Transfers::hold_up(std::unique_ptr<Transfer> transfer) {
  const std::lock_guard lock(mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  held_.push_back(std::move(transfer));
  changed_.notify_one();
}

void Transfers::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !held_.empty(); });
    if (stopping_) return;
    std::list<std::unique_ptr<Transfer>> looked_at = std::exchange(held_, {});
    lock.unlock();
    looked_at.remove_if([this](std::unique_ptr<Transfer>& transfer) {
      if (!may_go_on(*transfer)) return false;
      const pm_status_t status = begin(transfer);
      // Too many are under way: later.
      if (status == PM_RESOURCE_EXHAUSTED) return false;
      if (status != PM_OK) end(*transfer, Status::from_abi(status, "the tier refused it"));
      return true;
    });
    lock.lock();
    held_.splice(held_.begin(), looked_at);
    if (!stopping_) changed_.wait_for(lock, look_interval, [this] { return stopping_; });
  }
}

void Transfers::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  for (const auto& transfer : std::exchange(held_, {})) {
    end(*transfer, {Code::cancelled, "the tier has ended"});
  }
}

}  // namespace pm::fault
