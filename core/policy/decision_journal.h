#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "line_file.h"
#include "questions.h"

namespace pm::policy {

struct JournalOptions {
  std::string path;  // Empty: there is none.
  std::uint64_t bytes_max = 256ull << 20;
  std::size_t queue_max = 65'536;  // Payloads in what waits to be written.
};

struct JournalState {
  std::uint64_t dropped = 0;  // Lines that were not written: no time, no room, no file.
  std::string error;          // Why it cannot be written now; empty: it can.
};

enum class AccessKind : std::uint8_t { read, write, remove };
const char* access_name(AccessKind kind);

// What a client did with a payload.
struct Access {
  AccessKind kind = AccessKind::read;
  TierIndex tier = no_tier;  // Where it was read or written; no_tier: it is not said.
  catalog::Id id;
  std::uint64_t size_bytes = 0;
};

// A file with every decision that rules were asked for, and what clients did, so that other rules
// can be tried on it: one JSON object a line.
//
//   {"at":1764..., "hook":"place", "rule":"lru", "facts":{...}, "answer":{"tier":"shm"}}
//   {"at":1764..., "op":"read", "id":"7f0c...", "size_bytes":4096, "tier":"shm"}
//   {"at":1764..., "op":"begin", "tiers":[...], "policies":[{"name":"lru.lua", "text":"..."}]}
//
// `at` is wall time in nanoseconds. Facts and answers are those of examples; no "rule", and no
// "answer": the default was to decide. Each file begins with what the tiers and the policies are,
// and so does each load of new ones. A thread of its own makes the lines and writes them, and
// nobody waits for it: what is too much is dropped and counted. [thread-safe]
class DecisionJournal {
 public:
  explicit DecisionJournal(const JournalOptions& options);
  ~DecisionJournal();  // Writes what was noted.
  DecisionJournal(const DecisionJournal&) = delete;
  DecisionJournal& operator=(const DecisionJournal&) = delete;

  // Known before anything else is noted,
  void set_tiers(const std::vector<TierFacts>& tiers);
  // and whenever they are loaded.
  void set_policies(std::vector<SourceFile> files);

  // Takes the facts. An empty rule: the default.
  template <typename Facts>
  void note(Facts&& facts, const DecisionOf<Facts>& decision, const std::string& rule);
  void note(const Access& access);

  JournalState state();
  // Until what was noted before has been written or dropped.
  void flush();

 private:
  struct Head {
    std::vector<TierFacts> tiers;
    std::vector<SourceFile> policies;
  };
  // Something that rules were asked.
  struct Noted {
    Noted() = default;
    Noted(const Noted&) = delete;
    Noted& operator=(const Noted&) = delete;
    virtual ~Noted() = default;
    virtual void write(std::string& line) const = 0;
  };
  template <typename Facts>
  struct NotedOf;
  struct Entry {
    std::int64_t at_ns = 0;
    std::variant<Access, std::unique_ptr<Noted>, std::shared_ptr<const Head>> what;
  };

  void push(Entry entry, std::size_t weight);
  void begin_anew();
  void run();
  void write(const std::vector<Entry>& entries);
  std::string line_of(const Entry& entry);
  void put(const std::string& line, std::int64_t at_ns);
  void put_out();
  void note_outcome(const Status& status, std::uint64_t lines);

  const JournalOptions options_;

  std::mutex mutex_;  // Of what follows. Held for moments only.
  std::condition_variable wakes_;
  std::condition_variable written_;
  std::vector<Entry> queue_;
  std::size_t weight_ = 0;
  std::uint64_t noted_count_ = 0;
  std::uint64_t done_count_ = 0;
  std::size_t flushing_ = 0;
  bool is_stopped_ = false;
  JournalState state_;
  Head head_;

  // Of the thread.
  LineFile file_;
  std::shared_ptr<const Head> written_head_;
  std::string out_;
  std::uint64_t out_lines_ = 0;
  std::thread thread_;
};

}  // namespace pm::policy
