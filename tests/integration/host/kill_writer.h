#pragma once

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "oracle.h"

// A client whose host is killed again and again, and its log of what it was promised.

namespace pm::integration {

// One thread at a time.
class KillWriter {
 public:
  explicit KillWriter(unsigned seed) : random_(seed) {}

  // A call without an answer until its deadline is no broken promise from now on.
  void let_host_fall_silent() { host_may_fall_silent_ = true; }

  // Puts, moves, reads and deletes payloads of its own until told to stop or the host is gone.
  void work(client::Client& client, const std::atomic<bool>& stop);

  // After a restart: compares what is there with the log, and what was unknown becomes known.
  // False: the host went away meanwhile; what was not looked at is looked at the next time.
  bool audit(client::Client& client);

  // Of the last audit: those that must be listed.
  const std::vector<Known>& payloads() const { return known_; }
  // Broken promises, in words.
  const Violations& violations() const { return violations_; }
  std::uint64_t answers() const { return answers_; }
  std::uint64_t unknowns() const { return unknowns_; }
  // Answers for want of something, and calls without an answer.
  std::uint64_t refusals() const { return refusals_; }

 private:
  bool host_is_gone(const Status& status, const char* what, const client::PayloadId& id);
  bool put_one(client::Client& client);
  bool move_one(client::Client& client, Known& known);
  bool read_one(client::Client& client, Known& known);
  bool delete_one(client::Client& client, Known& known);
  void violate(const std::string& what, const client::PayloadId& id);

  std::minstd_rand random_;
  std::vector<Known> known_;
  Violations violations_;
  std::uint64_t answers_ = 0;
  std::uint64_t unknowns_ = 0;
  std::uint64_t refusals_ = 0;
  bool host_may_fall_silent_ = false;
};

}  // namespace pm::integration
