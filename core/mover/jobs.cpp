#include "jobs.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

#include "core/catalog/mutant.h"
#include "core/observe/log.h"

namespace pm::mover {

namespace {

// Calls about many bytes get as much longer as a slow disk would need.
constexpr std::uint64_t slow_bytes_per_ms = 16 << 10;
constexpr std::uint64_t ms_ns = 1'000'000;

std::uint64_t time_for(const TierLink& link, std::uint64_t length) {
  return link.health->options().call_ns_max + length / slow_bytes_per_ms * ms_ns;
}

// For tiers that look at the clock themselves.
std::uint64_t slack(const TierLink& link) {
  return std::min(link.health->options().call_ns_max / 8, 1'000 * ms_ns);
}

bool is_cancelled(const pm_call_context_t* context) {
  return static_cast<const Job*>(context->host_data)->is_abandoned();
}

std::string in_ms(std::uint64_t ns) { return std::to_string(ns / ms_ns) + " ms"; }

}  // namespace

// ---- one job ----

std::uint64_t Job::now_ns() const { return jobs_.now_ns_(); }

bool Job::begin_call(const TierLink& link, std::uint64_t length) {
  const std::lock_guard lock(mutex_);
  if (abandoned_.load()) return false;
  link_ = &link;
  began_ns_ = now_ns();
  deadline_ns_ = began_ns_ + time_for(link, length);
  return true;
}

void Job::end_call() {
  const std::lock_guard lock(mutex_);
  deadline_ns_ = 0;
}

void Job::await_transfer(const TierLink& link, std::uint64_t length, std::uint64_t since_ns) {
  const std::lock_guard lock(mutex_);
  if (abandoned_.load()) return;
  link_ = &link;
  began_ns_ = since_ns;
  deadline_ns_ = since_ns + time_for(link, length);
}

pm_call_context_t Job::context() const {
  pm_call_context_t context{};
  context.size = sizeof context;
  context.deadline_ns = deadline_ns_;
  context.host_data = const_cast<Job*>(this);
  context.is_cancelled = [](const pm_call_context_t* its) {
    return is_cancelled(its) || static_cast<const Job*>(its->host_data)->jobs_.hurried_.load();
  };
  return context;
}

void Job::note_made(const catalog::Cookie& cookie) {
  const std::lock_guard lock(mutex_);
  made_ = cookie;
}

void Job::work_in(Workers* background) {
  const std::lock_guard lock(mutex_);
  background_ = background;
}

// Exponential, and anything from nothing up to it ("full jitter",
// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter).
bool Job::pause(std::uint32_t attempt) {
  if (!jobs_.has_pauses_) return !is_abandoned();
  constexpr std::uint64_t first_ms = 20;
  thread_local std::minstd_rand random{std::random_device{}()};
  const std::uint64_t most_ms = first_ms << std::min(attempt - 1, 8u);
  const std::chrono::milliseconds time(random() % (most_ms + 1));
  std::unique_lock lock(jobs_.mutex_);
  jobs_.hurried_changed_.wait_for(lock, time, [this] { return jobs_.hurried_.load(); });
  return !jobs_.hurried_.load() && !is_abandoned();
}

// ---- all of them ----

std::shared_ptr<Job> Jobs::begin(Plan plan) {
  std::shared_ptr<Job> job(new Job(*this));
  job->pool_ = plan.pool;
  job->objects_ = std::move(plan.objects);
  job->target_ = plan.target;
  job->on_abandoned_ = std::move(plan.on_abandoned);
  const std::lock_guard lock(mutex_);
  jobs_.push_back(job);
  return job;
}

bool Jobs::end(Job& job, std::vector<catalog::RemoveEffect>& removals) {
  const std::lock_guard lock(mutex_);
  const bool is_wanted = !job.is_abandoned();
  (is_wanted ? jobs_ : given_up_).remove_if([&job](const auto& each) {
    return each.get() == &job;
  });
  if (is_wanted) return true;
  for (const std::uint64_t generation : job.objects_) let_go(job, generation, removals);
  job.pool_->retire_one();
  if (job.added_to_ != nullptr) job.added_to_->retire_one();
  job.link_->health->note_returned();
  log::info("mover", "a call to the tier " + job.link_->name + " that was given up has ended");
  return false;
}

void Jobs::let_go(const Job& job, std::uint64_t generation,
                  std::vector<catalog::RemoveEffect>& removals) {
  const auto found = held_.find(generation);
  Held& held = found->second;
  if (job.target_ == generation) held.made = job.made_;
  if (--held.calls > 0) return;
  if (held.removal) removals.push_back(*held.removal);
  held.removal.reset();
  if (held.made) return;  // Removals need the cookie, until one has been done.
  held_.erase(found);
  --held_count_;
}

void Jobs::look(std::uint64_t now_ns) {
  std::vector<std::shared_ptr<Job>> late;
  {
    const std::lock_guard lock(mutex_);
    for (auto at = jobs_.begin(); at != jobs_.end();) {
      const std::shared_ptr<Job> job = *at;
      const std::lock_guard job_lock(job->mutex_);
      if (job->deadline_ns_ == 0 || now_ns <= job->deadline_ns_ + slack(*job->link_)) {
        ++at;
        continue;
      }
      job->abandoned_.store(true);
      for (const std::uint64_t generation : job->objects_) {
        const auto [held, is_new] = held_.try_emplace(generation);
        ++held->second.calls;
        if (is_new) ++held_count_;
      }
      job->added_to_ = job->background_;
      late.push_back(job);
      given_up_.push_back(job);
      at = jobs_.erase(at);
    }
  }
  for (const std::shared_ptr<Job>& job : late) {
    // The job may go on by now; what is read here does not change any more.
    const TierLink& link = *job->link_;
    const std::string words =
        "a call has not come back for " + in_ms(now_ns - job->began_ns_) + " and is given up";
    log::warn("mover", "the tier " + link.name + ": " + words);
    job->pool_->add_one();
    if (job->added_to_ != nullptr) job->added_to_->add_one();
    link.health->note_abandoned(words);
    job->on_abandoned_({PM_UNAVAILABLE, "the tier " + link.name + ": " + words});
  }
}

bool Jobs::is_held(std::uint64_t generation) const {
  if (held_count_.load() == 0) return false;
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(generation);
  return found != held_.end() && found->second.calls > 0;
}

bool Jobs::hold(catalog::RemoveEffect& removal) {
  if (held_count_.load() == 0) return false;
  if (catalog::is_planted(catalog::Mutant::hung_object_is_not_held)) return false;
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(removal.object.generation);
  if (found == held_.end()) return false;
  if (found->second.calls > 0) {
    found->second.removal = removal;
    return true;
  }
  if (found->second.made) removal.object.cookie = *found->second.made;
  return false;
}

void Jobs::note_removed(std::uint64_t generation) {
  if (held_count_.load() == 0) return;
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(generation);
  if (found == held_.end() || found->second.calls > 0) return;
  held_.erase(found);
  --held_count_;
}

void Jobs::hurry() {
  {
    const std::lock_guard lock(mutex_);
    hurried_.store(true);
  }
  hurried_changed_.notify_all();
}

std::string Jobs::under_way(std::uint64_t least_ns) const {
  std::string words;
  const std::lock_guard lock(mutex_);
  for (const auto* jobs : {&jobs_, &given_up_}) {
    for (const std::shared_ptr<Job>& job : *jobs) {
      const std::lock_guard job_lock(job->mutex_);
      if (job->deadline_ns_ == 0 || now_ns_() < job->began_ns_ + least_ns) continue;
      words += (words.empty() ? "" : ", ") + std::string("tier ") + job->link_->name + " for " +
               in_ms(now_ns_() - job->began_ns_);
    }
  }
  return words;
}

}  // namespace pm::mover
