#include "mover.h"

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <optional>
#include <pm/cpp/failpoint.hpp>
#include <string>
#include <type_traits>
#include <utility>

#include "core/catalog/mutant.h"
#include "core/observe/log.h"
#include "seal_job.h"
#include "tier_call.h"

namespace pm::mover {

namespace {

constexpr std::uint32_t moves_max = 2;   // At a time, to one tier.
constexpr std::uint32_t checks_max = 1;  // Checksums of what is committed: the same, on one tier.

// Giving back the pages of a large object keeps the kernel busy for long: 47 ms for 1 GiB of shared
// memory were measured.
constexpr std::uint64_t large_bytes = 8 << 20;

struct AllocateAnswer {
  catalog::Outcome outcome;
  catalog::Cookie cookie;
};

AllocateAnswer allocate_copy(TierObject& object, const catalog::Object& wanted,
                             catalog::Layout layout, std::uint32_t owner_uid, std::uint32_t flags,
                             Job* job) {
  if (layout == catalog::Layout::slab) flags |= PM_ALLOCATE_SLAB;
  if (layout == catalog::Layout::sealed) flags |= PM_ALLOCATE_SEALED;
  const Status status = allocate_on(object, wanted.length, flags, owner_uid, job);
  AllocateAnswer answer;
  answer.outcome = outcome_of(status);
  if (!status.ok()) return answer;
  answer.cookie.length = object.cookie.length;
  std::memcpy(answer.cookie.bytes.data(), object.cookie.bytes, object.cookie.length);
  if (job != nullptr) job->note_made(answer.cookie);
  return answer;
}

// What is to be said of an effect whose call was given up, and which objects it has in hand.

catalog::Command given_up(const catalog::AllocateEffect& effect, const catalog::Outcome& outcome) {
  const bool remains = !catalog::is_planted(catalog::Mutant::given_up_allocation_is_forgotten);
  return catalog::Allocated{effect.operation, outcome, {}, remains};
}
catalog::Command given_up(const catalog::SealEffect& effect, const catalog::Outcome& outcome) {
  return catalog::Sealed{effect.operation, outcome};
}
catalog::Command given_up(const catalog::MoveEffect& effect, const catalog::Outcome& outcome) {
  catalog::Moved report;
  report.operation = effect.operation;
  report.outcome = outcome;
  report.target_remains = true;
  return report;
}
catalog::Command given_up(const catalog::RemoveEffect& effect, const catalog::Outcome& outcome) {
  return catalog::Removed{effect.object.generation, outcome};
}

template <typename Effect>
Jobs::Plan plan_of(const Effect& effect) {
  Jobs::Plan plan;
  plan.objects = {effect.object.generation};
  if (std::is_same_v<Effect, catalog::AllocateEffect>) plan.target = effect.object.generation;
  return plan;
}
Jobs::Plan plan_of(const catalog::MoveEffect& effect) {
  Jobs::Plan plan;
  plan.objects = {effect.source.generation, effect.target.generation};
  plan.target = effect.target.generation;
  return plan;
}

}  // namespace

Mover::Mover(const std::vector<MoverTier>& tiers,
             std::function<void(const catalog::Command&)> report, const MoverOptions& options)
    : options_(options), jobs_(options.now_ns, options.has_watch), report_(std::move(report)) {
  const MakeWorkers& make_workers = options.make_workers;
  for (const MoverTier& setup : tiers) {
    pm_tier_info_t info{};
    info.size = sizeof info;
    setup.tier->get_info(setup.tier, &info);
    Tier& tier = tiers_.emplace_back();
    tier.health = std::make_unique<TierHealth>(
        setup.health, options.now_ns,
        [this, &tier](const TierHealth::Change& change) { change_health(tier, change); });
    tier.writes = std::make_unique<WriteRate>(options.now_ns);
    tier.link = {setup.tier, setup.name, tier.health.get(), tier.writes.get()};
    tier.index = static_cast<catalog::TierIndex>(tiers_.size() - 1);
    tier.inline_bytes_max = info.inline_bytes_max;
    tier.workers = make_workers(setup.workers, Priority::normal);
    tier.checkers = make_workers(checks_max, Priority::normal);
    tier.movers = make_workers(moves_max, Priority::normal);
    tier.copiers = std::make_unique<Background>(make_workers(moves_max, Priority::idle));
    tier.removers = make_workers(1, Priority::low);
  }
  if (options.has_watch) watch_ = std::thread([this] { watch(); });
}

Mover::~Mover() { stop(); }

void Mover::measure_writes(bool on) {
  for (Tier& tier : tiers_) tier.writes->use(on);
}

void Mover::stop() {
  stopping_.store(true);
  jobs_.hurry();
  // Each hands jobs to those below it.
  for (Tier& tier : tiers_) tier.movers->stop();
  for (Tier& tier : tiers_) tier.copiers->pool->stop();
  for (Tier& tier : tiers_) tier.removers->stop();
  for (Tier& tier : tiers_) tier.checkers->stop();
  for (Tier& tier : tiers_) tier.workers->stop();
  {
    const std::lock_guard lock(watch_mutex_);
    watch_stops_ = true;
  }
  watch_changed_.notify_one();
  if (watch_.joinable()) watch_.join();
}

bool Mover::is_inline(const catalog::Object& object) const {
  return object.length <= tiers_[object.tier].inline_bytes_max;
}

TierObject Mover::tier_object(const catalog::Object& object) const {
  const TierLink& link = tiers_[object.tier].link;
  TierObject result = mover::tier_object(link.tier, object);
  result.link = &link;
  return result;
}

template <typename Effect>
void Mover::add_job(Workers& pool, const Effect& effect,
                    void (Mover::*method)(const Effect&, Job*)) {
  pool.add([this, &pool, effect, method] {
    Jobs::Plan plan = plan_of(effect);
    plan.pool = &pool;
    plan.on_abandoned = [this, effect](const catalog::Outcome& outcome) {
      report_(given_up(effect, outcome));
    };
    const std::shared_ptr<Job> job = jobs_.begin(std::move(plan));
    (this->*method)(effect, job.get());
  });
}

void Mover::run(catalog::Effect effect) {
  if (const auto* allocation = std::get_if<catalog::AllocateEffect>(&effect)) {
    if (is_inline(allocation->object)) return allocate(*allocation, nullptr);
    add_job(*tiers_[allocation->object.tier].workers, *allocation, &Mover::allocate);
  } else if (const auto* sealing = std::get_if<catalog::SealEffect>(&effect)) {
    Tier& tier = tiers_[sealing->object.tier];
    const bool checked = sealing->checksum.checksum.kind != catalog::ChecksumKind::none;
    const bool reads = checked || sealing->uploaded;
    // A writer that is not trusted can make the kernel wait for it (PM_ALLOCATE_SEALED).
    const bool may_block = sealing->layout == catalog::Layout::sealed;
    if (!reads && !may_block && is_inline(sealing->object)) return seal(*sealing, nullptr);
    add_job(reads ? *tier.checkers : *tier.workers, *sealing, &Mover::seal);
  } else if (const auto* moving = std::get_if<catalog::MoveEffect>(&effect)) {
    add_job(*tiers_[moving->target.tier].movers, *moving, &Mover::move);
  } else if (const auto* removal = std::get_if<catalog::RemoveEffect>(&effect)) {
    start_removal(*removal);
  }
}

// Why nothing is put on the tier now.
Status Mover::service_of(const Tier& tier) const {
  if (!tier.health->is_degraded()) return {};
  return {Code::unavailable, "the tier " + tier.link.name + " is out of service"};
}

// The job has done what it could. True: it reports.
bool Mover::end(Job& job, pm_status_t seal_code, catalog::TierIndex tier) {
  std::vector<catalog::RemoveEffect> removals;
  const bool reports = jobs_.end(job, removals);
  // Nobody hears of this seal any more, but it tells of all that the tier was given.
  if (!reports && seal_code == PM_DATA_LOSS) {
    catalog::TierHealth failure;
    failure.tier = tier;
    failure.sync_failed = true;
    report_(failure);
  }
  for (const catalog::RemoveEffect& removal : removals) start_removal(removal);
  return reports;
}

// What is done on the caller's thread cannot wait: workers do it again.
bool Mover::may_repeat_later(const catalog::Object& object, const catalog::Outcome& outcome,
                             Job* job) {
  const TierHealth& health = *tiers_[object.tier].health;
  return job == nullptr && is_transient(static_cast<Code>(outcome.code)) && !health.is_degraded() &&
         tiers_[object.tier].health->may_repeat();
}

void Mover::allocate(const catalog::AllocateEffect& effect, Job* job) {
  PM_FAILPOINT("mover.before_allocate");
  Tier& tier = tiers_[effect.object.tier];
  AllocateAnswer answer;
  answer.outcome = outcome_of(service_of(tier));
  if (answer.outcome.ok()) {
    TierObject object = tier_object(effect.object);
    answer = allocate_copy(object, effect.object, effect.layout, effect.owner_uid, 0, job);
    PM_FAILPOINT("mover.after_allocate");
  }
  if (may_repeat_later(effect.object, answer.outcome, job)) {
    return add_job(*tier.workers, effect, &Mover::allocate);
  }
  if (job != nullptr && !end(*job, PM_OK, tier.index)) return;
  report_(catalog::Allocated{effect.operation, std::move(answer.outcome), answer.cookie});
}

void Mover::seal(const catalog::SealEffect& effect, Job* job) {
  Tier& tier = tiers_[effect.object.tier];
  Status obstacle = service_of(tier);
  if (obstacle.ok() && jobs_.is_held(effect.object.generation)) {
    obstacle = {Code::unavailable, "an earlier call about the object still hangs"};
  }
  catalog::Sealed report;
  report.operation = effect.operation;
  report.outcome = outcome_of(obstacle);
  if (obstacle.ok()) {
    report = seal_object(tier_object(effect.object), effect, stopping_, job);
  }
  if (may_repeat_later(effect.object, report.outcome, job)) {
    return add_job(*tier.workers, effect, &Mover::seal);
  }
  if (report.outcome.ok() && !report.checksum_differs) tier.writes->note(effect.length);
  if (job != nullptr && !end(*job, report.outcome.code, tier.index)) return;
  report_(report);
}

namespace {

// What comes of a read: the reader may be gone before it comes, and the worker may never come.
class Reading {
 public:
  void give(Result<Mover::Part> part) {
    const std::lock_guard lock(mutex_);
    part_ = std::move(part);
    given_.notify_one();
  }
  Result<Mover::Part> take(const std::atomic<bool>& stopping) {
    constexpr std::chrono::milliseconds look_every{50};
    std::unique_lock lock(mutex_);
    while (!part_) {
      if (stopping.load()) return Status(Code::cancelled, "the host is stopping");
      given_.wait_for(lock, look_every);
    }
    return std::move(*part_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable given_;
  std::optional<Result<Mover::Part>> part_;
};

Result<Mover::Part> read_part(const TierObject& object, std::uint64_t offset, std::uint64_t length,
                              Job* job) {
  Mover::Part part{make_buffer(length), 0};
  if (part.buffer == nullptr) return Status(Code::resource_exhausted, "no memory to read a copy");
  const auto count = read_on(object, offset, part.buffer.get(), length, job);
  if (!count.ok()) return count.status();
  part.count = *count;
  return part;
}

}  // namespace

Result<Mover::Part> Mover::read(const catalog::Object& object, std::uint64_t offset,
                                std::uint64_t length) {
  Tier& tier = tiers_[object.tier];
  PM_TRY(service_of(tier));
  const auto reading = std::make_shared<Reading>();
  tier.checkers->add([this, &tier, object, offset, length, reading] {
    Jobs::Plan plan;
    plan.pool = tier.checkers.get();
    plan.objects = {object.generation};
    plan.on_abandoned = [reading](const catalog::Outcome& outcome) {
      reading->give(Status(static_cast<Code>(outcome.code), outcome.message));
    };
    const std::shared_ptr<Job> job = jobs_.begin(std::move(plan));
    auto part = read_part(tier_object(object), offset, length, job.get());
    if (end(*job, PM_OK, tier.index)) reading->give(std::move(part));
  });
  return reading->take(stopping_);
}

// Not at once even where it takes no time: nobody waits for it.
void Mover::start_removal(const catalog::RemoveEffect& effect) {
  catalog::RemoveEffect removal = effect;
  if (jobs_.hold(removal) || park(removal)) return;
  Tier& tier = tiers_[removal.object.tier];
  const bool is_large = removal.object.length >= large_bytes && !stopping_.load();
  add_job(is_large ? *tier.removers : *tier.workers, removal, &Mover::remove);
}

// True: it waits until the tier works again.
bool Mover::park(const catalog::RemoveEffect& removal) {
  Tier& tier = tiers_[removal.object.tier];
  if (!tier.health->is_degraded()) return false;
  const std::lock_guard lock(tier.mutex);
  if (!tier.health->is_degraded()) return false;
  tier.parked.push_back(removal);
  return true;
}

void Mover::remove(const catalog::RemoveEffect& effect, Job* job) {
  Tier& tier = tiers_[effect.object.tier];
  if (park(effect)) {
    end(*job, PM_OK, tier.index);
    return;
  }
  PM_FAILPOINT("mover.before_remove");
  const Status status = remove_on(tier_object(effect.object), effect.object.length, job);
  if (!end(*job, PM_OK, tier.index)) return;
  if (status.ok() || status.code() == Code::not_found) {
    jobs_.note_removed(effect.object.generation);
  }
  if (effect.object.length < large_bytes) return report_removed(effect, outcome_of(status));
  tier.workers->add([this, effect, status] { report_removed(effect, outcome_of(status)); });
}

void Mover::report_removed(const catalog::RemoveEffect& effect, const catalog::Outcome& outcome) {
  PM_FAILPOINT("mover.after_remove");
  report_(catalog::Removed{effect.object.generation, outcome});
}

// A source that seems bad is read once more: one bad read must not cost a payload its last copy.
CopyResult Mover::copy(const TierObject& source, const TierObject& target,
                       const catalog::MoveEffect& effect, Job* job) {
  Background& background = *tiers_[effect.target.tier].copiers;
  CopyResult copied =
      copy_bytes(source, target, effect.source.length, effect.checksum, background, stopping_, job);
  if (!copied.source_is_bad || job->is_abandoned()) return copied;
  log::warn("mover", "a copy reads badly and is read again: " + copied.status.message());
  return copy_bytes(source, target, effect.source.length, effect.checksum, background, stopping_,
                    job);
}

// Allocate, copy, seal. When that fails, what there is of the target is removed at once, or later
// if that fails, too.
void Mover::move(const catalog::MoveEffect& effect, Job* job) {
  PM_FAILPOINT("mover.before_move");
  Tier& below = tiers_[effect.target.tier];
  catalog::Moved report;
  report.operation = effect.operation;
  const TierObject source = tier_object(effect.source);
  TierObject target = tier_object(effect.target);
  Status status = service_of(below);
  if (!source.link->health->may_call()) {
    status = {Code::unavailable, "the tier " + source.link->name + " hangs"};
  }
  AllocateAnswer allocated;
  allocated.outcome = outcome_of(status);
  if (status.ok()) {
    allocated = allocate_copy(target, effect.target, effect.layout, effect.owner_uid,
                              PM_ALLOCATE_HOST_WRITES, job);
  }
  report.outcome = std::move(allocated.outcome);
  report.cookie = allocated.cookie;
  if (!report.outcome.ok()) {
    if (end(*job, PM_OK, below.index)) report_(report);
    return;
  }
  PM_FAILPOINT("mover.after_reserve");
  const CopyResult copied = copy(source, target, effect, job);
  PM_FAILPOINT("mover.after_copy");
  const bool is_copied =
      copied.status.ok() || catalog::is_planted(catalog::Mutant::failed_copy_is_reported_good);
  pm_status_t sealed = PM_OK;
  if (!is_copied) {
    report.outcome = outcome_of(copied.status);
    report.source_is_bad = copied.source_is_bad;
  } else {
    report.checksum = copied.checksum;
    PM_FAILPOINT("mover.before_seal");
    if (!catalog::is_planted(catalog::Mutant::moved_copy_is_not_sealed)) {
      report.outcome = outcome_of(seal_on(target, effect.target.length, job));
      sealed = report.outcome.code;
    }
    PM_FAILPOINT("mover.after_seal");
  }
  if (!report.outcome.ok()) {
    const Status removed = remove_on(target, effect.target.length, job);
    report.target_remains = !removed.ok() && removed.code() != Code::not_found &&
                            !catalog::is_planted(catalog::Mutant::half_made_copy_is_forgotten);
  }
  if (!end(*job, sealed, below.index)) return;
  const bool is_told =
      report.outcome.ok() || !catalog::is_planted(catalog::Mutant::failed_move_is_not_reported);
  if (!is_told) return;
  PM_FAILPOINT("mover.after_move");
  report_(report);
}

}  // namespace pm::mover
