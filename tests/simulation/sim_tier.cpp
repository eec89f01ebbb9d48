#include "sim_tier.h"

#include <algorithm>
#include <cstring>

#include "core/mover/mover.h"

namespace pm::simulation {

SimTier::SimTier(const SimTierSetup& setup, Trouble& trouble) : setup_(setup), trouble_(trouble) {
  abi_.tier_data = this;
  abi_.get_info = [](const pm_tier_t* tier, pm_tier_info_t* info) {
    const SimTierSetup& setup = self(tier).setup_;
    info->traits = setup.traits;
    info->charge_granularity_bytes = setup.granularity_bytes;
    info->inline_bytes_max = setup.inline_bytes_max;
    info->alignment_bytes = 1;
    info->chunk_bytes_preferred = 1 << 16;
    info->capacity_bytes = setup.capacity_bytes;
    std::strcpy(info->fingerprint, "simulated");
  };
  abi_.allocate = [](const pm_tier_t* tier, const pm_call_context_t* context,
                     const pm_object_id_t* id, std::uint64_t length, const pm_allocate_options_t*,
                     pm_allocation_t* answer) {
    answer->bytes_charged = self(tier).charge(length);
    return self(tier).allocate(context, *id, length);
  };
  abi_.adopt = [](const pm_tier_t* tier, const pm_object_id_t* id, const pm_cookie_t*,
                  std::uint64_t length, std::uint64_t* charged) {
    *charged = self(tier).charge(length);
    return self(tier).adopt(*id, length);
  };
  abi_.read = [](const pm_tier_t* tier, const pm_call_context_t* context, const pm_object_id_t* id,
                 const pm_cookie_t*, std::uint64_t offset, void* target, std::uint64_t length,
                 std::uint64_t* count) {
    return self(tier).read(context, *id, offset, target, length, count);
  };
  abi_.write = [](const pm_tier_t* tier, const pm_call_context_t* context, const pm_object_id_t* id,
                  const pm_cookie_t*, std::uint64_t offset, const void* source,
                  std::uint64_t length) {
    return self(tier).write(context, *id, offset, source, length);
  };
  abi_.seal = [](const pm_tier_t* tier, const pm_call_context_t* context, const pm_object_id_t* id,
                 const pm_cookie_t*,
                 std::uint64_t length) { return self(tier).seal(context, *id, length); };
  abi_.remove = [](const pm_tier_t* tier, const pm_call_context_t* context,
                   const pm_object_id_t* id, const pm_cookie_t*,
                   std::uint64_t) { return self(tier).remove(context, *id); };
  enumerate_abi_.enumerate = [](const pm_tier_t* tier, const pm_call_context_t*,
                                pm_on_tier_object_t on_object,
                                void* data) { return self(tier).enumerate(on_object, data); };
  abi_.get_extension = [](const pm_tier_t* tier, const char* id) -> const void* {
    return std::strcmp(id, PM_TIER_ENUMERATE) == 0 ? &self(tier).enumerate_abi_ : nullptr;
  };
}

SimObject* SimTier::find(std::uint64_t generation) {
  const auto found = objects_.find(generation);
  return found != objects_.end() ? &found->second : nullptr;
}

void SimTier::spoil(std::uint64_t generation) {
  std::string& bytes = find(generation)->bytes;
  bytes[trouble_.dice().pick(bytes.size())] ^= 0x20;
}

std::uint64_t SimTier::charge(std::uint64_t length) const {
  const std::uint64_t blocks = (length + setup_.granularity_bytes - 1) / setup_.granularity_bytes;
  return blocks * setup_.granularity_bytes;
}

void SimTier::accuse(const std::string& words) {
  if (violation_.empty()) violation_ = words;
}

namespace {

bool is_probe(const pm_object_id_t& id) {
  return std::memcmp(id.payload, mover::probe_payload.data(), sizeof id.payload) == 0;
}

}  // namespace

// Nobody counts what a tier is tried out with.
std::uint64_t SimTier::charge_of(const pm_object_id_t& id, std::uint64_t length) const {
  return is_probe(id) ? 0 : charge(length);
}

std::size_t SimTier::copies() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      objects_, [](const auto& object) { return !is_probe(object.second.id); }));
}

pm_status_t SimTier::failure(const pm_call_context_t* context) {
  // Calls on the ledger's thread do not block.
  if (context->host_data != nullptr) trouble_.hang();
  if (!trouble_.is_on()) sick_calls_ = 0;
  if (trouble_.strikes(Fault::tier_gets_sick, 2'000)) sick_calls_ = 5 + trouble_.dice().pick(30);
  if (sick_calls_ > 0) {
    --sick_calls_;
    return trouble_.dice().one_in(2) ? PM_UNAVAILABLE : PM_INTERNAL;
  }
  if (trouble_.strikes(Fault::tier_is_full, 100)) return PM_RESOURCE_EXHAUSTED;
  if (trouble_.strikes(Fault::tier_fails, 150)) return PM_UNAVAILABLE;
  return PM_OK;
}

pm_status_t SimTier::allocate(const pm_call_context_t* context, const pm_object_id_t& id,
                              std::uint64_t length) {
  trouble_.before_call();
  if (const pm_status_t code = failure(context); code != PM_OK) return code;
  if (objects_.contains(id.generation)) accuse("allocates a generation twice");
  if (used_bytes_ + charge_of(id, length) > setup_.capacity_bytes) {
    if (known_) accuse("S4: allocates more than the tier has");
    return PM_RESOURCE_EXHAUSTED;
  }
  used_bytes_ += charge_of(id, length);
  objects_[id.generation] = {id, std::string(length, '\x5d'), false};
  trouble_.after_call();
  return PM_OK;
}

pm_status_t SimTier::adopt(const pm_object_id_t& id, std::uint64_t length) {
  const SimObject* object = find(id.generation);
  return object != nullptr && object->sealed && object->bytes.size() == length ? PM_OK
                                                                               : PM_NOT_FOUND;
}

pm_status_t SimTier::read(const pm_call_context_t* context, const pm_object_id_t& id,
                          std::uint64_t offset, void* target, std::uint64_t length,
                          std::uint64_t* count) {
  trouble_.before_call();
  if (const pm_status_t code = failure(context); code != PM_OK) return code;
  const SimObject* object = find(id.generation);
  if (object == nullptr) {
    accuse("reads what is not there");
    return PM_NOT_FOUND;
  }
  const std::uint64_t end = std::min<std::uint64_t>(object->bytes.size(), offset + length);
  *count = end > offset ? end - offset : 0;
  std::memcpy(target, object->bytes.data() + offset, *count);
  return PM_OK;
}

pm_status_t SimTier::write(const pm_call_context_t* context, const pm_object_id_t& id,
                           std::uint64_t offset, const void* source, std::uint64_t length) {
  trouble_.before_call();
  if (const pm_status_t code = failure(context); code != PM_OK) return code;
  SimObject* object = find(id.generation);
  if (object == nullptr || object->sealed) {
    accuse("writes into what is sealed or not there");
    return PM_NOT_FOUND;
  }
  std::memcpy(object->bytes.data() + offset, source, length);
  trouble_.after_call();
  return PM_OK;
}

pm_status_t SimTier::seal(const pm_call_context_t* context, const pm_object_id_t& id,
                          std::uint64_t length) {
  trouble_.before_call();
  const bool is_durable = (setup_.traits & PM_TIER_SURVIVES_POWER) != 0;
  if (is_durable && trouble_.strikes(Fault::tier_sync_fails, 300)) return PM_DATA_LOSS;
  if (const pm_status_t code = failure(context); code != PM_OK) return code;
  SimObject* object = find(id.generation);
  if (object == nullptr || object->bytes.size() != length) {
    accuse("seals what is not there");
    return PM_NOT_FOUND;
  }
  object->sealed = true;
  trouble_.after_call();
  return PM_OK;
}

pm_status_t SimTier::remove(const pm_call_context_t* context, const pm_object_id_t& id) {
  trouble_.before_call();
  if (const pm_status_t code = failure(context); code != PM_OK) return code;
  const auto found = objects_.find(id.generation);
  if (found == objects_.end()) return PM_NOT_FOUND;
  used_bytes_ -= charge_of(id, found->second.bytes.size());
  objects_.erase(found);
  trouble_.after_call();
  return PM_OK;
}

pm_status_t SimTier::enumerate(pm_on_tier_object_t on_object, void* data) {
  for (const auto& [generation, object] : objects_) {
    pm_tier_object_t told{};
    told.size = sizeof told;
    told.sealed = object.sealed ? 1 : 0;
    told.object = object.id;
    told.length = object.bytes.size();
    told.bytes_charged = charge(object.bytes.size());
    if (!on_object(data, &told)) break;
  }
  return PM_OK;
}

void SimTier::cut_power() {
  const bool survives = (setup_.traits & PM_TIER_SURVIVES_POWER) != 0;
  for (auto at = objects_.begin(); at != objects_.end();) {
    SimObject& object = at->second;
    if (survives && object.sealed) {
      ++at;
      continue;
    }
    trouble_.count(Fault::unsynced_is_lost);
    if (survives && trouble_.dice().one_in(2)) {
      // Its name got there, and some of its bytes did not.
      std::fill(object.bytes.begin(), object.bytes.end(), '\0');
      ++at;
      continue;
    }
    used_bytes_ -= charge_of(object.id, object.bytes.size());
    at = objects_.erase(at);
  }
}

}  // namespace pm::simulation
