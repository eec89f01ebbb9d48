#pragma once

#include <pm/frontend.h>
#include <pm/repository.h>
#include <pm/tier.h>

#include <memory>
#include <optional>
#include <pm/cpp/result.hpp>
#include <string>
#include <utility>

#include "core/plugin/host_services.h"
#include "core/plugin/plugin_library.h"

namespace pm {

// One running instance of a plugin: owns the struct of functions that create() gave, and destroys
// it. `Abi` is pm_tier_t, pm_repository_t or pm_frontend_t. Move-only; get() stays the same.
template <typename Abi>
class Instance {
 public:
  // Errors name the instance and the plugin's file: invalid_argument when the plugin is of another
  // kind or leaves out a function (it is named), else what create() left in words, as
  // failed_precondition. [control-thread]
  static Result<Instance> create(const PluginLibrary& library, std::string name,
                                 std::optional<HostIdentity> identity, const char* config_json);

  Instance(Instance&&) noexcept = default;
  Instance& operator=(Instance&& other) noexcept {
    abi_ = std::move(other.abi_);  // First: the old instance uses its services until destroyed.
    services_ = std::move(other.services_);
    return *this;
  }

  const Abi* get() const { return abi_.get(); }
  const Abi* operator->() const { return abi_.get(); }
  const std::string& name() const { return services_->name(); }

  // Calls the plugin's destroy(); get() is NULL after it. [control-thread]
  void reset() { abi_.reset(); }

 private:
  struct Destroy {
    void operator()(const Abi* abi) const { abi->destroy(abi); }
  };
  using Owned = std::unique_ptr<const Abi, Destroy>;

  Instance(std::unique_ptr<HostServices> services, Owned abi)
      : services_(std::move(services)), abi_(std::move(abi)) {}

  std::unique_ptr<HostServices> services_;  // Destroyed after the instance that uses it.
  Owned abi_;
};

using Tier = Instance<pm_tier_t>;
using Repository = Instance<pm_repository_t>;
using Frontend = Instance<pm_frontend_t>;

// True: the tier keeps bytes, and they survive loss of power.
bool keeps_durably(const Tier& tier);

extern template class Instance<pm_tier_t>;
extern template class Instance<pm_repository_t>;
extern template class Instance<pm_frontend_t>;

}  // namespace pm
