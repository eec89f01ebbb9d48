#include "service.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/observe/log.h"
#include "policy.h"

namespace pm::policy {

namespace {

constexpr std::chrono::seconds load_limit{10};

struct RuleName {
  Hook hook;
  std::string name;
};

}  // namespace

// One reading of the scripts: a state for each worker. Those who are still asking when another one
// takes its place finish with it.
struct Service::Loaded {
  struct Worker {
    std::unique_ptr<Policy> policy;  // The worker's own.
    std::size_t suspended = 0;       // So many of `suspended` are its own, too.
    std::mutex mutex;
    std::vector<RuleState> states;  // Of `policy`, after its last question; under `mutex`.
  };

  std::uint64_t generation = 0;
  std::vector<SourceFile> files;
  std::vector<Worker> workers;
  // Under the service's lock:
  std::vector<RuleState> rules;     // Without counts; is_suspended holds for all workers.
  std::vector<RuleName> suspended;  // In the order in which it happened.
};

struct Service::Task {
  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() = default;

  virtual Hook hook() const = 0;
  // Asks, and notes which rule has answered.
  virtual void ask(Policy& policy, DecisionJournal* journal) = 0;
  virtual void answer() = 0;

  std::string rule;
};

template <typename Facts>
struct Service::TaskOf final : Task {
  TaskOf(Gather<Facts> given, Answered<DecisionOf<Facts>> then)
      : gather(std::move(given)), answered(std::move(then)) {}

  Hook hook() const override { return Question<Facts>::hook; }
  void ask(Policy& policy, DecisionJournal* journal) override {
    std::optional<Facts> facts = gather();
    if (!facts) return;
    rule = policy.ask(*facts, decision);
    if (journal != nullptr) journal->note(*std::move(facts), decision, rule);
  }
  void answer() override { answered(std::move(decision), rule); }

  Gather<Facts> gather;
  DecisionOf<Facts> decision;
  Answered<DecisionOf<Facts>> answered;
};

// ---- loading ----

Result<std::unique_ptr<Service>> Service::start(const ServiceOptions& options) {
  std::unique_ptr<Service> service(new Service(options));
  PM_TRY(service->reload());
  const std::size_t workers = service->loaded_->workers.size();
  for (std::size_t worker = 0; worker < workers; ++worker) {
    service->workers_.emplace_back(&Service::work, service.get(), worker);
  }
  return service;
}

Service::Service(const ServiceOptions& options)
    : options_(options),
      journal_(options.journal.path.empty() ? nullptr
                                            : std::make_unique<DecisionJournal>(options.journal)) {}
Service::~Service() { stop(); }

Result<std::shared_ptr<Service::Loaded>> Service::load(std::uint64_t generation) {
  const auto files = read_scripts(options_.places);
  if (!files.ok()) return files.status();
  // Each file and each example has a limit of its own; so many of them need one, too.
  const auto begun = std::chrono::steady_clock::now();
  const auto patience = [&]() -> Status {
    if (is_stopped_) return {Code::unavailable, "the host is shutting down"};
    if (std::chrono::steady_clock::now() - begun < load_limit) return {};
    return {Code::resource_exhausted, "the scripts take longer than " +
                                          std::to_string(load_limit.count()) +
                                          " s to be loaded and tried"};
  };
  auto loaded = std::make_shared<Loaded>();
  loaded->generation = generation;
  loaded->files = *files;
  loaded->workers = std::vector<Loaded::Worker>(std::max<std::size_t>(options_.workers, 1));
  for (Loaded::Worker& worker : loaded->workers) {
    PM_TRY(patience());
    auto policy = Policy::load(*files, options_.limits);
    if (!policy.ok()) return policy.status();
    worker.policy = *std::move(policy);
    worker.states = worker.policy->rules().states();
  }
  PM_TRY(loaded->workers.front().policy->check_examples(patience));
  loaded->rules = loaded->workers.front().states;
  return loaded;
}

Status Service::reload() {
  const std::lock_guard reloading(reloading_);
  std::uint64_t generation = 1;
  {
    const std::lock_guard lock(mutex_);
    if (loaded_ != nullptr) generation = loaded_->generation + 1;
  }
  // Before the files are read, so that what is written meanwhile is seen as a change.
  std::string fingerprint = fingerprint_of(options_.places);
  auto loaded = load(generation);
  std::shared_ptr<Loaded> old;  // Goes when the lock is free again: it may be large.
  const std::lock_guard lock(mutex_);
  fingerprint_ = std::move(fingerprint);
  last_reload_error_ = loaded.status().message();
  if (!loaded.ok()) return loaded.status();
  old = std::exchange(loaded_, *std::move(loaded));
  publish(*loaded_);
  if (journal_ != nullptr) journal_->set_policies(loaded_->files);
  return {};
}

bool Service::files_changed() {
  const std::string fingerprint = fingerprint_of(options_.places);
  const std::lock_guard lock(mutex_);
  return fingerprint != fingerprint_;
}

// Under the lock: what can be read without it.
void Service::publish(const Loaded& loaded) {
  for (std::size_t number = 0; number < hooks_count; ++number) {
    asks_[number].store(std::ranges::any_of(loaded.rules,
                                            [number](const RuleState& rule) {
                                              return rule.hook == static_cast<Hook>(number) &&
                                                     !rule.is_suspended;
                                            }),
                        std::memory_order_relaxed);
  }
  order_.store(order_of(loaded.rules), std::memory_order_relaxed);
}

// ---- asking ----

template <typename Facts>
void Service::ask(Gather<Facts> gather, Answered<DecisionOf<Facts>> answered) {
  put(std::make_unique<TaskOf<Facts>>(std::move(gather), std::move(answered)));
}
template void Service::ask<PlaceFacts>(Gather<PlaceFacts>, Answered<PlaceDecision>);
template void Service::ask<AdmitFacts>(Gather<AdmitFacts>, Answered<AdmitDecision>);
template void Service::ask<SpillFacts>(Gather<SpillFacts>, Answered<SpillDecision>);
template void Service::ask<PromoteFacts>(Gather<PromoteFacts>, Answered<PromoteDecision>);
template void Service::ask<RetainFacts>(Gather<RetainFacts>, Answered<RetainDecision>);

void Service::put(std::unique_ptr<Task> task) {
  questions_.fetch_add(1, std::memory_order_relaxed);
  std::atomic<std::uint64_t>* count = &defaults_;
  if (asks(task->hook())) {
    const std::lock_guard lock(mutex_);
    const bool may_be_left_out = task->hook() == Hook::promote || task->hook() == Hook::retain;
    const std::size_t most = may_be_left_out ? options_.questions_max / 4 : options_.questions_max;
    if (!is_stopped_ && tasks_.size() < most) {
      tasks_.push_back(std::move(task));
      wakes_.notify_one();
      return;
    }
    count = &dropped_;
  }
  count->fetch_add(1, std::memory_order_relaxed);
  task->answer();
}

void Service::work(std::size_t number) {
  while (true) {
    std::unique_ptr<Task> task;
    std::shared_ptr<Loaded> loaded;
    {
      std::unique_lock lock(mutex_);
      wakes_.wait(lock, [this] { return is_stopped_ || !tasks_.empty(); });
      if (is_stopped_) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
      loaded = loaded_;
      Loaded::Worker& worker = loaded->workers[number];
      for (; worker.suspended < loaded->suspended.size(); ++worker.suspended) {
        const RuleName& rule = loaded->suspended[worker.suspended];
        worker.policy->rules().suspend(rule.hook, rule.name);
      }
    }
    task->ask(*loaded->workers[number].policy, journal_.get());
    bool has_suspended = false;
    {
      Loaded::Worker& worker = loaded->workers[number];
      const std::lock_guard lock(worker.mutex);
      has_suspended = worker.policy->rules().refresh(task->hook(), worker.states);
    }
    if (has_suspended) {
      note_suspensions(loaded, number);
      if (is_watched_ && options_.on_changed) options_.on_changed();
    }
    if (task->rule.empty()) defaults_.fetch_add(1, std::memory_order_relaxed);
    task->answer();
  }
}

// A rule that this worker asks no more is asked by nobody any more. Only this worker writes its
// states, so it reads them without their lock.
void Service::note_suspensions(const std::shared_ptr<Loaded>& loaded, std::size_t number) {
  const Loaded::Worker& worker = loaded->workers[number];
  const std::lock_guard lock(mutex_);
  for (std::size_t rule = 0; rule < loaded->rules.size(); ++rule) {
    if (!worker.states[rule].is_suspended || loaded->rules[rule].is_suspended) continue;
    loaded->rules[rule].is_suspended = true;
    loaded->suspended.push_back({loaded->rules[rule].hook, loaded->rules[rule].name});
  }
  if (loaded == loaded_) publish(*loaded);
}

// ---- new files ----

void Service::watch() {
  is_watched_ = true;
  keeper_ = std::thread(&Service::keep_up, this);
}

void Service::begin_reload(std::function<void(const Status&)> then) {
  {
    const std::lock_guard lock(mutex_);
    if (!is_stopped_) {
      wants_reload_.push_back(std::move(then));
      wants_changed_.notify_one();
      return;
    }
  }
  then(Status(Code::unavailable, "the host is shutting down"));
}

// Loads the files when somebody wants it, or they have changed.
void Service::keep_up() {
  std::unique_lock lock(mutex_);
  while (!is_stopped_) {
    const auto wakes = [this] { return is_stopped_ || !wants_reload_.empty(); };
    if (options_.look_ms == 0) {
      wants_changed_.wait(lock, wakes);
    } else {
      wants_changed_.wait_for(lock, std::chrono::milliseconds(options_.look_ms), wakes);
    }
    if (is_stopped_) return;
    const auto wants = std::exchange(wants_reload_, {});
    lock.unlock();
    if (!wants.empty() || files_changed()) {
      const Status status = reload();
      if (status.ok()) {
        log::info("policy", "the scripts were loaded anew");
        if (options_.on_changed) options_.on_changed();
      } else {
        log::error("policy", "reload: " + status.message() + "; what was loaded before stays");
      }
      for (const auto& then : wants) then(status);
    }
    lock.lock();
  }
}

// ---- the end, and what it was like ----

void Service::stop() {
  std::deque<std::unique_ptr<Task>> waiting;
  std::vector<std::thread> workers;
  std::vector<std::function<void(const Status&)>> wants;
  std::thread keeper;
  {
    const std::lock_guard lock(mutex_);
    is_stopped_ = true;
    waiting.swap(tasks_);
    workers.swap(workers_);
    wants.swap(wants_reload_);
    keeper.swap(keeper_);
    wakes_.notify_all();
    wants_changed_.notify_all();
  }
  for (std::thread& worker : workers) worker.join();
  if (keeper.joinable()) keeper.join();
  for (const auto& then : wants) then(Status(Code::unavailable, "the host is shutting down"));
  for (const std::unique_ptr<Task>& task : waiting) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    task->answer();
  }
}

ServiceStates Service::states() {
  ServiceStates states;
  std::shared_ptr<Loaded> loaded;
  {
    const std::lock_guard lock(mutex_);
    loaded = loaded_;
    states.rules = loaded->rules;
    states.last_reload_error = last_reload_error_;
  }
  for (const SourceFile& file : loaded->files) states.files.push_back(file.name);
  states.generation = loaded->generation;
  states.questions = questions_.load(std::memory_order_relaxed);
  states.defaults = defaults_.load(std::memory_order_relaxed);
  states.dropped = dropped_.load(std::memory_order_relaxed);
  if (journal_ != nullptr) states.journal = journal_->state();
  for (Loaded::Worker& worker : loaded->workers) {
    const std::lock_guard lock(worker.mutex);
    for (std::size_t number = 0; number < states.rules.size(); ++number) {
      const RuleState& state = worker.states[number];
      RuleState& sum = states.rules[number];
      sum.counts.asked += state.counts.asked;
      sum.counts.answered += state.counts.answered;
      sum.counts.failed += state.counts.failed;
      // The failure that has ended a rule says more than one that it survived.
      const bool has_ended = state.is_suspended && state.counts.failed != 0;
      if (sum.last_error.empty() || (has_ended && !state.last_error.empty())) {
        sum.last_error = state.last_error;
      }
    }
  }
  return states;
}

}  // namespace pm::policy
