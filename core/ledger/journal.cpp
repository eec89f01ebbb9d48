#include "journal.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "clocks.h"
#include "core/observe/failpoint.h"
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
      sequence_(last_sequence),
      writer_(tiers),
      thread_([this] { run(); }) {}

Journal::~Journal() {
  if (thread_.joinable()) stop(monotonic_now_ns());
}

void Journal::append(std::uint64_t lsn, bool power, std::vector<catalog::Record> records) {
  Group group{lsn, power, 0, 0, std::move(records)};
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
  while (write_waiting()) {
  }
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
    while (write_waiting()) {
    }
    std::unique_lock lock(queue_mutex_);
    if (!queue_.empty()) continue;
    if (stopping_) return;
    thread_sleeps_ = true;
    queue_changed_.wait(lock, [this] { return !thread_sleeps_ || stopping_; });
    thread_sleeps_ = false;
  }
}

bool Journal::take_batch(std::vector<Group>& batch) {
  const std::lock_guard lock(queue_mutex_);
  std::uint64_t records = 0;
  while (!queue_.empty() && records < options_.batch_records_max) {
    records += queue_.front().operations;
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return !batch.empty();
}

// One batch. False when nothing waited.
bool Journal::write_waiting() {
  std::unique_lock writing(write_mutex_);
  batch_.clear();
  if (!take_batch(batch_)) return false;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  bool power = false;
  writer_.clear();
  for (const Group& group : batch_) {
    for (const catalog::Record& record : group.records) writer_.add(record);
    records += group.operations;
    bytes += group.bytes;
    power = power || group.power;
  }
  const std::vector<pm_operation_t>& operations = writer_.operations();
  const pm_batch_t batch{sizeof(pm_batch_t),
                         power ? PM_DURABILITY_POWER : PM_DURABILITY_PROCESS,
                         epoch_,
                         sequence_ + 1,
                         operations.data(),
                         operations.size()};
  const std::uint64_t lsn = batch_.back().lsn;
  const Status status = dead_ ? Status(Code::aborted, "the journal has ended") : apply(batch);
  records_waiting_.fetch_sub(records, std::memory_order_relaxed);
  bytes_waiting_.fetch_sub(bytes, std::memory_order_relaxed);
  if (!status.ok()) {
    const bool first = !std::exchange(dead_, true);
    writing.unlock();
    // A repository that is away at the stop is no reason to end in another way.
    if (first && status.code() != Code::unavailable) on_fatal_(status);
    return true;
  }
  ++sequence_;
  // Under the write mutex, so that LSNs are reported in order.
  on_durable_(lsn);
  return true;
}

Status Journal::apply(const pm_batch_t& batch) {
  std::uint64_t delay_ns = options_.retry_delay_ns;
  while (true) {
    PM_FAILPOINT("journal.before_apply");
    const Status status = take_error(repository_->apply(repository_, &batch));
    PM_FAILPOINT("journal.after_apply");
    if (status.ok()) {
      if (away_.exchange(false)) log::info("journal", "the repository answers again");
      return {};
    }
    if (status.code() != Code::unavailable && status.code() != Code::resource_exhausted) {
      return {status.code(), "the repository refused a batch of records: " + status.message()};
    }
    if (!away_.exchange(true)) {
      log::warn("journal", "the repository takes no records, they wait: " + status.message());
    }
    std::unique_lock lock(queue_mutex_);
    const auto pause = std::chrono::nanoseconds(delay_ns);
    queue_changed_.wait_for(lock, pause, [this] { return stopping_; });
    if (stopping_ && monotonic_now_ns() >= stop_deadline_ns_) {
      return {Code::unavailable, "the repository was away when the host stopped"};
    }
    constexpr std::uint64_t delay_max_ns = 1'000'000'000;
    delay_ns = std::min(delay_ns * 2, delay_max_ns);
  }
}

}  // namespace pm::ledger
