#pragma once

#include <pm/ext/draft/tier_enumerate.h>
#include <pm/ext/draft/tier_upload.h>
#include <pm/tier.h>

#include <memory>
#include <utility>

#include "faulty_call.h"
#include "transfers.h"

namespace pm::fault {

// The calls of a tier that can go wrong; their order is that of tier_operations().
enum TierCall : std::size_t {
  call_allocate,
  call_adopt,
  call_locate,
  call_read,
  call_write,
  call_seal,
  call_remove,
  call_set_length,
  call_enumerate,
  call_submit,
};
Operations tier_operations();

// One instance: the host's struct and what stands behind it. Its tier_data is the inner tier's: an
// extension that this plugin does not know is handed out as it is, and its functions find their
// own data in the struct that they get.
struct FaultTier : pm_tier_t {
  FaultTier(const sdk::Host& host_services, const pm_tier_t* inner_tier,
            std::unique_ptr<Schedule> faults);
  ~FaultTier();
  FaultTier(const FaultTier&) = delete;
  FaultTier& operator=(const FaultTier&) = delete;

  static FaultTier& of(const pm_tier_t* tier) {
    return *static_cast<FaultTier*>(const_cast<pm_tier_t*>(tier));
  }

  // As faulty_call(); the call takes `length` bytes of room.
  template <typename Body>
  pm_status_t run(TierCall call, const pm_call_context_t* context, std::uint64_t length,
                  Body&& body);

  // With `length` bytes more the medium is as full as the decision wants it to be.
  bool is_full(const Decision& decision, std::uint64_t length) const;

  const sdk::Host host;
  const pm_tier_t* const inner;
  const std::unique_ptr<Schedule> schedule;
  const pm_tier_enumerate_t* const enumeration;  // The inner tier's; NULL: it has none.
  const pm_tier_upload_t* const upload;
  Transfers transfers;
};

template <typename Body>
pm_status_t FaultTier::run(TierCall call, const pm_call_context_t* context, std::uint64_t length,
                           Body&& body) {
  return faulty_call(
      host, *schedule, call, context,
      [&](const Decision& decision) { return is_full(decision, length); },
      std::forward<Body>(body));
}

}  // namespace pm::fault
