#pragma once

#include <utility>

#include "schedule.h"

namespace pm::fault {

// A call with what its decision puts before and after it. `body` makes the inner call, may throw,
// and puts in what concerns the bytes: pm_status_t body(const Decision&). `is_full`, asked where
// the schedule says `full`, tells whether the medium is that full: bool is_full(const Decision&).
// The context may be NULL.
template <typename IsFull, typename Body>
pm_status_t faulty_call(const sdk::Host& host, Schedule& schedule, std::size_t operation,
                        const pm_call_context_t* context, IsFull&& is_full, Body&& body) {
  pm_status_t inner_status = PM_OK;
  const pm_status_t own_status = sdk::guarded(host, [&]() -> Status {
    const Decision decision = schedule.next(operation);
    PM_TRY(schedule.wait(decision, context));
    if (decision.failure && !decision.failure->after) return decision.failure->status;
    if (decision.full && is_full(decision)) return decision.full->status;
    inner_status = std::forward<Body>(body)(decision);
    if (inner_status == PM_OK && decision.failure) return decision.failure->status;
    return {};
  });
  // The inner plugin has left words of its own.
  return own_status != PM_OK ? own_status : inner_status;
}

}  // namespace pm::fault
