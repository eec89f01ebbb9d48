#pragma once

#include <pm/ext/draft/tier_async.h>

#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "schedule.h"

namespace pm::fault {

struct FaultTier;

// The transfers of pm.tier.async/1, with faults: those of `read` and `write` for what is
// transferred, those of `submit` for the call. A transfer that is held up waits on a thread of this
// object, which is there as soon as one is; it has no deadline, so that a hang ends with the
// schedule or with the tier.
class Transfers {
 public:
  // `async` is the inner tier's, NULL when it has none.
  Transfers(FaultTier& tier, const pm_tier_async_t* async) : tier_(tier), async_(async) {}
  ~Transfers() { stop(); }
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;

  bool has_async() const { return async_ != nullptr; }

  // As pm_tier_async_t.submit.
  pm_status_t submit(const pm_transfer_t& transfer);

  // Ends what is held up as cancelled, and the thread.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  struct Transfer {
    pm_transfer_t asked{};
    Decision decision;
    std::vector<unsigned char> spoilt;  // What is written instead.
    Clock::time_point not_before;
  };

  pm_status_t begin(std::unique_ptr<Transfer>& transfer);
  static void finish(void* data, pm_status_t status, std::uint64_t count, const char* message);
  static void end(const Transfer& transfer, const Status& status);
  void hold_up(std::unique_ptr<Transfer> transfer);
  bool may_go_on(const Transfer& transfer) const;
  void run();

  FaultTier& tier_;
  const pm_tier_async_t* const async_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<std::unique_ptr<Transfer>> held_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace pm::fault
