#include <gtest/gtest.h>

#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "core/ledger/clocks.h"
#include "core/mover/mover.h"

// Effects whose calls do not come back, with real threads.

namespace pm::mover {
namespace {

using std::chrono::milliseconds;

// Objects that share their bytes. A call of the kind named in `hangs` waits until release(); what
// else touches an object meanwhile is noted.
class HangingTier {
 public:
  HangingTier() {
    tier_.tier_data = this;
    tier_.get_info = [](const pm_tier_t*, pm_tier_info_t* info) {
      info->chunk_bytes_preferred = 1 << 16;
      info->inline_bytes_max = 1;
    };
    tier_.allocate = [](const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* id,
                        std::uint64_t, const pm_allocate_options_t*, pm_allocation_t* allocation) {
      allocation->cookie.length = 1;
      allocation->cookie.bytes[0] = 42;
      return of(tier).call('a', id, [](HangingTier& self, std::uint64_t generation) {
        self.objects_[generation] = true;
      });
    };
    tier_.write = [](const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* id,
                     const pm_cookie_t*, std::uint64_t, const void* source, std::uint64_t length) {
      {
        const std::lock_guard lock(of(tier).mutex_);
        of(tier).bytes_.assign(static_cast<const char*>(source), length);
      }
      return of(tier).call('w', id);
    };
    tier_.read = [](const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* id,
                    const pm_cookie_t*, std::uint64_t, void* target, std::uint64_t length,
                    std::uint64_t* count) {
      {
        const std::lock_guard lock(of(tier).mutex_);
        of(tier).bytes_.resize(length);
        std::memcpy(target, of(tier).bytes_.data(), length);
      }
      *count = length;
      return of(tier).call('r', id);
    };
    tier_.seal = [](const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* id,
                    const pm_cookie_t*, std::uint64_t) { return of(tier).call('s', id); };
    tier_.remove = [](const pm_tier_t* tier, const pm_call_context_t*, const pm_object_id_t* id,
                      const pm_cookie_t* cookie, std::uint64_t) {
      if (cookie->length != 1 || cookie->bytes[0] != 42) of(tier).note("a wrong cookie");
      return of(tier).call('d', id, [](HangingTier& self, std::uint64_t generation) {
        self.objects_.erase(generation);
      });
    };
    tier_.get_extension = [](const pm_tier_t*, const char*) -> const void* { return nullptr; };
  }

  const pm_tier_t* abi() const { return &tier_; }
  void hang_in(const std::string& kinds) {
    const std::lock_guard lock(mutex_);
    hangs_ = kinds;
  }
  void release() {
    hang_in("");
    changed_.notify_all();
  }
  std::size_t objects() const {
    const std::lock_guard lock(mutex_);
    return objects_.size();
  }
  std::string wrong() const {
    const std::lock_guard lock(mutex_);
    return wrong_;
  }

 private:
  static HangingTier& of(const pm_tier_t* tier) {
    return *static_cast<HangingTier*>(tier->tier_data);
  }
  void note(const std::string& words) {
    const std::lock_guard lock(mutex_);
    wrong_ += words + "; ";
  }
  pm_status_t call(char kind, const pm_object_id_t* id,
                   void (*effect)(HangingTier&, std::uint64_t) = nullptr) {
    std::unique_lock lock(mutex_);
    if (busy_[id->generation]++ > 0) wrong_ += std::string("overlaps: ") + kind + "; ";
    changed_.wait(lock, [&] { return hangs_.find(kind) == std::string::npos; });
    if (effect != nullptr) effect(*this, id->generation);
    --busy_[id->generation];
    return PM_OK;
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string hangs_;  // (a)llocate, (r)ead, (w)rite, (s)eal, remove (d).
  std::map<std::uint64_t, bool> objects_;
  std::string bytes_;  // Of the last write, whatever the object.
  std::map<std::uint64_t, int> busy_;
  std::string wrong_;
  pm_tier_t tier_{};
};

class Hanging : public testing::Test {
 protected:
  ~Hanging() override { tier_.release(); }

  static std::vector<MoverTier> tiers(const HangingTier& tier) {
    HealthOptions health;
    health.call_ns_max = 50'000'000;
    health.probe_ns_min = 20'000'000;
    health.probe_ns_max = 40'000'000;
    return {{tier.abi(), 2, "fake", health}};
  }
  static MoverOptions options() {
    MoverOptions options;
    options.now_ns = &ledger::monotonic_now_ns;
    options.probe_generation = 1'000'000;
    return options;
  }
  static catalog::Object object(std::uint64_t generation) {
    catalog::Object object;
    object.tier = 0;
    object.generation = generation;
    object.length = 100;
    object.cookie.length = 1;
    object.cookie.bytes[0] = 42;
    return object;
  }
  void report(const catalog::Command& command) {
    const std::lock_guard lock(mutex_);
    if (const auto* health = std::get_if<catalog::TierHealth>(&command)) {
      health_.push_back(*health);
    } else {
      reports_.push_back(command);
    }
    changed_.notify_all();
  }
  // The next report but those of health.
  template <typename Report>
  Report await() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(
        changed_.wait_for(lock, milliseconds(10'000), [&] { return reports_.size() > taken_; }));
    if (reports_.size() == taken_) return {};
    const auto* report = std::get_if<Report>(&reports_[taken_++]);
    EXPECT_NE(report, nullptr) << "another report";
    return report != nullptr ? *report : Report{};
  }
  bool await_health(bool degraded) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, milliseconds(10'000), [&] {
      return !health_.empty() && health_.back().degraded == degraded;
    });
  }
  std::size_t reports() {
    const std::lock_guard lock(mutex_);
    return reports_.size();
  }

  HangingTier tier_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<catalog::Command> reports_;
  std::vector<catalog::TierHealth> health_;
  std::size_t taken_ = 0;
  Mover mover_{tiers(tier_), [this](const catalog::Command& command) { report(command); },
               options()};
};

TEST_F(Hanging, an_allocation_is_given_up_once_and_removed_when_it_has_been_made_after_all) {
  tier_.hang_in("a");
  mover_.run(catalog::AllocateEffect{7, object(1)});
  const auto allocated = await<catalog::Allocated>();
  EXPECT_EQ(allocated.operation, 7u);
  EXPECT_EQ(allocated.outcome.code, PM_UNAVAILABLE);
  EXPECT_TRUE(allocated.object_remains);
  EXPECT_TRUE(await_health(true));
  // The catalog knows no cookie of it.
  catalog::Object unknown = object(1);
  unknown.cookie = {};
  mover_.run(catalog::RemoveEffect{unknown, 0});
  EXPECT_EQ(reports(), 1u) << "removed while it is being made";
  tier_.release();
  EXPECT_TRUE(await<catalog::Removed>().outcome.ok());
  EXPECT_TRUE(await_health(false));
  EXPECT_EQ(tier_.objects(), 0u);
  EXPECT_EQ(tier_.wrong(), "");
  EXPECT_EQ(reports(), 2u) << "the late result was told";
}

TEST_F(Hanging, other_effects_fail_at_once_meanwhile_and_work_again_afterwards) {
  tier_.hang_in("a");
  for (catalog::Slot slot = 0; slot < 6; ++slot) {
    mover_.run(catalog::AllocateEffect{slot, object(1 + slot)});
  }
  for (int n = 0; n < 6; ++n) {
    EXPECT_EQ(await<catalog::Allocated>().outcome.code, PM_UNAVAILABLE);
  }
  tier_.release();
  EXPECT_TRUE(await_health(false));
  mover_.run(catalog::AllocateEffect{9, object(20)});
  EXPECT_TRUE(await<catalog::Allocated>().outcome.ok());
  EXPECT_EQ(tier_.wrong(), "");
}

TEST_F(Hanging, a_move_is_given_up_in_each_of_its_calls_and_its_objects_are_left_alone) {
  std::uint64_t generation = 10;
  for (const char* call : {"a", "r", "w", "s"}) {
    SCOPED_TRACE(call);
    catalog::MoveEffect move;
    move.source = object(generation++);
    move.target = object(generation++);
    tier_.hang_in(call);
    mover_.run(move);
    const auto moved = await<catalog::Moved>();
    EXPECT_EQ(moved.outcome.code, PM_UNAVAILABLE);
    EXPECT_TRUE(moved.target_remains);
    EXPECT_TRUE(await_health(true));
    mover_.run(catalog::RemoveEffect{move.source, 0});
    mover_.run(catalog::RemoveEffect{move.target, 0});
    tier_.release();
    await<catalog::Removed>();
    await<catalog::Removed>();
    EXPECT_TRUE(await_health(false));
    EXPECT_EQ(tier_.wrong(), "");
  }
  EXPECT_EQ(tier_.objects(), 0u);
}

TEST_F(Hanging, a_seal_is_given_up_and_not_repeated_while_the_first_one_hangs) {
  tier_.hang_in("s");
  catalog::SealEffect seal;
  seal.object = object(1);
  seal.length = 100;
  mover_.run(seal);
  EXPECT_EQ(await<catalog::Sealed>().outcome.code, PM_UNAVAILABLE);
  mover_.run(seal);
  EXPECT_EQ(await<catalog::Sealed>().outcome.code, PM_UNAVAILABLE);
  tier_.release();
  EXPECT_TRUE(await_health(false));
  catalog::Sealed sealed;
  for (int n = 0; n < 100 && !(n > 0 && sealed.outcome.ok()); ++n) {
    mover_.run(seal);
    sealed = await<catalog::Sealed>();
  }
  EXPECT_TRUE(sealed.outcome.ok());
  EXPECT_EQ(tier_.wrong(), "");
}

// PM_ALLOCATE_SEALED
TEST_F(Hanging, a_seal_that_clients_can_hold_up_is_never_waited_for_on_the_callers_thread) {
  tier_.hang_in("s");
  std::jthread late([&] {
    std::this_thread::sleep_for(milliseconds(1'000));
    tier_.release();
  });
  catalog::SealEffect seal;
  seal.object = object(1);
  seal.object.length = 1;  // What does not block is done inline.
  seal.length = 1;
  seal.layout = catalog::Layout::sealed;
  mover_.run(seal);
  EXPECT_EQ(await<catalog::Sealed>().outcome.code, PM_UNAVAILABLE) << "it was not given up";
}

TEST_F(Hanging, a_read_is_given_up_and_its_object_is_left_alone) {
  tier_.hang_in("r");
  EXPECT_EQ(mover_.read(object(1), 0, 100).status().code(), Code::unavailable);
  EXPECT_TRUE(await_health(true));
  EXPECT_EQ(mover_.read(object(2), 0, 100).status().code(), Code::unavailable);
  mover_.run(catalog::RemoveEffect{object(1), 0});
  EXPECT_EQ(reports(), 0u) << "removed while it is being read";
  tier_.release();
  EXPECT_TRUE(await<catalog::Removed>().outcome.ok());
  EXPECT_TRUE(await_health(false));
  const auto part = mover_.read(object(3), 0, 100);
  ASSERT_TRUE(part.ok()) << part.status().to_string();
  EXPECT_EQ(part->count, 100u);
  EXPECT_EQ(tier_.wrong(), "");
}

TEST_F(Hanging, nobody_waits_for_a_read_when_the_host_stops) {
  tier_.hang_in("r");
  mover_.cancel_moves();
  EXPECT_EQ(mover_.read(object(1), 0, 100).status().code(), Code::cancelled);
}

TEST_F(Hanging, a_removal_waits_while_the_tier_is_out_of_service) {
  tier_.hang_in("d");
  mover_.run(catalog::RemoveEffect{object(1), 0});
  EXPECT_EQ(await<catalog::Removed>().outcome.code, PM_UNAVAILABLE);
  mover_.run(catalog::RemoveEffect{object(1), 0});
  mover_.run(catalog::RemoveEffect{object(2), 0});
  EXPECT_TRUE(await_health(true));
  EXPECT_EQ(reports(), 1u);
  tier_.release();
  EXPECT_TRUE(await<catalog::Removed>().outcome.ok());
  EXPECT_TRUE(await<catalog::Removed>().outcome.ok());
  EXPECT_EQ(tier_.wrong(), "");
}

}  // namespace
}  // namespace pm::mover
