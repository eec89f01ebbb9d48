#include "copy_job.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "checksum.h"
#include "core/plugin/host_services.h"

namespace pm::mover {

namespace {

constexpr std::uint64_t chunk_bytes_min = 64 << 10;
constexpr std::uint64_t chunk_bytes_max = 4 << 20;
constexpr std::size_t depth_max = 8;
constexpr std::size_t alignment = 4096;

struct FreeDeleter {
  void operator()(void* memory) const { std::free(memory); }
};

std::uint64_t preferred_chunk(const pm_tier_t* tier) {
  pm_tier_info_t info{};
  info.size = sizeof info;
  tier->get_info(tier, &info);
  return info.chunk_bytes_preferred;
}

const pm_tier_async_t* async_of(const pm_tier_t* tier) {
  return static_cast<const pm_tier_async_t*>(tier->get_extension(tier, PM_TIER_ASYNC));
}

class CopyJob {
 public:
  CopyJob(const TierObject& source, const TierObject& target, std::uint64_t length,
          const std::atomic<bool>& stopping)
      : source_(source),
        target_(target),
        length_(length),
        stopping_(stopping),
        source_async_(async_of(source.tier)),
        target_async_(async_of(target.tier)),
        chunk_bytes_(
            std::clamp(std::max(preferred_chunk(source.tier), preferred_chunk(target.tier)),
                       chunk_bytes_min, chunk_bytes_max)),
        chunks_((length + chunk_bytes_ - 1) / chunk_bytes_),
        depth_(std::min<std::uint64_t>(chunks_, depth_max)) {}

  CopyResult run(const catalog::Checksum& expected);

 private:
  enum class Stage { idle, reading, read, writing };
  struct Chunk {
    CopyJob* job = nullptr;
    std::unique_ptr<std::byte, FreeDeleter> buffer;
    Stage stage = Stage::idle;
    std::uint64_t length = 0;
  };

  Chunk& chunk(std::uint64_t number) { return ring_[number % depth_]; }
  bool prepare();
  void begin_reads();
  void read(std::uint64_t number);
  void write(std::uint64_t number);
  void transfer(const pm_tier_async_t* async, const TierObject& object, Chunk& chunk,
                std::uint64_t offset, bool is_write);
  void finish(Chunk& chunk, pm_status_t code, std::uint64_t count, std::string message);
  static void on_done(void* data, pm_status_t code, std::uint64_t count, const char* message);
  void fail_locked(Status status, bool source_is_bad);

  const TierObject& source_;
  const TierObject& target_;
  const std::uint64_t length_;
  const std::atomic<bool>& stopping_;
  const pm_tier_async_t* const source_async_;
  const pm_tier_async_t* const target_async_;
  const std::uint64_t chunk_bytes_;
  const std::uint64_t chunks_;
  const std::uint64_t depth_;
  std::array<Chunk, depth_max> ring_;
  std::uint64_t next_read_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  CopyResult result_;
};

bool CopyJob::prepare() {
  for (std::uint64_t index = 0; index < depth_; ++index) {
    ring_[index].job = this;
    void* memory = std::aligned_alloc(alignment, chunk_bytes_);
    if (memory == nullptr) return false;
    ring_[index].buffer.reset(static_cast<std::byte*>(memory));
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
  chunk.job->finish(chunk, code, count, message != nullptr ? message : "");
}

// A transfer has ended, on whatever thread.
void CopyJob::finish(Chunk& chunk, pm_status_t code, std::uint64_t count, std::string message) {
  const std::lock_guard lock(mutex_);
  const bool reading = chunk.stage == Stage::reading;
  if (code == PM_OK && reading && count != chunk.length) {
    code = PM_DATA_LOSS;
    message = "the object is shorter than it should be";
  }
  if (code != PM_OK) {
    const bool bad = reading && (code == PM_NOT_FOUND || code == PM_DATA_LOSS);
    fail_locked(Status::from_abi(code, std::move(message)), bad);
  }
  chunk.stage = reading && code == PM_OK ? Stage::read : Stage::idle;
  changed_.notify_all();
}

void CopyJob::transfer(const pm_tier_async_t* async, const TierObject& object, Chunk& chunk,
                       std::uint64_t offset, bool is_write) {
  if (async != nullptr) {
    const pm_transfer_t transfer{
        sizeof(pm_transfer_t), is_write ? 1u : 0u, object.id,         object.cookie, offset,
        chunk.length,          chunk.buffer.get(), &CopyJob::on_done, &chunk};
    if (async->submit(object.tier, &transfer) == PM_OK) return;
  }
  // Also when the tier has too much under way: one that waits its turn is better than none.
  pm_call_context_t context{};
  context.size = sizeof context;
  std::uint64_t count = 0;
  const pm_status_t code =
      is_write ? object.tier->write(object.tier, &context, &object.id, &object.cookie, offset,
                                    chunk.buffer.get(), chunk.length)
               : object.tier->read(object.tier, &context, &object.id, &object.cookie, offset,
                                   chunk.buffer.get(), chunk.length, &count);
  finish(chunk, code, count, take_error(code).message());
}

void CopyJob::read(std::uint64_t number) {
  Chunk& next = chunk(number);
  const std::uint64_t offset = number * chunk_bytes_;
  next.length = std::min(chunk_bytes_, length_ - offset);
  {
    const std::lock_guard lock(mutex_);
    next.stage = Stage::reading;
  }
  transfer(source_async_, source_, next, offset, false);
}

void CopyJob::write(std::uint64_t number) {
  Chunk& full = chunk(number);
  {
    const std::lock_guard lock(mutex_);
    full.stage = Stage::writing;
  }
  transfer(target_async_, target_, full, number * chunk_bytes_, true);
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
    if (source_async_ == nullptr) return;
  }
}

CopyResult CopyJob::run(const catalog::Checksum& expected) {
  if (!prepare()) {
    result_.status = {Code::resource_exhausted, "no memory for the buffers of a move"};
    return result_;
  }
  // The one that it is kept with; a payload that has none gets one.
  const bool kept = expected.kind != catalog::ChecksumKind::none;
  ChecksumHasher hasher(kept ? expected.kind : catalog::ChecksumKind::xxh3_128);
  const auto failed = [this] { return !result_.status.ok() || stopping_.load(); };
  for (std::uint64_t number = 0; number < chunks_; ++number) {
    if (number == next_read_ || source_async_ != nullptr) begin_reads();
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] {
        // A buffer that is still being written cannot take the next read yet.
        const Stage stage = chunk(number).stage;
        return failed() || stage == Stage::read || (stage == Stage::idle && number == next_read_);
      });
      if (failed()) break;
    }
    if (number == next_read_) begin_reads();
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return failed() || chunk(number).stage == Stage::read; });
      if (failed()) break;
    }
    hasher.add(chunk(number).buffer.get(), chunk(number).length);
    write(number);
  }
  std::unique_lock lock(mutex_);
  // No buffer may be freed while a tier uses it.
  changed_.wait(lock, [&] {
    return std::all_of(ring_.begin(), ring_.end(), [](const Chunk& chunk) {
      return chunk.stage != Stage::reading && chunk.stage != Stage::writing;
    });
  });
  if (result_.status.ok() && stopping_.load()) {
    result_.status = {Code::cancelled, "the host is stopping"};
  }
  if (!result_.status.ok()) return result_;
  const auto checksum = hasher.finish();
  if (!checksum.ok()) {
    fail_locked(checksum.status(), false);
    return result_;
  }
  result_.checksum = *checksum;
  if (kept && result_.checksum != expected) {
    fail_locked({Code::data_loss, "the bytes do not have the checksum they were kept with"}, true);
  }
  return result_;
}

}  // namespace

CopyResult copy_bytes(const TierObject& source, const TierObject& target, std::uint64_t length,
                      const catalog::Checksum& expected, const std::atomic<bool>& stopping) {
  return CopyJob(source, target, length, stopping).run(expected);
}

}  // namespace pm::mover
