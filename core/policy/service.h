#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <pm/cpp/result.hpp>
#include <string>
#include <thread>
#include <vector>

#include "decision_journal.h"
#include "questions.h"
#include "script_files.h"

namespace pm::policy {

struct ServiceOptions {
  ScriptPlaces places;
  std::size_t workers = 1;
  // Of those that wait. Those that can be left out, of promote and retain, take a quarter of it.
  std::size_t questions_max = 65'536;
  SandboxLimits limits;
  JournalOptions journal;
  std::uint64_t look_ms = 0;  // How often files are looked at for changes; 0: never.
  // What asks() and spill_order() say has changed: after a reload that succeeded, or when a rule
  // was suspended. Called on a thread of the service's, without a lock; it may ask. Not before
  // watch().
  std::function<void()> on_changed;
};

struct ServiceStates {
  std::vector<RuleState> rules;  // Of all workers, since the last reload.
  std::vector<std::string> files;
  std::uint64_t generation = 0;   // Counts reloads that succeeded; the first one is 1.
  std::string last_reload_error;  // Of the last one, if it failed.
  std::uint64_t questions = 0;    // Of them,
  std::uint64_t defaults = 0;     // no rule answered so many,
  std::uint64_t dropped = 0;      // and so many were not asked: too many waited, or it has stopped.
  JournalState journal;
};

// Rules that are asked by threads of their own, so that no script runs on anybody else's. Every
// function may be called from any thread, but for those that say otherwise.
class Service {
 public:
  // Reads and tries the scripts; an error says file, line and why. From watch() on files are looked
  // at for changes, and begin_reload() is served.
  static Result<std::unique_ptr<Service>> start(const ServiceOptions& options);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Once, when those who are told of changes are there.
  void watch();

  // Is there any rule that would be asked? Takes no lock.
  bool asks(Hook hook) const {
    return asks_[static_cast<std::size_t>(hook)].load(std::memory_order_relaxed);
  }
  // How the candidates of the next spill are to be chosen. Takes no lock.
  CandidateOrder spill_order() const { return order_.load(std::memory_order_relaxed); }

  // Where all that is asked is noted, when a rule was there to be asked; null: nowhere.
  DecisionJournal* journal() { return journal_.get(); }

  // What a rule is to be told, as it is when its turn has come: called by the worker. Without a
  // value there is nothing to ask any more.
  template <typename Facts>
  using Gather = std::function<std::optional<Facts>()>;
  // Given the name of the rule that answered; an empty one: none did, the default is to. Called
  // once, by a worker without any lock, or before ask() comes back when nobody is to be asked or
  // nobody can be.
  template <typename Decision>
  using Answered = std::function<void(Decision decision, const std::string& rule)>;
  template <typename Facts>
  void ask(Gather<Facts> gather, Answered<DecisionOf<Facts>> answered);

  // Reads the scripts again, and tries them; from then on all questions are asked of them. When
  // that fails, all is as before, and the error says file, line and why.
  Status reload();
  // The same on the service's own thread for it, which then says how it went.
  void begin_reload(std::function<void(const Status&)> then);
  // Has any of the files changed since they were last read, with success or not?
  bool files_changed();

  ServiceStates states();

  // What waits is answered with the default. Waits for questions under way; not to be called by
  // what is called with an answer.
  void stop();

 private:
  struct Loaded;
  struct Task;
  template <typename Facts>
  struct TaskOf;

  explicit Service(const ServiceOptions& options);

  Result<std::shared_ptr<Loaded>> load(std::uint64_t generation);
  void put(std::unique_ptr<Task> task);
  void work(std::size_t worker);
  void keep_up();
  void note_suspensions(const std::shared_ptr<Loaded>& loaded, std::size_t worker);
  void publish(const Loaded& loaded);

  const ServiceOptions options_;
  const std::unique_ptr<DecisionJournal> journal_;
  std::array<std::atomic<bool>, hooks_count> asks_{};
  std::atomic<CandidateOrder> order_ = CandidateOrder::oldest;
  std::atomic<std::uint64_t> questions_ = 0;
  std::atomic<std::uint64_t> defaults_ = 0;
  std::atomic<std::uint64_t> dropped_ = 0;

  std::mutex reloading_;
  std::mutex mutex_;  // Of what follows. Never held while a rule is asked or files are read.
  std::condition_variable wakes_;
  std::deque<std::unique_ptr<Task>> tasks_;
  std::shared_ptr<Loaded> loaded_;
  std::string fingerprint_;
  std::string last_reload_error_;
  std::atomic<bool> is_stopped_ = false;  // Written under the lock.
  std::atomic<bool> is_watched_ = false;
  std::vector<std::function<void(const Status&)>> wants_reload_;
  std::condition_variable wants_changed_;
  std::vector<std::thread> workers_;
  std::thread keeper_;
};

}  // namespace pm::policy
