#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "rules.h"
#include "store.h"

namespace pm::contract {

namespace {

// Every batch gives all things the same amount, so that a mixture shows.
constexpr int thing_count = 64;

std::vector<Operation> all_things(std::uint64_t amount) {
  std::vector<Operation> operations;
  for (int i = 0; i < thing_count; ++i)
    operations.push_back(
        put(thing, make_thing(std::string(1, static_cast<char>(i)), amount, 0, "", "note")));
  return operations;
}

// The amount all of them have; nothing when they differ or some are missing.
std::optional<std::uint64_t> common_amount(const std::vector<Record>& records) {
  if (records.size() != thing_count) return {};
  for (const Record& record : records)
    if (cell_of(record, thing_amount) != cell_of(records[0], thing_amount)) return {};
  return cell_of(records[0], thing_amount).number;
}

// The first failure of any of several threads.
class FirstFailure {
 public:
  void note(Verdict verdict) {
    const std::lock_guard lock(mutex_);
    if (verdict && !first_) first_ = std::move(verdict);
    if (first_) failed_.store(true);
  }
  bool failed() const { return failed_.load(); }
  Verdict take() { return std::move(first_); }

 private:
  std::mutex mutex_;
  Verdict first_;
  std::atomic<bool> failed_{false};
};

}  // namespace

Verdict scan_sees_one_snapshot(const Subject& subject) {
  for (const std::uint32_t order :
       {std::uint32_t{0}, std::uint32_t{thing_amount}, std::uint32_t{thing_blob}}) {
    Store store(subject);
    PM_HOLDS(store.status() == PM_OK, "open failed: " + store.error());
    PM_HOLDS(store.apply(all_things(1)) == PM_OK, "put");
    std::vector<Record> seen;
    pm_status_t applied = PM_OK;
    const pm_status_t status = store.scan({thing, {}, order, false, 0}, [&](const Record& record) {
      // In the middle of the scan another thread changes, adds and deletes.
      if (seen.size() == 3)
        std::thread([&] {
          std::vector<Operation> changes = all_things(UINT64_MAX);
          changes.push_back(put(thing, make_thing("\x05 new", 1)));
          changes.push_back(remove(thing, {{thing_id, bytes("\x20")}}));
          applied = store.apply(changes);
        }).join();
      seen.push_back(record);
      return true;
    });
    PM_HOLDS(status == PM_OK, "the scan failed");
    PM_HOLDS(applied == PM_OK, "an apply during a scan failed");
    PM_HOLDS(common_amount(seen) == 1u, "the scan saw what was applied after it began");
    const Found after = store.scan({thing, {}, order, false, 0});
    PM_HOLDS(after.records.size() == thing_count, "the next scan does not see the changes");
    std::vector<Operation> clear = {remove(thing, {{thing_id, bytes("\x05 new")}})};
    for (const Operation& operation : all_things(0))
      clear.push_back(remove(thing, key_of(operation.record)));
    PM_HOLDS(store.apply(clear) == PM_OK, "delete");
    PM_HOLDS(store.scan({thing, {}, 0, false, 0}).records.empty(), "not all were deleted");
    store.close();
    if (subject.is_persistent) {
      Store again(subject);
      PM_HOLDS(again.status() == PM_OK, "open failed: " + again.error());
    }
  }
  return {};
}

Verdict readers_see_whole_batches(const Subject& subject) {
  Store store(subject);
  PM_HOLDS(store.apply(all_things(1)) == PM_OK, "put");
  std::atomic<std::uint64_t> last_applied{1};
  std::atomic<bool> done{false};
  FirstFailure failure;
  const auto read = [&]() -> Verdict {
    const std::uint64_t before = last_applied.load();
    const Found all = store.scan({thing, {}, 0, false, 0});
    const auto amount = common_amount(all.records);
    PM_HOLDS(all.status == PM_OK && amount.has_value(), "a scan saw part of a batch");
    PM_HOLDS(*amount >= before, "a scan missed a batch that was applied before it began");
    // Batch after batch writes all things in order: the first may be newer than the last only
    // when a get sees a batch that is not complete, read in this order.
    const Found first = store.get(thing, {{thing_id, bytes(std::string(1, '\0'))}});
    const Found last = store.get(thing, {{thing_id, bytes(std::string(1, thing_count - 1))}});
    PM_HOLDS(first.records.size() == 1 && last.records.size() == 1, "a get failed");
    PM_HOLDS(cell_of(last.records[0], thing_amount).number >=
                 cell_of(first.records[0], thing_amount).number,
             "a get saw part of a batch");
    return {};
  };
  std::thread reader([&] {
    while (!done.load() && !failure.failed()) failure.note(read());
  });
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
  for (std::uint64_t amount = 2; std::chrono::steady_clock::now() < end; ++amount) {
    if (store.apply(all_things(amount)) != PM_OK)
      failure.note(broken(__FILE__, __LINE__, "apply", "a batch failed while others read"));
    last_applied.store(amount);
  }
  done.store(true);
  reader.join();
  return failure.take();
}

Verdict readers_and_a_writer_run_without_error(const Subject& subject) {
  Store store(subject);
  PM_HOLDS(store.apply(all_things(1)) == PM_OK, "put");
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> reads{0};
  FirstFailure failure;
  const auto read = [&](std::uint64_t turn) -> Verdict {
    const std::string id(1, static_cast<char>(turn % thing_count));
    const Found got = store.get(thing, {{thing_id, bytes(id)}});
    PM_HOLDS(got.status == PM_OK, "get gave status " + std::to_string(got.status));
    const Scan few{thing, {{thing_amount, PM_GREATER, u64(0)}}, thing_amount, turn % 2 == 0, 10};
    const Found found = store.scan(few);
    PM_HOLDS(found.status == PM_OK, "scan gave status " + std::to_string(found.status));
    PM_HOLDS(found.records.size() == 10, "a scan lost records");
    return {};
  };
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i)
    readers.emplace_back([&] {
      while (!done.load() && !failure.failed()) failure.note(read(reads.fetch_add(1)));
    });
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  for (std::uint64_t amount = 2; std::chrono::steady_clock::now() < end; ++amount) {
    const std::uint32_t durability = amount % 16 == 0 ? PM_DURABILITY_POWER : PM_DURABILITY_PROCESS;
    if (const pm_status_t status = store.apply(all_things(amount), durability); status != PM_OK)
      failure.note(broken(__FILE__, __LINE__, "apply", "status " + std::to_string(status)));
  }
  done.store(true);
  for (std::thread& reader : readers) reader.join();
  if (!failure.failed()) PM_HOLDS(reads.load() > 100, "readers hardly got to read");
  return failure.take();
}

}  // namespace pm::contract
