#include "copy_job.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <pm/cpp/failpoint.hpp>
#include <string>
#include <vector>

#include "checksum.h"
#include "core/plugin/host_services.h"
#include "starvation.h"
#include "tier_call.h"

namespace pm::mover {

namespace {

constexpr std::size_t depth_max = 8;
// Large buffers on huge pages, where the kernel has some to spare: each chunk is one piece for the
// device instead of hundreds. A short copy takes no more than it needs: mapping 2 MiB costs more
// than it.
constexpr std::size_t huge_page_bytes = 2 << 20;

// A shorter copy delays calls less than its own change of threads would delay it.
constexpr std::uint64_t background_bytes_min = 8 << 20;

// Three busy processes on one processor kept a background thread from running for 4 to 9 s, so it
// takes about as long to see that it starves; half of the time is the least that copies should get.
constexpr std::chrono::seconds relief_time{10};

const pm_tier_async_t* async_of(const pm_tier_t* tier) {
  return static_cast<const pm_tier_async_t*>(tier->get_extension(tier, PM_TIER_ASYNC));
}

// A payload that has no checksum yet gets one.
bool is_kept(const catalog::Checksum& checksum) {
  return checksum.kind != catalog::ChecksumKind::none;
}

class CopyJob {
 public:
  CopyJob(const TierObject& source, const TierObject& target, std::uint64_t length,
          const catalog::Checksum& expected, const std::atomic<bool>& stopping, Job* job)
      : job_(job),
        source_(source),
        target_(target),
        length_(length),
        stopping_(stopping),
        source_async_(async_of(source.tier)),
        target_async_(async_of(target.tier)),
        chunk_bytes_(std::max(preferred_chunk(source.tier), preferred_chunk(target.tier))),
        chunks_((length + chunk_bytes_ - 1) / chunk_bytes_),
        depth_(std::min<std::uint64_t>(chunks_, depth_max)),
        expected_(expected),
        hasher_(is_kept(expected) ? expected.kind : catalog::ChecksumKind::xxh3_128) {}

  // First of all. False: no memory.
  bool prepare();

  // Copies until nothing is left, something failed, or `give_up` says to; to be called again then,
  // from any thread. With `in_turn` it moves one chunk at a time itself: the threads of an
  // asynchronous tier may be as starved as the one that it relieves.
  void copy(const std::function<bool()>& give_up, bool in_turn);
  bool ended();

  // At last.
  CopyResult finish_all();

 private:
  enum class Stage { idle, reading, read, writing, to_repeat };
  struct Chunk {
    CopyJob* job = nullptr;
    std::byte* buffer = nullptr;
    Stage stage = Stage::idle;
    bool is_write = false;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint64_t since_ns = 0;  // Of a transfer that ends by itself; 0: it is none.
  };

  Chunk& chunk(std::uint64_t number) { return ring_[number % depth_]; }
  bool failed_locked() const {
    return !result_.status.ok() || stopping_.load() || (job_ != nullptr && job_->is_abandoned());
  }
  bool is_in_use(const Chunk& chunk) const {
    return chunk.stage == Stage::reading || chunk.stage == Stage::writing;
  }
  const TierObject& object_of(const Chunk& chunk) const {
    return chunk.is_write ? target_ : source_;
  }
  template <typename Ready>
  void wait(std::unique_lock<std::mutex>& lock, Ready ready);
  void watch_locked();
  bool await_read(std::uint64_t number);
  void begin_reads();
  void read(std::uint64_t number);
  void write(std::uint64_t number);
  void transfer(const pm_tier_async_t* async, Chunk& chunk);
  void transfer_here(Chunk& chunk);
  void finish(Chunk& chunk, Status status, std::uint64_t count, bool by_itself);
  static void on_done(void* data, pm_status_t code, std::uint64_t count, const char* message);
  void fail_locked(Status status, bool source_is_bad);

  Job* const job_;
  const TierObject& source_;
  const TierObject& target_;
  const std::uint64_t length_;
  const std::atomic<bool>& stopping_;
  const pm_tier_async_t* const source_async_;
  const pm_tier_async_t* const target_async_;
  const std::uint64_t chunk_bytes_;
  const std::uint64_t chunks_;
  const std::uint64_t depth_;
  AlignedBuffer buffers_;
  std::array<Chunk, depth_max> ring_;
  const catalog::Checksum expected_;
  ChecksumHasher hasher_;
  std::uint64_t next_read_ = 0;
  std::uint64_t next_write_ = 0;
  bool in_turn_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  CopyResult result_;
};

bool CopyJob::prepare() {
  const std::uint64_t needed = std::min(depth_ * chunk_bytes_, length_);
  const std::size_t alignment = needed < huge_page_bytes ? page_bytes : huge_page_bytes;
  buffers_ = make_buffer(needed, alignment);
  if (buffers_ == nullptr) return false;
  // A wish; without it all works, slower.
  if (alignment == huge_page_bytes) ::madvise(buffers_.get(), needed, MADV_HUGEPAGE);
  for (std::uint64_t index = 0; index < depth_; ++index) {
    ring_[index].job = this;
    ring_[index].buffer = buffers_.get() + index * chunk_bytes_;
  }
  return true;
}

void CopyJob::fail_locked(Status status, bool source_is_bad) {
  if (!result_.status.ok()) return;
  result_.status = std::move(status);
  result_.source_is_bad = source_is_bad;
}

void CopyJob::on_done(void* data, pm_status_t code, std::uint64_t count, const char* message) {
  auto& chunk = *static_cast<Chunk*>(data);
  Status status = Status::from_abi(code, message != nullptr ? message : "");
  chunk.job->finish(chunk, std::move(status), count, true);
}

// A transfer has ended, on whatever thread.
void CopyJob::finish(Chunk& chunk, Status status, std::uint64_t count, bool by_itself) {
  const TierLink* link = object_of(chunk).link;
  if (by_itself && link != nullptr) link->health->note(status);
  if (status.ok() && chunk.is_write && link != nullptr && link->writes != nullptr) {
    link->writes->note(chunk.length);
  }
  const std::lock_guard lock(mutex_);
  if (status.ok() && !chunk.is_write && count != chunk.length) {
    status = {Code::data_loss, "the object is shorter than it should be"};
  }
  chunk.since_ns = 0;
  // By the thread that copies, as a call that waits.
  if (by_itself && link != nullptr && is_transient(status.code()) && !failed_locked() &&
      link->health->may_repeat()) {
    chunk.stage = Stage::to_repeat;
    return changed_.notify_all();
  }
  const bool bad =
      !chunk.is_write && (status.code() == Code::not_found || status.code() == Code::data_loss);
  chunk.stage = !chunk.is_write && status.ok() ? Stage::read : Stage::idle;
  if (!status.ok()) fail_locked(std::move(status), bad);
  changed_.notify_all();
}

void CopyJob::transfer(const pm_tier_async_t* async, Chunk& chunk) {
  const TierObject& object = object_of(chunk);
  if (async == nullptr || in_turn_) return transfer_here(chunk);
  if (job_ != nullptr) {
    const std::lock_guard lock(mutex_);
    chunk.since_ns = job_->now_ns();
  }
  const pm_transfer_t transfer{sizeof(pm_transfer_t),
                               chunk.is_write ? 1u : 0u,
                               object.id,
                               object.cookie,
                               chunk.offset,
                               chunk.length,
                               chunk.buffer,
                               &CopyJob::on_done,
                               &chunk};
  if (async->submit(object.tier, &transfer) == PM_OK) return;
  take_error_text();
  {
    const std::lock_guard lock(mutex_);
    chunk.since_ns = 0;
  }
  // Also when the tier has too much under way: one that waits its turn is better than none.
  transfer_here(chunk);
}

void CopyJob::transfer_here(Chunk& chunk) {
  const TierObject& object = object_of(chunk);
  std::uint64_t count = 0;
  Status status = call_tier(
      job_, object.link, chunk.length, Repeat::when_transient,
      [&](const pm_call_context_t* context) {
        return chunk.is_write ? object.tier->write(object.tier, context, &object.id, &object.cookie,
                                                   chunk.offset, chunk.buffer, chunk.length)
                              : object.tier->read(object.tier, context, &object.id, &object.cookie,
                                                  chunk.offset, chunk.buffer, chunk.length, &count);
      });
  finish(chunk, std::move(status), count, false);
}

// Tells the job of the transfer that has been under way for longest.
void CopyJob::watch_locked() {
  if (job_ == nullptr) return;
  const Chunk* oldest = nullptr;
  for (const Chunk& chunk : ring_) {
    if (!is_in_use(chunk) || chunk.since_ns == 0) continue;
    if (oldest == nullptr || chunk.since_ns < oldest->since_ns) oldest = &chunk;
  }
  if (oldest == nullptr || object_of(*oldest).link == nullptr) return job_->end_call();
  job_->await_transfer(*object_of(*oldest).link, oldest->length, oldest->since_ns);
}

// Until `ready`; does meanwhile what has to be done again.
template <typename Ready>
void CopyJob::wait(std::unique_lock<std::mutex>& lock, Ready ready) {
  while (true) {
    const auto broken = std::find_if(ring_.begin(), ring_.end(), [](const Chunk& chunk) {
      return chunk.stage == Stage::to_repeat;
    });
    if (broken != ring_.end()) {
      const bool is_wanted = !failed_locked();
      broken->stage = !is_wanted ? Stage::idle : broken->is_write ? Stage::writing : Stage::reading;
      if (!is_wanted) continue;
      lock.unlock();
      transfer_here(*broken);
      lock.lock();
      continue;
    }
    if (ready()) break;
    watch_locked();
    changed_.wait(lock);
  }
  if (job_ != nullptr) job_->end_call();
}

void CopyJob::read(std::uint64_t number) {
  Chunk& next = chunk(number);
  {
    const std::lock_guard lock(mutex_);
    next.is_write = false;
    next.offset = number * chunk_bytes_;
    next.length = std::min(chunk_bytes_, length_ - next.offset);
    next.stage = Stage::reading;
  }
  transfer(source_async_, next);
}

void CopyJob::write(std::uint64_t number) {
  Chunk& full = chunk(number);
  {
    const std::lock_guard lock(mutex_);
    full.is_write = true;
    full.stage = Stage::writing;
  }
  transfer(target_async_, full);
}

// Keeps as many reads under way as there are free buffers; a source that reads one at a time is
// asked only for the next, so that writing goes on meanwhile.
void CopyJob::begin_reads() {
  while (next_read_ < chunks_) {
    {
      const std::lock_guard lock(mutex_);
      if (chunk(next_read_).stage != Stage::idle || !result_.status.ok()) return;
    }
    read(next_read_++);
    if (source_async_ == nullptr || in_turn_) return;
  }
}

// Waits until the chunk has been read; begins that read if nothing else has. False: failed.
bool CopyJob::await_read(std::uint64_t number) {
  if (number == next_read_ || (source_async_ != nullptr && !in_turn_)) begin_reads();
  {
    std::unique_lock lock(mutex_);
    wait(lock, [&] {
      // A buffer that is still being written cannot take the next read yet.
      const Stage stage = chunk(number).stage;
      return failed_locked() || stage == Stage::read ||
             (stage == Stage::idle && number == next_read_);
    });
    if (failed_locked()) return false;
  }
  if (number == next_read_) begin_reads();
  std::unique_lock lock(mutex_);
  wait(lock, [&] { return failed_locked() || chunk(number).stage == Stage::read; });
  return !failed_locked();
}

void CopyJob::copy(const std::function<bool()>& give_up, bool in_turn) {
  in_turn_ = in_turn;
  while (next_write_ < chunks_ && !give_up() && await_read(next_write_)) {
    Chunk& full = chunk(next_write_);
    hasher_.add(full.buffer, full.length);
    const bool is_half = next_write_ == chunks_ / 2;
    if (is_half) PM_FAILPOINT("mover.before_half");
    write(next_write_++);
    if (is_half) PM_FAILPOINT("mover.after_half");
  }
}

bool CopyJob::ended() {
  const std::lock_guard lock(mutex_);
  return next_write_ == chunks_ || failed_locked();
}

CopyResult CopyJob::finish_all() {
  PM_FAILPOINT("mover.before_copied");
  std::unique_lock lock(mutex_);
  // No buffer may be freed while a tier uses it.
  wait(lock, [&] {
    return std::none_of(ring_.begin(), ring_.end(),
                        [&](const Chunk& chunk) { return is_in_use(chunk); });
  });
  if (job_ != nullptr && job_->is_abandoned()) {
    fail_locked({Code::cancelled, "the copy was given up"}, false);
  }
  if (result_.status.ok() && stopping_.load()) {
    result_.status = {Code::cancelled, "the host is stopping"};
  }
  if (!result_.status.ok()) return result_;
  const auto checksum = hasher_.finish();
  if (!checksum.ok()) {
    fail_locked(checksum.status(), false);
    return result_;
  }
  result_.checksum = *checksum;
  if (is_kept(expected_) && result_.checksum != expected_) {
    fail_locked({Code::data_loss, "the bytes do not have the checksum they were kept with"}, true);
  }
  return result_;
}

}  // namespace

CopyResult copy_bytes(const TierObject& source, const TierObject& target, std::uint64_t length,
                      const catalog::Checksum& expected, Background& background,
                      const std::atomic<bool>& stopping, Job* watched) {
  CopyJob job(source, target, length, expected, stopping, watched);
  if (!job.prepare()) {
    CopyResult result;
    result.status = {Code::resource_exhausted, "no memory for the buffers of a move"};
    return result;
  }
  const auto never = [] { return false; };
  if (length < background_bytes_min) {
    job.copy(never, false);
    return job.finish_all();
  }
  if (std::chrono::steady_clock::now() >= background.starved_until.load()) {
    background.pool->run_there([&] {
      if (watched != nullptr) watched->work_in(background.pool.get());
      StarvationWatch watch;
      job.copy([&watch] { return watch.starved(); }, false);
      if (watched != nullptr) watched->work_in(nullptr);
    });
    if (job.ended()) return job.finish_all();
    background.starved_until = std::chrono::steady_clock::now() + relief_time;
  }
  job.copy(never, true);
  return job.finish_all();
}

}  // namespace pm::mover
