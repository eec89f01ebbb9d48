// The C face of tier-fault: the entry, the schema, and one function for each pointer.

#include <cstddef>
#include <string_view>
#include <vector>

#include "config.h"
#include "inner_plugin.h"
#include "tier.h"

#define PM_PLUGIN_ID "org.payload-manager.tier-fault"

PM_PLUGIN_NOTE(PM_KIND_TIER, PM_PLUGIN_ID);

namespace pm::fault {

namespace {

// As the inner tier says, but that nothing is done on the caller's thread: each call may be late.
void get_info(const pm_tier_t* tier, pm_tier_info_t* info) {
  const pm_tier_t* inner = FaultTier::of(tier).inner;
  inner->get_info(inner, info);
  constexpr std::size_t end = offsetof(pm_tier_info_t, inline_bytes_max) + sizeof(std::uint64_t);
  if (info->size >= end) info->inline_bytes_max = 0;
}

void get_usage(const pm_tier_t* tier, pm_tier_usage_t* usage) {
  const pm_tier_t* inner = FaultTier::of(tier).inner;
  inner->get_usage(inner, usage);
}

pm_status_t allocate(const pm_tier_t* tier, const pm_call_context_t* context,
                     const pm_object_id_t* object, uint64_t length,
                     const pm_allocate_options_t* options, pm_allocation_t* allocation) {
  FaultTier& self = FaultTier::of(tier);
  return self.run(call_allocate, context, length, [&](const Decision&) {
    return self.inner->allocate(self.inner, context, object, length, options, allocation);
  });
}

pm_status_t adopt(const pm_tier_t* tier, const pm_object_id_t* object, const pm_cookie_t* cookie,
                  uint64_t length, uint64_t* bytes_charged) {
  FaultTier& self = FaultTier::of(tier);
  return self.run(call_adopt, nullptr, 0, [&](const Decision&) {
    return self.inner->adopt(self.inner, object, cookie, length, bytes_charged);
  });
}

pm_status_t locate(const pm_tier_t* tier, const pm_object_id_t* object, const pm_cookie_t* cookie,
                   uint64_t length, pm_location_t* location) {
  FaultTier& self = FaultTier::of(tier);
  return self.run(call_locate, nullptr, 0, [&](const Decision&) {
    return self.inner->locate(self.inner, object, cookie, length, location);
  });
}

pm_status_t read(const pm_tier_t* tier, const pm_call_context_t* context,
                 const pm_object_id_t* object, const pm_cookie_t* cookie, uint64_t offset,
                 void* target, uint64_t length, uint64_t* count) {
  FaultTier& self = FaultTier::of(tier);
  return self.run(call_read, context, 0, [&](const Decision& decision) {
    const std::uint64_t wanted = decision.short_read ? decision.short_read->cut(length) : length;
    *count = 0;
    if (wanted == 0 && length != 0) return pm_status_t{PM_OK};
    const pm_status_t status =
        self.inner->read(self.inner, context, object, cookie, offset, target, wanted, count);
    if (status == PM_OK && decision.corruption) decision.corruption->spoil(target, *count);
    return status;
  });
}

pm_status_t write(const pm_tier_t* tier, const pm_call_context_t* context,
                  const pm_object_id_t* object, const pm_cookie_t* cookie, uint64_t offset,
                  const void* source, uint64_t length) {
  FaultTier& self = FaultTier::of(tier);
  return self.run(call_write, context, length, [&](const Decision& decision) {
    if (!decision.corruption) {
      return self.inner->write(self.inner, context, object, cookie, offset, source, length);
    }
    const auto* bytes = static_cast<const unsigned char*>(source);
    std::vector<unsigned char> spoilt(bytes, bytes + length);
    decision.corruption->spoil(spoilt.data(), length);
    return self.inner->write(self.inner, context, object, cookie, offset, spoilt.data(), length);
  });
}

pm_status_t seal(const pm_tier_t* tier, const pm_call_context_t* context,
                 const pm_object_id_t* object, const pm_cookie_t* cookie, uint64_t length) {
  FaultTier& self = FaultTier::of(tier);
  return self.run(call_seal, context, 0, [&](const Decision&) {
    return self.inner->seal(self.inner, context, object, cookie, length);
  });
}

pm_status_t remove(const pm_tier_t* tier, const pm_call_context_t* context,
                   const pm_object_id_t* object, const pm_cookie_t* cookie, uint64_t length) {
  FaultTier& self = FaultTier::of(tier);
  return self.run(call_remove, context, 0, [&](const Decision&) {
    return self.inner->remove(self.inner, context, object, cookie, length);
  });
}

pm_status_t set_length(const pm_tier_t* tier, const pm_call_context_t* context,
                       const pm_object_id_t* object, const pm_cookie_t* cookie, uint64_t allocated,
                       uint64_t length) {
  FaultTier& self = FaultTier::of(tier);
  return self.run(call_set_length, context, 0, [&](const Decision&) {
    return self.upload->set_length(self.inner, context, object, cookie, allocated, length);
  });
}

pm_status_t enumerate(const pm_tier_t* tier, const pm_call_context_t* context,
                      pm_on_tier_object_t on_object, void* data) {
  FaultTier& self = FaultTier::of(tier);
  return self.run(call_enumerate, context, 0, [&](const Decision&) {
    return self.enumeration->enumerate(self.inner, context, on_object, data);
  });
}

pm_status_t submit(const pm_tier_t* tier, const pm_transfer_t* transfer) {
  return FaultTier::of(tier).transfers.submit(*transfer);
}

const void* get_extension(const pm_tier_t* tier, const char* id) {
  static const pm_tier_async_t async{submit};
  static const pm_tier_enumerate_t enumeration{enumerate};
  static const pm_tier_upload_t upload{set_length};
  const FaultTier& self = FaultTier::of(tier);
  const std::string_view wanted(id);
  if (wanted == PM_TIER_ENUMERATE) return self.enumeration == nullptr ? nullptr : &enumeration;
  if (wanted == PM_TIER_UPLOAD) return self.upload == nullptr ? nullptr : &upload;
  if (wanted == PM_TIER_ASYNC) return self.transfers.has_async() ? &async : nullptr;
  return self.inner->get_extension(self.inner, id);
}

void destroy(const pm_tier_t* tier) { delete &FaultTier::of(tier); }

bool is_whole(const pm_tier_t& tier) {
  return tier.get_info != nullptr && tier.get_usage != nullptr && tier.allocate != nullptr &&
         tier.adopt != nullptr && tier.locate != nullptr && tier.read != nullptr &&
         tier.write != nullptr && tier.seal != nullptr && tier.remove != nullptr &&
         tier.get_extension != nullptr && tier.destroy != nullptr;
}

const void* create(const pm_host_t* abi_host, const char* config_json) {
  const sdk::Host host(abi_host);
  const pm_tier_t* result = nullptr;
  sdk::guarded(host, [&]() -> Status {
    const Config config(config_json);
    auto schedule = Schedule::open(host, tier_operations(), config.faults(), config.schedule_file);
    if (!schedule.ok()) return schedule.status();
    const auto* inner = static_cast<const pm_tier_t*>(
        create_inner(abi_host, PM_KIND_TIER, config.plugin, config.inner()));
    if (inner == nullptr) return {};  // It has left its words.
    if (!is_whole(*inner)) {
      if (inner->destroy != nullptr) inner->destroy(inner);
      return {Code::invalid_argument, "plugin: the inner tier lacks a function"};
    }
    auto tier = std::make_unique<FaultTier>(host, inner, *std::move(schedule));
    static_cast<pm_tier_t&>(*tier) = {inner->tier_data, get_info, get_usage, allocate, adopt,
                                      locate,           read,     write,     seal,     remove,
                                      get_extension,    destroy};
    result = tier.release();
    return {};
  });
  if (result != nullptr) host.warn("faults may be put into this tier: it is for tests");
  return result;
}

constexpr pm_plugin_descriptor_t descriptor = {sizeof(pm_plugin_descriptor_t),
                                               0,
                                               PM_PLUGIN_ID,
                                               "Tier with faults, for tests",
                                               "0.1.0",
                                               PM_KIND_TIER,
                                               config_schema};

}  // namespace

}  // namespace pm::fault

extern "C" const pm_plugin_entry_t pm_plugin_entry_v1 = {PM_ABI_MAJOR, PM_ABI_MINOR,
                                                         &pm::fault::descriptor, pm::fault::create};
