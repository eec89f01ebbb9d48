#include "local_engine.h"

#include <pm/ext/draft/tier_share.h>

#include <array>
#include <cstring>

#include "core/mover/tier_io.h"
#include "core/plugin/host_services.h"
#include "payload/manager/catalog/v1/catalog.pb.h"
#include "reasons.h"

namespace pm::api {

namespace wire = payload::manager::catalog::v1;

namespace {

// Where a copy is, with room for the name of a slab.
struct Place {
  std::array<char, 256> text{};
  pm_location_t location{};
};
Status locate(const mover::TierObject& object, std::uint64_t length, Place& place) {
  place.location.size = sizeof place.location;
  place.location.text = place.text.data();
  place.location.text_capacity = static_cast<std::uint32_t>(place.text.size());
  const pm_tier_t* tier = object.tier;
  return take_error(tier->locate(tier, &object.id, &object.cookie, length, &place.location));
}

const pm_tier_share_t* share_of(const pm_tier_t* tier) {
  return static_cast<const pm_tier_share_t*>(tier->get_extension(tier, PM_TIER_SHARE));
}

Status refused(catalog::Reason reason) {
  const ReasonText& text = text_of(reason);
  return {text.code, text.message, text.name};
}

Status not_trusted() {
  return {Code::permission_denied,
          "this user is not trusted with memory that is shared by several payloads: the host's "
          "frontend names those who are (trusted_uids)"};
}

}  // namespace

std::optional<catalog::Layout> layout_for(const pm_call_info_t& info, int wanted) {
  const bool is_local = info.session != 0;
  switch (wanted) {
    case wire::MEMORY_LAYOUT_SEALED:
      return is_local ? std::optional(catalog::Layout::sealed) : std::nullopt;
    case wire::MEMORY_LAYOUT_SLAB: {
      // A segment and not a sealed object: like the block that was asked for it can be reached by
      // its name, over gRPC, and by the next life of the host.
      const bool is_trusted = info.principal != nullptr && info.principal->is_trusted != 0;
      return !is_local || is_trusted ? catalog::Layout::slab : catalog::Layout::segment;
    }
    default: return catalog::Layout::segment;
  }
}

LocalEngine::LocalEngine(ledger::Ledger& ledger, const TierTable& tiers,
                         directory::Directory& directory)
    : ledger_(ledger),
      tiers_(tiers),
      directory_(directory),
      writers_([this](std::uint64_t session, bool lives) {
        ledger_.submit(catalog::EndSession{session, lives});
      }) {
  face_.self = this;
  face_.local.open_handle = [](const pm_engine_t* engine, std::uint64_t session, std::uint32_t what,
                               const std::uint8_t* id, std::uint32_t number,
                               int* descriptor) noexcept {
    const Status status = self(engine).open_handle(session, what, id, number, *descriptor);
    return static_cast<pm_status_t>(status.code());
  };
  face_.local.attach = [](const pm_engine_t* engine, std::uint64_t session, int* directory,
                          int* page) noexcept {
    return static_cast<pm_status_t>(self(engine).attach(session, *directory, *page).code());
  };
  face_.local.released = [](const pm_engine_t* engine, std::uint64_t) noexcept {
    self(engine).directory_.released();
  };
}

// The extension's functions are given the engine, whose extension names this object.
LocalEngine& LocalEngine::self(const pm_engine_t* engine) {
  const void* face = engine->get_extension(engine, PM_ENGINE_LOCAL);
  return *reinterpret_cast<const Face*>(face)->self;
}

// ---- sessions ----

std::uint64_t LocalEngine::open_session(const pm_principal_t* principal) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t session = ++sessions_opened_;
  if (principal != nullptr) {
    sessions_[session] = {principal->is_trusted != 0, principal->pid};
  } else {
    sessions_[session] = {};
  }
  return session;
}

void LocalEngine::close_session(std::uint64_t session) {
  pid_t pid = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(session);
    if (found == sessions_.end()) return;
    pid = found->second.pid;
    sessions_.erase(found);
  }
  directory_.detach(session);
  const bool writes = ledger_.read([&](const catalog::Catalog& catalog, const catalog::Clocks&) {
    return catalog.has_allocations(session);
  });
  if (writes) return writers_.look(session, pid);
  ledger_.submit(catalog::EndSession{session});
}

bool LocalEngine::is_trusted(std::uint64_t session) const {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(session);
  return found != sessions_.end() && found->second.is_trusted;
}

// ---- descriptors ----

Status LocalEngine::attach(std::uint64_t session, int& directory, int& page) {
  if (!is_trusted(session)) return not_trusted();
  auto attached = directory_.attach(session);
  if (!attached) return attached.status();
  directory = attached->directory;
  page = attached->page;
  return {};
}

Status LocalEngine::open_handle(std::uint64_t session, std::uint32_t what, const std::uint8_t* id,
                                std::uint32_t number, int& descriptor) {
  if (what == PM_HANDLE_SLAB) {
    if (!is_trusted(session)) return not_trusted();
    return open_slab(number, descriptor);
  }
  if (what != PM_HANDLE_LEASED && what != PM_HANDLE_ALLOCATED) {
    return {Code::invalid_argument, "there is no such thing to open: " + std::to_string(what)};
  }
  catalog::Id wanted;
  std::memcpy(wanted.bytes.data(), id, wanted.bytes.size());
  catalog::Object object;
  const bool is_writer = what == PM_HANDLE_ALLOCATED;
  const catalog::Reason why =
      ledger_.read([&](const catalog::Catalog& catalog, const catalog::Clocks&) {
        return is_writer ? catalog.find_allocated(session, wanted, object)
                         : catalog.find_leased(session, wanted, object);
      });
  if (why != catalog::Reason::none) return refused(why);
  return open_object(object, is_writer, is_trusted(session), descriptor);
}

Status LocalEngine::open_object(const catalog::Object& object, bool writable, bool is_trusted,
                                int& descriptor) const {
  const pm_tier_t* tier = tiers_.all()[object.tier].tier;
  const pm_tier_share_t* share = share_of(tier);
  if (share == nullptr) {
    return {Code::unimplemented,
            "tier '" + tiers_.name(object.tier) + "' has no descriptors to share"};
  }
  const mover::TierObject asked = mover::tier_object(tier, object);
  const Status status = take_error(
      share->open_object(tier, &asked.id, &asked.cookie, object.length, writable, &descriptor));
  if (status.code() != Code::failed_precondition) return status;
  // It lies in a slab.
  if (!is_trusted) return not_trusted();
  Place place;
  PM_TRY(locate(asked, object.length, place));
  return take_error(share->open_slab(tier, place.location.slab, writable, &descriptor));
}

Status LocalEngine::open_slab(std::uint32_t place, int& descriptor) {
  const auto name = directory_.slab_name(place);
  Slab slab;
  if (name) {
    const std::lock_guard lock(mutex_);
    const auto found = slabs_.find(*name);
    if (found != slabs_.end()) slab = found->second;
  }
  if (slab.tier == catalog::no_tier) {
    return {Code::not_found, "the directory names no slab " + std::to_string(place)};
  }
  const pm_tier_t* tier = tiers_.all()[slab.tier].tier;
  const pm_tier_share_t* share = share_of(tier);
  if (share == nullptr) {
    return {Code::unimplemented,
            "tier '" + tiers_.name(slab.tier) + "' has no descriptors to share"};
  }
  return take_error(share->open_slab(tier, slab.number, true, &descriptor));
}

// ---- the directory ----

void LocalEngine::publish(const catalog::PublishEffect& effect) {
  const catalog::Object& object = effect.object;
  const pm_tier_t* tier = tiers_.all()[object.tier].tier;
  Place place;
  const Status status = locate(mover::tier_object(tier, object), object.length, place);
  const pm_location_t& location = place.location;
  if (!status.ok() || location.kind != PM_LOCATION_SHM || location.slab == 0) return;
  place.text.back() = '\0';
  catalog::Publish command;
  command.place.payload = object.payload;
  command.place.generation = object.generation;
  command.place.length = object.length;
  command.place.tier = static_cast<std::uint32_t>(tiers_.number(object.tier));
  command.place.slab = place.text.data();
  command.place.slab_number = location.slab;
  command.place.mapping_bytes = location.mapping_bytes;
  command.place.offset_bytes = location.offset_bytes;
  {
    const std::lock_guard lock(mutex_);
    slabs_.emplace(command.place.slab, Slab{object.tier, location.slab});
  }
  ledger_.submit(command);
}

}  // namespace pm::api
