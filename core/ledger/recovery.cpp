#include "recovery.h"

#include <pm/ext/draft/tier_enumerate.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <pm/cpp/failpoint.hpp>
#include <utility>

#include "core/catalog/mutant.h"
#include "core/observe/log.h"
#include "core/plugin/host_services.h"
#include "stream_recovery.h"

namespace pm::ledger {

namespace {

using OnRecord = std::function<Status(const pm_value_t* values, std::uint32_t count)>;

// Visits every record of a kind, in no order; stops at the first error.
Status scan_all(const pm_repository_t* repository, std::uint32_t kind, OnRecord on_record) {
  struct Visit {
    OnRecord on_record;
    Status status;
  } visit{std::move(on_record), {}};
  pm_scan_t scan{};
  scan.size = sizeof scan;
  scan.kind = kind;
  const pm_status_t code = repository->scan(
      repository, &scan,
      [](void* data, const pm_value_t* values, std::uint32_t count) {
        auto& visit = *static_cast<Visit*>(data);
        visit.status = visit.on_record(values, count);
        return visit.status.ok();
      },
      &visit);
  if (!visit.status.ok()) return visit.status;
  return take_error(code);
}

pm_object_id_t object_id(const catalog::Id& payload, std::uint64_t generation) {
  pm_object_id_t object{};
  std::memcpy(object.payload, payload.bytes.data(), payload.bytes.size());
  object.generation = generation;
  return object;
}

// The tier has the copy, has something else in its place, or is sure that it has nothing.
enum class Kept { whole, bad, gone };
Result<Kept> adopt(const pm_tier_t* tier, const std::string& name,
                   const catalog::PayloadRecord& record, const catalog::CopyRecord& copy) {
  const pm_object_id_t object = object_id(record.id, copy.generation);
  pm_cookie_t cookie{};
  cookie.length = copy.cookie.length;
  std::memcpy(cookie.bytes, copy.cookie.bytes.data(), copy.cookie.length);
  std::uint64_t charged = 0;
  PM_FAILPOINT("recovery.before_adopt");
  const pm_status_t code = tier->adopt(tier, &object, &cookie, record.size_bytes, &charged);
  PM_FAILPOINT("recovery.after_adopt");
  if (code == PM_OK) return Kept::whole;
  if (code == PM_NOT_FOUND) return Kept::gone;
  if (code == PM_DATA_LOSS) return Kept::bad;
  const Status status = take_error(code);
  return Status(status.code(),
                "tier '" + name + "' cannot say what it still holds: " + status.message());
}

std::string medium_of(const pm_tier_t* tier) {
  pm_tier_info_t info{};
  info.size = sizeof info;
  tier->get_info(tier, &info);
  if ((info.traits & PM_TIER_SURVIVES_POWER) == 0) return {};
  info.fingerprint[sizeof info.fingerprint - 1] = '\0';
  return info.fingerprint;
}

// A durable tier must stand on the medium that its payloads were put on: a disk that is not
// mounted must not make them look lost. And a tier that failed stays out of service.
Status restore_tiers(const pm_repository_t* repository, const TierNames& names,
                     const std::vector<const pm_tier_t*>& tiers,
                     const std::vector<std::string>& trusted, catalog::Catalog& catalog,
                     std::vector<catalog::Mounted>& mounted) {
  std::vector<bool> write(names.size(), true);
  PM_TRY(scan_all(repository, kind_tier, [&](const pm_value_t* values, std::uint32_t count) {
    auto record = read_tier(values, count, names);
    // The health of a tier that is no longer configured is of no interest.
    if (!record.ok()) return Status{};
    const std::string& name = names[record->tier];
    if (std::find(trusted.begin(), trusted.end(), name) != trusted.end()) return Status{};
    const std::string medium = medium_of(tiers[record->tier]);
    if (!record->medium.empty() && record->medium != medium) {
      return Status(Code::failed_precondition,
                    "tier '" + name + "' stands on another medium (" + medium +
                        ") than its payloads (" + record->medium +
                        "); mount the right one, or start with --trust-tier " + name +
                        " to give up what is on the other",
                    "MEDIUM_CHANGED");
    }
    if (record->failed) {
      log::error("recovery", "tier '" + name +
                                 "' failed to sync earlier and is out of service; when its medium "
                                 "is sound again, start with --trust-tier " +
                                 name);
    }
    write[record->tier] = record->medium != medium;
    catalog.restore(*record);
    return Status{};
  }));
  for (std::size_t index = 0; index < names.size(); ++index) {
    std::string medium = medium_of(tiers[index]);
    if (write[index] && !medium.empty()) {
      mounted.push_back({static_cast<catalog::TierIndex>(index), std::move(medium)});
    }
  }
  return {};
}

Status read_records(const pm_repository_t* repository, const TierNames& names,
                    const std::vector<const pm_tier_t*>& tiers,
                    const std::vector<std::string>& trusted, catalog::Catalog& catalog,
                    Recovered& found) {
  PM_TRY(restore_tiers(repository, names, tiers, trusted, catalog, found.mounted));
  PM_TRY(scan_all(repository, kind_payload, [&](const pm_value_t* values, std::uint32_t count) {
    auto record = read_payload(values, count, names);
    if (!record.ok()) return record.status();
    for (const catalog::CopyRecord& copy : record->copies) {
      const auto kept = adopt(tiers[copy.tier], names[copy.tier], *record, copy);
      if (!kept.ok()) return kept.status();
      if (catalog::is_planted(catalog::Mutant::gone_copy_is_believed)) continue;
      if (*kept == Kept::gone) found.gone.push_back({record->id, copy.generation});
      if (*kept == Kept::bad) {
        found.bad.push_back(
            {0, record->id, copy.generation, catalog::CopyChecked::Verdict::bad, {}});
      }
    }
    catalog.restore(*record);
    constexpr std::uint64_t progress_every = 100'000;
    if (++found.payloads % progress_every == 0) {
      log::info("recovery", std::to_string(found.payloads) + " payloads so far");
    }
    return Status{};
  }));
  PM_TRY(scan_all(repository, kind_request, [&](const pm_value_t* values, std::uint32_t count) {
    auto record = read_request(values, count, names);
    if (record.ok()) catalog.restore(*record);
    return Status{};
  }));
  PM_TRY(recover_streams(repository, catalog));
  catalog.end_restore();
  return {};
}

}  // namespace

Result<Recovered> recover(const pm_repository_t* repository, const TierNames& names,
                          const std::vector<const pm_tier_t*>& tiers,
                          const std::vector<std::string>& trusted, catalog::Catalog& catalog) {
  Recovered found;
  const Status status = read_records(repository, names, tiers, trusted, catalog, found);
  if (status.ok()) return found;
  if (status.code() != Code::data_loss) return status;
  return Status(Code::data_loss, status.message() +
                                     "; the repository is damaged: restore it from a copy, or "
                                     "move it away to begin with an empty one");
}

void report_objects(const pm_tier_t* tier, catalog::TierIndex index, Ledger& ledger,
                    const std::atomic<bool>& stop) {
  const auto* extension =
      static_cast<const pm_tier_enumerate_t*>(tier->get_extension(tier, PM_TIER_ENUMERATE));
  if (extension == nullptr) return;
  struct Visit {
    catalog::TierIndex index;
    Ledger& ledger;
    const std::atomic<bool>& stop;
  } visit{index, ledger, stop};
  pm_call_context_t context{};
  context.size = sizeof context;
  const pm_status_t code = extension->enumerate(
      tier, &context,
      [](void* data, const pm_tier_object_t* object) {
        auto& visit = *static_cast<Visit*>(data);
        catalog::Found found;
        found.object.tier = visit.index;
        std::memcpy(found.object.payload.bytes.data(), object->object.payload,
                    found.object.payload.bytes.size());
        found.object.generation = object->object.generation;
        found.object.length = object->length;
        found.object.cookie.length = object->cookie.length;
        std::memcpy(found.object.cookie.bytes.data(), object->cookie.bytes, object->cookie.length);
        visit.ledger.submit(found);
        return !visit.stop.load();
      },
      &visit);
  if (const Status status = take_error(code); !status.ok()) {
    log::warn("recovery", "a tier could not list what it holds: " + status.message());
  }
}

}  // namespace pm::ledger
