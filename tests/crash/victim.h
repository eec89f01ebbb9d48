#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cells.h"
#include "workload.h"

// What the client of one trial does: payloads in every state beforehand, then the one operation
// under which the host dies.

namespace pm::crash {

class Victim {
 public:
  Victim(const Cell& cell, Workload& workload);

  // The point at which the first life ends; empty: the test ends it.
  std::string first_point() const;
  // That at which the second one ends, while it recovers; empty: it does not.
  std::string second_point();
  // One that every recovery passes, or empty: to be killed at any time.
  std::string any_point_of_recovery();

  void prepare(client::Client& client);
  // Of prepare(), what is allocated and not committed.
  std::uint64_t uncommitted() const { return uncommitted_; }
  // `kill` is for the cells without a point.
  void act(client::Client& client, const std::function<void()>& kill);
  // What is done to the host's files before it starts again.
  void after_death(const HostProcess& host);

  // In the next life: deletes the payload that the first one leased out, and puts another in its
  // place, if it can be taken.
  void end_lease(client::Client& client);
  // I6, of that lease.
  void check_lease(Violations& violations) const;

 private:
  bool is_step(const char* name) const;
  client::CreateOptions home();
  void prepare_others(client::Client& client);
  void prepare_target(client::Client& client);
  void act_on_lease(client::Client& client);

  const Cell& cell_;
  Workload& workload_;
  bool of_void_;
  client::Tier void_home_;
  std::uint64_t small_bytes_;
  std::uint64_t moved_bytes_;
  std::uint64_t uncommitted_ = 0;
  std::optional<client::Descriptor> written_;  // What is to be written or committed.
  std::vector<client::PayloadId> targets_;
  client::PayloadId with_two_copies_;
  std::optional<integration::HeldLease> held_;
  client::Descriptor upper_copy_;  // Of with_two_copies_.
};

}  // namespace pm::crash
