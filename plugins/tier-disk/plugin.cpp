// The C face of the disk tier: the entry, the schema, and one function for each pointer.

#include <pm/ext/draft/tier_share.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <pm/cpp/config.hpp>
#include <string_view>

#include "tier.h"

namespace pm::disk {

namespace {

// One instance: what the host holds, and what stands behind it.
struct Instance {
  pm_tier_t abi{};
  std::unique_ptr<DiskTier> tier;
};

DiskTier& tier_of(const pm_tier_t* tier) { return *static_cast<Instance*>(tier->tier_data)->tier; }

template <typename Body>
pm_status_t call(const pm_tier_t* tier, Body&& body) {
  DiskTier& disk = tier_of(tier);
  return sdk::guarded(disk.host(), [&] { return body(disk); });
}

// Gives the caller as much of a struct as its `size` says it has room for; `size` stays.
template <typename Struct>
void give(const Struct& filled, Struct* target) {
  const std::size_t end = std::min<std::size_t>(target->size, sizeof(Struct));
  if (end <= sizeof(target->size)) return;
  std::memcpy(reinterpret_cast<char*>(target) + sizeof(target->size),
              reinterpret_cast<const char*>(&filled) + sizeof(target->size),
              end - sizeof(target->size));
}

void get_info(const pm_tier_t* tier, pm_tier_info_t* info) { give(tier_of(tier).info(), info); }

void get_usage(const pm_tier_t* tier, pm_tier_usage_t* usage) {
  give(tier_of(tier).usage(), usage);
}

pm_status_t allocate(const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* object,
                     uint64_t length, const pm_allocate_options_t*, pm_allocation_t* allocation) {
  return call(tier, [&](DiskTier& disk) {
    pm_allocation_t taken{};
    Status status = disk.allocate(*object, length, &taken);
    if (status.ok()) give(taken, allocation);
    return status;
  });
}

pm_status_t adopt(const pm_tier_t* tier, const pm_object_id_t* object, const pm_cookie_t*,
                  uint64_t length, uint64_t* bytes_charged) {
  return call(tier, [&](DiskTier& disk) { return disk.adopt(*object, length, bytes_charged); });
}

pm_status_t locate(const pm_tier_t* tier, const pm_object_id_t* object, const pm_cookie_t*,
                   uint64_t length, pm_location_t* location) {
  return call(tier, [&](DiskTier& disk) { return disk.locate(*object, length, location); });
}

pm_status_t read(const pm_tier_t* tier, const pm_call_context_t* context,
                 const pm_object_id_t* object, const pm_cookie_t*, uint64_t offset, void* target,
                 uint64_t length, uint64_t* count) {
  return call(tier, [&](DiskTier& disk) {
    return disk.read(context, *object, offset, target, length, count);
  });
}

pm_status_t write(const pm_tier_t* tier, const pm_call_context_t* context,
                  const pm_object_id_t* object, const pm_cookie_t*, uint64_t offset,
                  const void* source, uint64_t length) {
  return call(tier,
              [&](DiskTier& disk) { return disk.write(context, *object, offset, source, length); });
}

pm_status_t seal(const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* object,
                 const pm_cookie_t*, uint64_t length) {
  return call(tier, [&](DiskTier& disk) { return disk.seal(*object, length); });
}

pm_status_t remove(const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* object,
                   const pm_cookie_t*, uint64_t) {
  return call(tier, [&](DiskTier& disk) { return disk.remove(*object); });
}

pm_status_t set_length(const pm_tier_t* tier, const pm_call_context_t*,
                       const pm_object_id_t* object, const pm_cookie_t*, uint64_t allocated,
                       uint64_t length) {
  return call(tier, [&](DiskTier& disk) { return disk.set_length(*object, allocated, length); });
}

pm_status_t submit(const pm_tier_t* tier, const pm_transfer_t* transfer) {
  return call(tier, [&](DiskTier& disk) { return disk.submit(*transfer); });
}

pm_status_t enumerate(const pm_tier_t* tier, const pm_call_context_t* context,
                      pm_on_tier_object_t on_object, void* data) {
  return call(tier, [&](DiskTier& disk) { return disk.enumerate(context, on_object, data); });
}

pm_status_t open_object(const pm_tier_t* tier, const pm_object_id_t* object, const pm_cookie_t*,
                        uint64_t length, bool writable, int* descriptor) {
  *descriptor = -1;
  return call(tier, [&](DiskTier& disk) {
    auto opened = disk.open_object(*object, length, writable);
    if (opened.ok()) *descriptor = opened->release();
    return opened.status();
  });
}

pm_status_t open_slab(const pm_tier_t* tier, uint32_t, bool, int* descriptor) {
  *descriptor = -1;
  return call(tier, [](DiskTier&) { return Status(Code::not_found, "this tier has no slabs"); });
}

const void* get_extension(const pm_tier_t* tier, const char* id) {
  static const pm_tier_async_t async{submit};
  static const pm_tier_enumerate_t enumeration{enumerate};
  static const pm_tier_upload_t upload{set_length};
  static const pm_tier_share_t share{open_object, open_slab};
  const std::string_view wanted(id);
  if (wanted == PM_TIER_ENUMERATE) return &enumeration;
  if (wanted == PM_TIER_UPLOAD) return &upload;
  if (wanted == PM_TIER_SHARE) return &share;
  if (wanted == PM_TIER_ASYNC && tier_of(tier).has_async()) return &async;
  return nullptr;
}

void destroy(const pm_tier_t* tier) { delete static_cast<Instance*>(tier->tier_data); }

Options options_of(const char* config_json) {
  const sdk::Config config(config_json);
  Options options;
  options.root = config.text("root");
  const std::uint64_t capacity = config.number("capacity_bytes");
  options.capacity_bytes = capacity == 0 ? UINT64_MAX : capacity;
  options.file_mode = static_cast<mode_t>(std::stoul(config.text("file_mode"), nullptr, 8));
  options.direct = config.flag("direct");
  options.depth = static_cast<unsigned>(config.number("depth"));
  return options;
}

const void* create(const pm_host_t* abi_host, const char* config_json) {
  const sdk::Host host(abi_host);
  auto instance = std::unique_ptr<Instance>();
  const pm_status_t status = sdk::guarded(host, [&]() -> Status {
    auto tier = DiskTier::open(host, options_of(config_json));
    if (!tier.ok()) return tier.status();
    instance = std::make_unique<Instance>();
    instance->tier = std::move(tier).value();
    instance->abi = {instance.get(), get_info, get_usage, allocate, adopt,         locate,
                     read,           write,    seal,      remove,   get_extension, destroy};
    return {};
  });
  return status == PM_OK ? &instance.release()->abi : nullptr;
}

constexpr const char* id = "org.payload-manager.tier-disk";

constexpr const char* config_schema = R"({
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "required": ["root"],
  "properties": {
    "root": {
      "type": "string", "minLength": 1,
      "description": "Directory that keeps the files; made with its parents, 0700, where missing. A relative one is taken from the working directory. One tier of one host instance per root."
    },
    "capacity_bytes": {
      "type": "integer", "minimum": 0, "default": 0,
      "description": "Room for objects, in bytes as charged (each rounded up to 4096). 0: as much as the file system has."
    },
    "file_mode": {
      "type": "string", "pattern": "^0?6[0246]{2}$", "default": "0600",
      "description": "Octal mode of a file that is being written; a sealed one loses its write bits. Directories get the matching search bits."
    },
    "direct": {
      "type": "boolean", "default": true,
      "description": "Move large aligned ranges past the page cache (O_DIRECT), where the file system can."
    },
    "depth": {
      "type": "integer", "minimum": 1, "maximum": 256, "default": 8,
      "description": "How many asynchronous transfers are with the kernel at a time (io_uring)."
    }
  }
})";

const pm_plugin_descriptor_t descriptor{
    sizeof(pm_plugin_descriptor_t), 0, id, "Disk tier", "0.1.0", PM_KIND_TIER, config_schema};

}  // namespace

}  // namespace pm::disk

PM_PLUGIN_NOTE(PM_KIND_TIER, "org.payload-manager.tier-disk");

extern "C" const pm_plugin_entry_t pm_plugin_entry_v1{PM_ABI_MAJOR, PM_ABI_MINOR,
                                                      &pm::disk::descriptor, pm::disk::create};
