#include "journal.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <pm/cpp/failpoint.hpp>
#include <utility>

#include "clocks.h"
#include "core/catalog/mutant.h"
#include "core/observe/log.h"
#include "core/plugin/host_services.h"

namespace pm::ledger {

namespace {

// A record with its strings, about.
constexpr std::uint64_t record_bytes = 512;

void weigh(const catalog::Record& record, std::uint64_t& operations, std::uint64_t& bytes) {
  ++operations;
  bytes += record_bytes;
  if (const auto* entries = std::get_if<catalog::StreamEntries>(&record)) {
    operations += entries->items->size() - 1;
    for (const catalog::StreamItem& item : *entries->items) {
      bytes += record_bytes + item.tags.size();
    }
  } else if (const auto* metadata = std::get_if<catalog::MetadataRecord>(&record)) {
    bytes += metadata->metadata->data.size();
  } else if (const auto* event = std::get_if<catalog::MetadataEventRecord>(&record)) {
    bytes += event->event->data.size();
  } else if (const auto* lineage = std::get_if<catalog::LineageRecord>(&record)) {
    operations += lineage->edges->size();
    for (const catalog::LineageEdge& edge : *lineage->edges) {
      bytes += record_bytes + edge.parameters.size();
    }
  }
}

// Why a batch was refused for good, as pm_repository.apply tells it.
const char* cause_of(Code code) {
  switch (code) {
    case Code::aborted: return "as another host has taken the epoch";
    case Code::invalid_argument: return "as a record does not fit";
    case Code::data_loss: return "as a sync failed and the store cannot be trusted";
    default: return "for a reason that is none of its own";
  }
}

thread_local bool this_thread_will_drive = false;

}  // namespace

Journal::WillDrive::WillDrive() { this_thread_will_drive = true; }
Journal::WillDrive::~WillDrive() { this_thread_will_drive = false; }

Journal::Journal(const JournalOptions& options, const pm_repository_t* repository,
                 std::uint64_t epoch, std::uint64_t last_sequence, const TierNames& tiers,
                 std::function<void(std::uint64_t)> on_durable,
                 std::function<void(const Status&)> on_fatal)
    : options_(options),
      repository_(repository),
      epoch_(epoch),
      on_durable_(std::move(on_durable)),
      on_fatal_(std::move(on_fatal)),
      sequence_(catalog::is_planted(catalog::Mutant::sequence_begins_anew) ? 0 : last_sequence),
      writer_(tiers),
      retry_delay_ns_(options.retry_delay_ns) {
  if (options.runtime.has_threads) thread_ = std::thread([this] { run(); });
}

Journal::~Journal() {
  if (thread_.joinable()) stop(monotonic_now_ns());
}

void Journal::append(std::uint64_t lsn, bool power, std::vector<catalog::Record> records,
                     std::uint64_t now_ns) {
  Group group{lsn, power, 0, 0, now_ns, std::move(records)};
  for (const catalog::Record& record : group.records) weigh(record, group.operations, group.bytes);
  records_waiting_.fetch_add(group.operations, std::memory_order_relaxed);
  bytes_waiting_.fetch_add(group.bytes, std::memory_order_relaxed);
  const std::lock_guard lock(queue_mutex_);
  queue_.push_back(std::move(group));
}

void Journal::wake() {
  if (this_thread_will_drive) return;
  bool sleeps = false;
  {
    const std::lock_guard lock(queue_mutex_);
    sleeps = std::exchange(thread_sleeps_, false);
  }
  if (sleeps) queue_changed_.notify_one();
}

void Journal::drive() {
  Written written = Written::nothing;
  do {
    written = write_waiting();
  } while (written == Written::batch);
  if (written == Written::away) wake();
}

void Journal::stop(std::uint64_t deadline_ns) {
  {
    const std::lock_guard lock(queue_mutex_);
    stopping_ = true;
    stop_deadline_ns_ = deadline_ns;
  }
  queue_changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Journal::run() {
  while (true) {
    const Written written = write_waiting();
    if (written == Written::batch) continue;
    if (written == Written::away) {
      if (!wait_to_retry()) return;
      continue;
    }
    std::unique_lock lock(queue_mutex_);
    if (!queue_.empty()) continue;
    if (stopping_) return;
    thread_sleeps_ = true;
    queue_changed_.wait(lock, [this] { return !thread_sleeps_ || stopping_; });
    thread_sleeps_ = false;
  }
}

// False: the host stops, and the repository was away until the deadline. What waits is left to the
// next start, without a reply.
bool Journal::wait_to_retry() {
  std::uint64_t delay_ns = 0;
  {
    const std::lock_guard writing(write_mutex_);
    delay_ns = retry_delay_ns_;
    constexpr std::uint64_t delay_max_ns = 1'000'000'000;
    retry_delay_ns_ = std::min(retry_delay_ns_ * 2, delay_max_ns);
  }
  std::unique_lock lock(queue_mutex_);
  if (stopping_) delay_ns = std::min(delay_ns, options_.retry_delay_ns);
  const bool was_stopping = stopping_;
  queue_changed_.wait_for(lock, std::chrono::nanoseconds(delay_ns),
                          [&] { return stopping_ && !was_stopping; });
  return !stopping_ || monotonic_now_ns() < stop_deadline_ns_;
}

// Makes the next batch, unless one is under way. False when nothing waits.
bool Journal::take_batch() {
  if (!batch_.empty()) return true;
  {
    const std::lock_guard lock(queue_mutex_);
    std::uint64_t records = 0;
    while (!queue_.empty() && records < options_.batch_records_max) {
      records += queue_.front().operations;
      batch_.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
  }
  if (!batch_.empty()) oldest_ns_.store(batch_.front().since_ns, std::memory_order_relaxed);
  power_ = false;
  writer_.clear();
  for (const Group& group : batch_) {
    for (const catalog::Record& record : group.records) writer_.add(record);
    power_ = power_ || group.power;
  }
  return !batch_.empty();
}

Journal::Written Journal::write_waiting() {
  std::unique_lock writing(write_mutex_);
  if (!take_batch()) return Written::nothing;
  Status status = dead_ ? Status(Code::aborted, "the journal has ended") : apply();
  if (status.code() == Code::unavailable || status.code() == Code::resource_exhausted) {
    note_away(status);
    if (!catalog::is_planted(catalog::Mutant::away_batch_is_dropped)) return Written::away;
    status = {};
  }
  const std::uint64_t lsn = batch_.back().lsn;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  for (const Group& group : batch_) {
    records += group.operations;
    bytes += group.bytes;
  }
  records_waiting_.fetch_sub(records, std::memory_order_relaxed);
  bytes_waiting_.fetch_sub(bytes, std::memory_order_relaxed);
  oldest_ns_.store(0, std::memory_order_relaxed);
  if (!status.ok()) {
    batch_.clear();
    const bool first = !std::exchange(dead_, true);
    writing.unlock();
    if (first) {
      on_fatal_({status.code(), std::string("the repository refused a batch of records, ") +
                                    cause_of(status.code()) + ": " + status.message()});
    }
    return Written::batch;
  }
  retry_delay_ns_ = options_.retry_delay_ns;
  if (away_.exchange(false)) log::info("journal", "the repository answers again");
  ++sequence_;
  // Under the write mutex, so that LSNs are reported in order; and before the records are freed, as
  // many wait for it.
  on_durable_(lsn);
  batch_.clear();
  return Written::batch;
}

Status Journal::apply() {
  const std::vector<pm_operation_t>& operations = writer_.operations();
  const bool power = power_ && !catalog::is_planted(catalog::Mutant::power_is_not_asked_for);
  const std::uint32_t durability = power ? PM_DURABILITY_POWER : PM_DURABILITY_PROCESS;
  const pm_batch_t batch{sizeof(pm_batch_t), durability,        epoch_,
                         sequence_ + 1,      operations.data(), operations.size()};
  PM_FAILPOINT("journal.before_apply");
  Status status = take_error(repository_->apply(repository_, &batch));
  PM_FAILPOINT("journal.after_apply");
  return status;
}

void Journal::note_away(const Status& status) {
  if (away_.exchange(true)) return;
  log::warn("journal", "the repository takes no records, they wait: " + status.message());
}

}  // namespace pm::ledger
