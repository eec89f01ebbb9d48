#include "core/plugin/instance.h"

#include <cstring>

namespace pm {
namespace {

const char* kind_of(const pm_tier_t*) { return PM_KIND_TIER; }
const char* kind_of(const pm_repository_t*) { return PM_KIND_REPOSITORY; }
const char* kind_of(const pm_frontend_t*) { return PM_KIND_FRONTEND; }

// The name of the first function that is missing, or NULL. `destroy` is the last one asked for, so
// that an instance with another one missing can still be destroyed.
#define PM_CHECK_FUNCTION(name) \
  if (abi.name == nullptr) return #name

const char* missing_function(const pm_tier_t& abi) {
  PM_CHECK_FUNCTION(get_info);
  PM_CHECK_FUNCTION(get_usage);
  PM_CHECK_FUNCTION(allocate);
  PM_CHECK_FUNCTION(adopt);
  PM_CHECK_FUNCTION(locate);
  PM_CHECK_FUNCTION(read);
  PM_CHECK_FUNCTION(write);
  PM_CHECK_FUNCTION(seal);
  PM_CHECK_FUNCTION(remove);
  PM_CHECK_FUNCTION(get_extension);
  PM_CHECK_FUNCTION(destroy);
  return nullptr;
}

const char* missing_function(const pm_repository_t& abi) {
  PM_CHECK_FUNCTION(open);
  PM_CHECK_FUNCTION(apply);
  PM_CHECK_FUNCTION(get);
  PM_CHECK_FUNCTION(scan);
  PM_CHECK_FUNCTION(get_extension);
  PM_CHECK_FUNCTION(destroy);
  return nullptr;
}

const char* missing_function(const pm_frontend_t& abi) {
  PM_CHECK_FUNCTION(start);
  PM_CHECK_FUNCTION(drain);
  PM_CHECK_FUNCTION(stop);
  PM_CHECK_FUNCTION(get_extension);
  PM_CHECK_FUNCTION(destroy);
  return nullptr;
}

#undef PM_CHECK_FUNCTION

}  // namespace

template <typename Abi>
Result<Instance<Abi>> Instance<Abi>::create(const PluginLibrary& library, std::string name,
                                            std::optional<HostIdentity> identity,
                                            const char* config_json) {
  const std::string where = name + " (" + library.path().string() + ")";
  const char* const kind = kind_of(static_cast<const Abi*>(nullptr));
  if (std::strcmp(library.descriptor().kind, kind) != 0) {
    return Status{Code::invalid_argument, where + ": the plugin is a " + library.descriptor().kind +
                                              ", and a " + kind + " is needed here"};
  }
  auto services = std::make_unique<HostServices>(std::move(name), std::move(identity));
  take_error_text();
  const auto* abi = static_cast<const Abi*>(library.entry().create(services->abi(), config_json));
  const std::string words = take_error_text();
  if (abi == nullptr) {
    return Status{Code::failed_precondition,
                  library.path().string() + ": cannot be created: " +
                      (words.empty() ? services->name() + ": no reason given" : words)};
  }
  if (const char* missing = missing_function(*abi); missing != nullptr) {
    if (abi->destroy != nullptr) abi->destroy(abi);
    return Status{Code::invalid_argument,
                  where + ": the plugin leaves the function `" + missing + "` NULL",
                  "PLUGIN_FUNCTION_MISSING"};
  }
  return Instance(std::move(services), Owned(abi));
}

bool keeps_durably(const Tier& tier) {
  constexpr std::uint32_t durable = PM_TIER_KEEPS_BYTES | PM_TIER_SURVIVES_POWER;
  pm_tier_info_t info{};
  info.size = sizeof info;
  tier->get_info(tier.get(), &info);
  return (info.traits & durable) == durable;
}

template class Instance<pm_tier_t>;
template class Instance<pm_repository_t>;
template class Instance<pm_frontend_t>;

}  // namespace pm
