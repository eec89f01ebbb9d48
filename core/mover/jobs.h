#pragma once

#include <pm/tier.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/catalog/command.h"
#include "tier_health.h"
#include "worker_pool.h"
#include "write_rate.h"

namespace pm::mover {

class Jobs;

// A tier, how well it works, and how fast it is written to.
struct TierLink {
  const pm_tier_t* tier = nullptr;
  std::string name;
  TierHealth* health = nullptr;
  WriteRate* writes = nullptr;
};

// What is done for one effect, on one thread or handed from one to the next. Each call to a tier
// that is made for it has a deadline. A job whose call is past it is abandoned: somebody else
// reports, the thread is replaced, and its objects are left alone until the call has returned.
class Job {
 public:
  // A call about `length` bytes begins. False: do not make it, nobody wants its result.
  bool begin_call(const TierLink& link, std::uint64_t length);
  void end_call();
  // A transfer that has been under way since `since_ns` is waited for; may be said again.
  void await_transfer(const TierLink& link, std::uint64_t length, std::uint64_t since_ns);

  // For the call that has begun; valid until it ends.
  pm_call_context_t context() const;

  // The object that the job makes is there, and this is its cookie.
  void note_made(const catalog::Cookie& cookie);
  // While this pool's threads work for it, too; NULL: no longer.
  void work_in(Workers* background);

  // Waits before a call is repeated. False: do not repeat it.
  bool pause(std::uint32_t attempt);
  bool is_abandoned() const { return abandoned_.load(); }
  std::uint64_t now_ns() const;

 private:
  friend class Jobs;
  explicit Job(Jobs& jobs) : jobs_(jobs) {}

  Jobs& jobs_;
  Workers* pool_ = nullptr;
  std::vector<std::uint64_t> objects_;  // Generations: nobody else may touch them.
  std::uint64_t target_ = 0;            // Of the one that it makes; 0: none.
  std::function<void(const catalog::Outcome&)> on_abandoned_;

  mutable std::mutex mutex_;  // Round what follows.
  const TierLink* link_ = nullptr;
  std::uint64_t began_ns_ = 0;
  std::uint64_t deadline_ns_ = 0;  // 0: no call is under way.
  Workers* background_ = nullptr;
  Workers* added_to_ = nullptr;  // The background when the job was abandoned.
  std::optional<catalog::Cookie> made_;
  std::atomic<bool> abandoned_{false};
};

// The jobs under way, and what those that were abandoned still hold.
class Jobs {
 public:
  // `now_ns` is monotonic. Without pauses, repeats follow at once.
  Jobs(std::uint64_t (*now_ns)(), bool has_pauses) : now_ns_(now_ns), has_pauses_(has_pauses) {}
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  struct Plan {
    Workers* pool = nullptr;
    std::vector<std::uint64_t> objects;
    std::uint64_t target = 0;
    std::function<void(const catalog::Outcome&)> on_abandoned;  // Reports instead.
  };
  std::shared_ptr<Job> begin(Plan plan);
  // At the end of a job. True: report how it went. False: that has been done; what is to be removed
  // now that the job has let go of it is in `removals`.
  bool end(Job& job, std::vector<catalog::RemoveEffect>& removals);

  // Abandons the jobs whose calls are past their deadlines.
  void look(std::uint64_t now_ns);

  // True: a call that was given up still works on the object.
  bool is_held(std::uint64_t generation) const;
  // True: the removal comes out of end() later. Else it may be done now; its cookie is made right.
  bool hold(catalog::RemoveEffect& removal);
  void note_removed(std::uint64_t generation);

  // From now on calls are told that nobody waits, and none is repeated.
  void hurry();
  // Calls that have been under way for so long, in words; empty: none.
  std::string under_way(std::uint64_t least_ns) const;

 private:
  friend class Job;
  struct Held {
    std::uint32_t calls = 0;  // Under way.
    std::optional<catalog::Cookie> made;
    std::optional<catalog::RemoveEffect> removal;
  };

  void let_go(const Job& job, std::uint64_t generation,
              std::vector<catalog::RemoveEffect>& removals);

  std::uint64_t (*const now_ns_)();
  const bool has_pauses_;
  std::atomic<bool> hurried_{false};
  std::atomic<std::size_t> held_count_{0};
  mutable std::mutex mutex_;  // Round what follows; taken before that of a job.
  std::condition_variable hurried_changed_;
  std::list<std::shared_ptr<Job>> jobs_;
  std::list<std::shared_ptr<Job>> given_up_;      // Their calls have not come back yet.
  std::unordered_map<std::uint64_t, Held> held_;  // By generation.
};

}  // namespace pm::mover
