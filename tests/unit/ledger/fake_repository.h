#pragma once

#include <pm/repository.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

namespace pm::ledger::test {

// A fake: it keeps no records, only what batches it was given, and answers as the test says.
class FakeRepository {
 public:
  FakeRepository() {
    abi_.repository_data = this;
    abi_.apply = [](const pm_repository_t* repository, const pm_batch_t* batch) {
      return static_cast<FakeRepository*>(repository->repository_data)->apply(*batch);
    };
    abi_.get_extension = [](const pm_repository_t*, const char*) -> const void* {
      return nullptr;
    };
  }

  const pm_repository_t* abi() const { return &abi_; }

  struct Seen {
    std::uint64_t epoch;
    std::uint64_t sequence;
    std::uint32_t durability;
    std::uint64_t operations;
  };

  // Applies wait while the gate is shut.
  void shut() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  void open() {
    {
      const std::lock_guard lock(mutex_);
      open_ = true;
    }
    changed_.notify_all();
  }
  // The next applies are answered so, and not seen.
  void fail(int times, pm_status_t status) {
    const std::lock_guard lock(mutex_);
    failures_ = times;
    failure_ = status;
  }
  std::vector<Seen> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  pm_status_t apply(const pm_batch_t& batch) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return open_; });
    if (failures_ > 0) {
      --failures_;
      return failure_;
    }
    seen_.push_back({batch.epoch, batch.sequence, batch.durability, batch.operation_count});
    return PM_OK;
  }

  pm_repository_t abi_{};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int failures_ = 0;
  pm_status_t failure_ = PM_OK;
  std::vector<Seen> seen_;
};

}  // namespace pm::ledger::test
