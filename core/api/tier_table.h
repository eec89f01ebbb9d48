#pragma once

#include <pm/tier.h>

#include <optional>
#include <string>
#include <vector>

#include "core/catalog/catalog.h"
#include "engine.h"
#include "payload/manager/core/v1/descriptor.pb.h"

namespace pm::api {

// The tiers as clients know them, and what is needed to tell a client where a payload is.
// Constant after construction; [thread-safe].
class TierTable {
 public:
  explicit TierTable(std::vector<TierSetup> tiers) : tiers_(std::move(tiers)) {}

  const std::vector<TierSetup>& all() const { return tiers_; }
  std::optional<catalog::TierIndex> find(std::uint32_t number) const;
  std::optional<catalog::TierIndex> find(const std::string& name) const;
  // The name in the configuration, the contract's in lower case, or the number.
  std::optional<catalog::TierIndex> find_named(std::string_view name) const;
  // 0 for no_tier.
  payload::manager::core::v1::Tier number(catalog::TierIndex tier) const;
  const std::string& name(catalog::TierIndex tier) const;

  // Fills a descriptor from what the catalog shows, with the location of a part, which lies within
  // the payload. Fails when the tier cannot say where.
  struct Part {
    std::uint64_t offset_bytes = 0;
    std::uint64_t length_bytes = 0;  // 0: up to the end.
  };
  Status describe(const catalog::View& view, const Part& part,
                  payload::manager::core::v1::PayloadDescriptor& descriptor) const;
  Status describe(const catalog::View& view,
                  payload::manager::core::v1::PayloadDescriptor& descriptor) const {
    return describe(view, Part{}, descriptor);
  }

 private:
  Status locate(const catalog::View& view, const Part& part,
                payload::manager::core::v1::PayloadDescriptor& descriptor) const;

  std::vector<TierSetup> tiers_;
};

// "ok", "degraded" or "failed".
const char* health_of(const catalog::TierCounts& counts);

payload::manager::core::v1::PayloadState state_of(const catalog::View& view);

}  // namespace pm::api
