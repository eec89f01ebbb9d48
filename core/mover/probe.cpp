#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "core/observe/log.h"
#include "mover.h"
#include "tier_call.h"

// Tiers that are out of service: when they are tried out, and what follows when they work again.

namespace pm::mover {

const std::array<std::uint8_t, 16> probe_payload = {0x70, 0x72, 0x6f, 0x62, 0x65, 0x00, 0x40, 0x00,
                                                    0x80, 0x00, 0x70, 0x72, 0x6f, 0x62, 0x65, 0x00};

namespace {

constexpr std::uint64_t probe_bytes = 4096;
using ProbeBytes = std::array<unsigned char, probe_bytes>;

ProbeBytes bytes_of(std::uint64_t generation) {
  ProbeBytes bytes;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    bytes[at] = static_cast<unsigned char>(generation + at * 131);
  }
  return bytes;
}

Status remove_probe(const TierObject& object, Job& job) {
  Status status = remove_on(object, probe_bytes, &job);
  return status.code() == Code::not_found ? Status() : status;
}

// Puts in what is read back.
Status use_probe(const TierObject& object, Job& job, bool& sync_failed) {
  const ProbeBytes written = bytes_of(object.id.generation);
  PM_TRY(call_tier(&job, object.link, probe_bytes, Repeat::never,
                   [&](const pm_call_context_t* context) {
                     return object.tier->write(object.tier, context, &object.id, &object.cookie, 0,
                                               written.data(), written.size());
                   }));
  const Status sealed = seal_on(object, probe_bytes, &job);
  sync_failed = sealed.code() == Code::data_loss;
  PM_TRY(sealed);
  ProbeBytes read{};
  const auto count = read_on(object, 0, read.data(), read.size(), &job);
  PM_TRY(count.status());
  if (*count == read.size() && read == written) return {};
  return {Code::internal, "what was written is not what is read"};
}

}  // namespace

// Removes what earlier tries have left; what cannot be removed now stays for the next time.
Status Mover::remove_left(Tier& tier, Job& job) {
  std::vector<TierObject> left;
  {
    const std::lock_guard lock(tier.mutex);
    left.swap(tier.probes);
  }
  Status status;
  std::size_t removed = 0;
  while (status.ok() && removed < left.size()) {
    status = remove_probe(left[removed], job);
    if (status.ok()) ++removed;
  }
  const std::lock_guard lock(tier.mutex);
  tier.probes.insert(tier.probes.end(), left.begin() + static_cast<std::ptrdiff_t>(removed),
                     left.end());
  return status;
}

// A try that hung has left it, and came back when the tier worked again.
void Mover::clean_up(Tier& tier) {
  Jobs::Plan plan;
  plan.pool = tier.workers.get();
  plan.on_abandoned = [](const catalog::Outcome&) {};
  const std::shared_ptr<Job> job = jobs_.begin(std::move(plan));
  static_cast<void>(remove_left(tier, *job));
  end(*job, PM_OK, tier.index);
}

// Allocates, writes, seals, reads and removes a small object, after those that earlier tries have
// left. What is left in the end, the next start removes as an orphan.
void Mover::probe(Tier& tier) {
  Jobs::Plan plan;
  plan.pool = tier.workers.get();
  plan.on_abandoned = [&tier](const catalog::Outcome& outcome) {
    tier.health->note_probe({Code::unavailable, outcome.message});
  };
  const std::shared_ptr<Job> job = jobs_.begin(std::move(plan));
  Status status = remove_left(tier, *job);
  bool sync_failed = false;
  if (status.ok()) {
    TierObject object;
    object.tier = tier.link.tier;
    object.link = &tier.link;
    std::copy(probe_payload.begin(), probe_payload.end(), object.id.payload);
    object.id.generation = options_.probe_generation + probes_++;
    status = allocate_on(object, probe_bytes, PM_ALLOCATE_HOST_WRITES, 0, job.get());
    if (status.code() == Code::resource_exhausted) {
      status = {};  // A tier that is full answers, and takes again when it has room.
    } else if (status.ok()) {
      status = use_probe(object, *job, sync_failed);
      if (const Status gone = remove_probe(object, *job); !gone.ok()) {
        const std::lock_guard lock(tier.mutex);
        tier.probes.push_back(object);
        if (status.ok()) status = gone;
      }
    }
  }
  if (sync_failed) {
    catalog::TierHealth failure;
    failure.tier = tier.index;
    failure.sync_failed = true;
    report_(failure);
  }
  if (end(*job, PM_OK, tier.index)) tier.health->note_probe(status);
}

void Mover::change_health(Tier& tier, const TierHealth::Change& change) {
  if (change.degraded) {
    log::warn("mover", "the tier " + tier.link.name + " is out of service: " + change.why);
  } else {
    log::info("mover", "the tier " + tier.link.name + " works again");
  }
  std::vector<catalog::RemoveEffect> removals;
  if (!change.degraded) {
    const std::lock_guard lock(tier.mutex);
    removals.swap(tier.parked);
  }
  for (const catalog::RemoveEffect& removal : removals) start_removal(removal);
  report_(catalog::TierHealth{tier.index, change.degraded, change.why, change.number});
  { const std::lock_guard lock(watch_mutex_); }
  watch_changed_.notify_one();
}

void Mover::look_after() {
  jobs_.look(options_.now_ns());
  for (Tier& tier : tiers_) {
    if (stopping_.load()) continue;
    if (tier.health->take_probe()) tier.workers->add([this, &tier] { probe(tier); });
    const std::lock_guard lock(tier.mutex);
    if (tier.probes.empty() || tier.health->is_degraded()) continue;
    tier.workers->add([this, &tier] { clean_up(tier); });
  }
}

// Often enough to see what hangs soon after its time, and tiers that are to be tried out.
void Mover::watch() {
  constexpr std::uint64_t most_ns = 1'000'000'000;
  constexpr std::uint64_t least_ns = 5'000'000;
  std::unique_lock lock(watch_mutex_);
  while (!watch_stops_) {
    std::uint64_t pause_ns = most_ns;
    for (const Tier& tier : tiers_) {
      const HealthOptions& options = tier.health->options();
      pause_ns = std::min(pause_ns, options.call_ns_max / 8);
      if (tier.health->is_degraded()) pause_ns = std::min(pause_ns, options.probe_ns_min / 4);
    }
    watch_changed_.wait_for(lock, std::chrono::nanoseconds(std::max(pause_ns, least_ns)));
    if (watch_stops_) return;
    lock.unlock();
    look_after();
    lock.lock();
  }
}

}  // namespace pm::mover
