#include "mover.h"

#include <cstring>
#include <pm/cpp/failpoint.hpp>
#include <string>
#include <utility>

#include "core/catalog/mutant.h"
#include "core/observe/log.h"
#include "core/plugin/host_services.h"
#include "seal_job.h"

namespace pm::mover {

namespace {

constexpr std::uint32_t moves_max = 2;   // At a time, to one tier.
constexpr std::uint32_t checks_max = 1;  // Checksums of what is committed: the same, on one tier.

// Giving back the pages of a large object keeps the kernel busy for long: 47 ms for 1 GiB of shared
// memory were measured.
constexpr std::uint64_t large_bytes = 8 << 20;

pm_call_context_t no_deadline() {
  pm_call_context_t context{};
  context.size = sizeof context;
  return context;
}

catalog::Outcome outcome_of(pm_status_t code) {
  const Status status = take_error(code);
  return {static_cast<std::int32_t>(status.code()), status.message()};
}

struct AllocateAnswer {
  catalog::Outcome outcome;
  catalog::Cookie cookie;
};

AllocateAnswer allocate_on(TierObject& object, const catalog::Object& wanted,
                           catalog::Layout layout, std::uint32_t owner_uid, std::uint32_t flags) {
  const pm_call_context_t context = no_deadline();
  pm_allocate_options_t options{};
  options.size = sizeof options;
  options.flags = flags | (layout == catalog::Layout::slab ? std::uint32_t{PM_ALLOCATE_SLAB} : 0u);
  options.owner_uid = owner_uid;
  pm_allocation_t allocation{};
  allocation.size = sizeof allocation;
  const pm_status_t code = object.tier->allocate(object.tier, &context, &object.id, wanted.length,
                                                 &options, &allocation);
  AllocateAnswer answer;
  answer.outcome = outcome_of(code);
  if (code != PM_OK) return answer;
  object.cookie = allocation.cookie;
  answer.cookie.length = allocation.cookie.length;
  std::memcpy(answer.cookie.bytes.data(), allocation.cookie.bytes, allocation.cookie.length);
  return answer;
}

}  // namespace

Mover::Mover(const std::vector<MoverTier>& tiers,
             std::function<void(const catalog::Command&)> report, const MakeWorkers& make_workers)
    : report_(std::move(report)) {
  for (const MoverTier& setup : tiers) {
    pm_tier_info_t info{};
    info.size = sizeof info;
    setup.tier->get_info(setup.tier, &info);
    tiers_.push_back(
        {setup.tier, info.inline_bytes_max, make_workers(setup.workers, Priority::normal),
         make_workers(checks_max, Priority::normal), make_workers(moves_max, Priority::normal),
         std::make_unique<Background>(make_workers(moves_max, Priority::idle)),
         make_workers(1, Priority::low)});
  }
}

Mover::~Mover() { stop(); }

void Mover::stop() {
  stopping_.store(true);
  // Each hands jobs to those below it.
  for (Tier& tier : tiers_) tier.movers->stop();
  for (Tier& tier : tiers_) tier.copiers->pool->stop();
  for (Tier& tier : tiers_) tier.removers->stop();
  for (Tier& tier : tiers_) tier.checkers->stop();
  for (Tier& tier : tiers_) tier.workers->stop();
}

bool Mover::is_inline(const catalog::Object& object) const {
  return object.length <= tiers_[object.tier].inline_bytes_max;
}

void Mover::run(catalog::Effect effect) {
  if (const auto* allocation = std::get_if<catalog::AllocateEffect>(&effect)) {
    if (is_inline(allocation->object)) return allocate(*allocation);
    tiers_[allocation->object.tier].workers->add(
        [this, effect = *allocation] { allocate(effect); });
  } else if (const auto* sealing = std::get_if<catalog::SealEffect>(&effect)) {
    Tier& tier = tiers_[sealing->object.tier];
    const bool checked = sealing->checksum.checksum.kind != catalog::ChecksumKind::none;
    const bool reads = checked || sealing->uploaded;
    if (!reads && is_inline(sealing->object)) return seal(*sealing);
    (reads ? tier.checkers : tier.workers)->add([this, effect = *sealing] { seal(effect); });
  } else if (const auto* moving = std::get_if<catalog::MoveEffect>(&effect)) {
    tiers_[moving->target.tier].movers->add([this, effect = *moving] { move(effect); });
  } else if (const auto* removal = std::get_if<catalog::RemoveEffect>(&effect)) {
    remove(*removal);
  }
}

void Mover::allocate(const catalog::AllocateEffect& effect) {
  PM_FAILPOINT("mover.before_allocate");
  TierObject object = tier_object(tiers_[effect.object.tier].tier, effect.object);
  AllocateAnswer answer = allocate_on(object, effect.object, effect.layout, effect.owner_uid, 0);
  PM_FAILPOINT("mover.after_allocate");
  report_(catalog::Allocated{effect.operation, std::move(answer.outcome), answer.cookie});
}

void Mover::seal(const catalog::SealEffect& effect) {
  const TierObject object = tier_object(tiers_[effect.object.tier].tier, effect.object);
  report_(seal_object(object, effect, stopping_));
}

// Not at once even where it takes no time: nobody waits for it.
void Mover::remove(const catalog::RemoveEffect& effect) {
  Tier& tier = tiers_[effect.object.tier];
  if (effect.object.length < large_bytes || stopping_.load()) {
    tier.workers->add([this, effect] { report_removed(effect, remove_copy(effect)); });
    return;
  }
  tier.removers->add([this, effect, &tier] {
    tier.workers->add(
        [this, effect, outcome = remove_copy(effect)] { report_removed(effect, outcome); });
  });
}

catalog::Outcome Mover::remove_copy(const catalog::RemoveEffect& effect) const {
  PM_FAILPOINT("mover.before_remove");
  const TierObject object = tier_object(tiers_[effect.object.tier].tier, effect.object);
  const pm_call_context_t context = no_deadline();
  return outcome_of(
      object.tier->remove(object.tier, &context, &object.id, &object.cookie, effect.object.length));
}

void Mover::report_removed(const catalog::RemoveEffect& effect, const catalog::Outcome& outcome) {
  PM_FAILPOINT("mover.after_remove");
  report_(catalog::Removed{effect.object.generation, outcome});
}

// A source that seems bad is read once more: one bad read must not cost a payload its last copy.
CopyResult Mover::copy(const TierObject& source, const TierObject& target,
                       const catalog::MoveEffect& effect) {
  Background& background = *tiers_[effect.target.tier].copiers;
  CopyResult copied =
      copy_bytes(source, target, effect.source.length, effect.checksum, background, stopping_);
  if (!copied.source_is_bad) return copied;
  log::warn("mover", "a copy reads badly and is read again: " + copied.status.message());
  return copy_bytes(source, target, effect.source.length, effect.checksum, background, stopping_);
}

// Allocate, copy, seal. When that fails, what there is of the target is removed at once, or later
// if that fails, too.
void Mover::move(const catalog::MoveEffect& effect) {
  PM_FAILPOINT("mover.before_move");
  catalog::Moved report;
  report.operation = effect.operation;
  const TierObject source = tier_object(tiers_[effect.source.tier].tier, effect.source);
  TierObject target = tier_object(tiers_[effect.target.tier].tier, effect.target);
  AllocateAnswer allocated =
      allocate_on(target, effect.target, effect.layout, effect.owner_uid, PM_ALLOCATE_HOST_WRITES);
  report.outcome = std::move(allocated.outcome);
  report.cookie = allocated.cookie;
  if (!report.outcome.ok()) return report_(report);
  PM_FAILPOINT("mover.after_reserve");
  const CopyResult copied = copy(source, target, effect);
  PM_FAILPOINT("mover.after_copy");
  const pm_call_context_t context = no_deadline();
  const bool is_copied =
      copied.status.ok() || catalog::is_planted(catalog::Mutant::failed_copy_is_reported_good);
  if (!is_copied) {
    report.outcome = {static_cast<std::int32_t>(copied.status.code()), copied.status.message()};
    report.source_is_bad = copied.source_is_bad;
  } else {
    report.checksum = copied.checksum;
    PM_FAILPOINT("mover.before_seal");
    if (!catalog::is_planted(catalog::Mutant::moved_copy_is_not_sealed)) {
      report.outcome = outcome_of(target.tier->seal(target.tier, &context, &target.id,
                                                    &target.cookie, effect.target.length));
    }
    PM_FAILPOINT("mover.after_seal");
  }
  if (!report.outcome.ok()) {
    const Status removed = take_error(target.tier->remove(target.tier, &context, &target.id,
                                                          &target.cookie, effect.target.length));
    report.target_remains = !removed.ok() && removed.code() != Code::not_found &&
                            !catalog::is_planted(catalog::Mutant::half_made_copy_is_forgotten);
  }
  const bool is_told =
      report.outcome.ok() || !catalog::is_planted(catalog::Mutant::failed_move_is_not_reported);
  if (!is_told) return;
  PM_FAILPOINT("mover.after_move");
  report_(report);
}

}  // namespace pm::mover
