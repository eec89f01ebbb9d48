#pragma once

#include <pm/ext/draft/tier_enumerate.h>
#include <pm/tier.h>

#include <cstdint>
#include <map>
#include <string>

#include "trouble.h"

namespace pm::simulation {

struct SimObject {
  pm_object_id_t id{};
  std::string bytes;
  bool sealed = false;
};

struct SimTierSetup {
  std::uint32_t traits = 0;
  std::uint64_t capacity_bytes = 0;
  std::uint64_t granularity_bytes = 1;
  std::uint64_t inline_bytes_max = 0;
};

// A tier of the simulation: objects in a map, which outlive the host. Each call may fail, and the
// host may die before it or after it. Counts what it holds itself, so that nobody can give out more
// than there is.
class SimTier {
 public:
  SimTier(const SimTierSetup& setup, Trouble& trouble);
  SimTier(const SimTier&) = delete;
  SimTier& operator=(const SimTier&) = delete;

  const pm_tier_t* abi() const { return &abi_; }
  const std::map<std::uint64_t, SimObject>& objects() const { return objects_; }
  SimObject* find(std::uint64_t generation);
  // Bit rot: one of its bytes is another one from now on.
  void spoil(std::uint64_t generation);
  std::uint64_t charge(std::uint64_t length) const;
  std::uint64_t used_bytes() const { return used_bytes_; }
  // The objects but for those that the tier is tried out with, which the catalog does not count.
  std::size_t copies() const;
  std::uint64_t capacity_bytes() const { return setup_.capacity_bytes; }

  // Whether the host knows of all that is here. Before it does, it may let in more than there is
  // room for, and is refused by the tier itself.
  void set_known(bool known) { known_ = known; }
  bool is_known() const { return known_; }

  // What was not synced is lost, or what does not survive at all.
  void cut_power();

  // What the host must never do; empty: it has not.
  const std::string& violation() const { return violation_; }

 private:
  pm_status_t allocate(const pm_call_context_t* context, const pm_object_id_t& id,
                       std::uint64_t length);
  pm_status_t adopt(const pm_object_id_t& id, std::uint64_t length);
  pm_status_t read(const pm_call_context_t* context, const pm_object_id_t& id, std::uint64_t offset,
                   void* target, std::uint64_t length, std::uint64_t* count);
  pm_status_t write(const pm_call_context_t* context, const pm_object_id_t& id,
                    std::uint64_t offset, const void* source, std::uint64_t length);
  pm_status_t seal(const pm_call_context_t* context, const pm_object_id_t& id,
                   std::uint64_t length);
  pm_status_t remove(const pm_call_context_t* context, const pm_object_id_t& id);
  pm_status_t enumerate(pm_on_tier_object_t on_object, void* data);
  pm_status_t failure(const pm_call_context_t* context);
  std::uint64_t charge_of(const pm_object_id_t& id, std::uint64_t length) const;
  void accuse(const std::string& words);
  static SimTier& self(const pm_tier_t* tier) { return *static_cast<SimTier*>(tier->tier_data); }

  const SimTierSetup setup_;
  Trouble& trouble_;
  pm_tier_t abi_{};
  pm_tier_enumerate_t enumerate_abi_{};
  std::map<std::uint64_t, SimObject> objects_;
  std::uint64_t used_bytes_ = 0;
  bool known_ = true;
  std::uint64_t sick_calls_ = 0;  // So many fail from now on.
  std::string violation_;
};

}  // namespace pm::simulation
