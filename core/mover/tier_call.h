#pragma once

#include <pm/tier.h>

#include <string>
#include <utility>

#include "core/plugin/host_services.h"
#include "jobs.h"
#include "tier_health.h"

namespace pm::mover {

enum class Repeat : bool { never, when_transient };

// One call to a tier about `length` bytes, for a job, which watches it, or without one (NULL) when
// it does not block; pm_status_t body(const pm_call_context_t*). How it went is noted with the
// tier's health. With a job it is repeated as the budget of the tier allows. The body must be such
// that it can be done twice.
template <typename Body>
Status call_tier(Job* job, const TierLink* link, std::uint64_t length, Repeat repeat, Body&& body) {
  constexpr std::uint32_t attempts_max = 4;
  if (link == nullptr || job == nullptr) {
    pm_call_context_t context{};
    context.size = sizeof context;
    Status status = take_error(body(&context));
    if (link != nullptr) link->health->note(status);
    return status;
  }
  for (std::uint32_t attempt = 1;; ++attempt) {
    if (!job->begin_call(*link, length)) return {Code::cancelled, "the call before was given up"};
    const pm_call_context_t context = job->context();
    Status status = take_error(body(&context));
    job->end_call();
    link->health->note(status);
    // Clients know this code as that of a deadline of theirs.
    if (status.code() == Code::deadline_exceeded) return {Code::unavailable, status.message()};
    const bool is_wanted = repeat == Repeat::when_transient && is_transient(status.code());
    if (!is_wanted || attempt == attempts_max || link->health->is_degraded()) return status;
    if (!link->health->may_repeat() || !job->pause(attempt)) return status;
  }
}

}  // namespace pm::mover
