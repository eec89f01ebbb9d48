#include "tier.h"

#include <array>

namespace pm::fault {

namespace {

constexpr auto error = static_cast<std::uint32_t>(Kind::error);
constexpr auto full = static_cast<std::uint32_t>(Kind::full);
constexpr auto late =
    static_cast<std::uint32_t>(Kind::latency) | static_cast<std::uint32_t>(Kind::hang);
constexpr auto cut = static_cast<std::uint32_t>(Kind::short_read);
constexpr auto spoilt = static_cast<std::uint32_t>(Kind::corrupt);

// locate must not block.
constexpr std::array<Operation, 10> operations = {
    {{"allocate", error | late | full | knows_usage},
     {"adopt", error | late},
     {"locate", error},
     {"read", error | late | cut | spoilt},
     {"write", error | late | full | spoilt | knows_usage},
     {"seal", error | late},
     {"remove", error | late},
     {"set_length", error | late},
     {"enumerate", error | late},
     {"submit", error | late | fails_before}}};

template <typename Extension>
const Extension* extension_of(const pm_tier_t* tier, const char* id) {
  return static_cast<const Extension*>(tier->get_extension(tier, id));
}

}  // namespace

Operations tier_operations() { return operations; }

FaultTier::FaultTier(const sdk::Host& host_services, const pm_tier_t* inner_tier,
                     std::unique_ptr<Schedule> faults)
    : pm_tier_t{},
      host(host_services),
      inner(inner_tier),
      schedule(std::move(faults)),
      enumeration(extension_of<pm_tier_enumerate_t>(inner_tier, PM_TIER_ENUMERATE)),
      upload(extension_of<pm_tier_upload_t>(inner_tier, PM_TIER_UPLOAD)),
      transfers(*this, extension_of<pm_tier_async_t>(inner_tier, PM_TIER_ASYNC)) {}

FaultTier::~FaultTier() {
  transfers.stop();
  inner->destroy(inner);
}

bool FaultTier::is_full(const Decision& decision, std::uint64_t length) const {
  if (!decision.full) return false;
  if (decision.full->used_bytes_max == 0) return true;
  pm_tier_usage_t usage{};
  usage.size = sizeof usage;
  inner->get_usage(inner, &usage);
  return usage.bytes_used + length > decision.full->used_bytes_max;
}

}  // namespace pm::fault
