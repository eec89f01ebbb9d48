#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "client_process.h"
#include "host_process.h"
#include "oracle.h"

// One host, payloads of those who stay alive, and what must hold whatever other clients do.

namespace pm::clients {

class Scene {
 public:
  // Room of what was given up is kept for its writer for `grace_ms`.
  Scene(std::uint32_t seed, std::uint64_t grace_ms);

  // Starts the host, and puts payloads into each kind of room.
  bool begin(const integration::Environment& environment = {});

  integration::HostProcess& host() { return host_; }
  client::Client& client() { return *client_; }
  integration::Violations& violations() { return violations_; }
  std::uint64_t random(std::uint64_t below) { return random_() % below; }
  std::uint32_t next_number() { return ++number_; }

  // Starts clients in these poses and waits until they have taken them; a complaint otherwise.
  ClientProcesses start(const std::vector<Pose>& poses);

  // A payload that is leased here and by the next clients, then deleted by force.
  void share_one();
  void erase_shared();
  // Its bytes are as they were. I6.
  void check_shared();
  // Ends the lease on it.
  void end_shared();

  // What dead or stopped clients had is known from now on.
  void take_over(const Story& story);
  // I1 to I7 and I10, of all that is known; deletes what was taken over.
  void audit();
  // Puts payloads into all of shared memory and into blocks of the disk, and reads them when
  // `meanwhile` has passed: room that was given back twice would be in two of them.
  void fill_all_room(const std::function<void()>& meanwhile);
  // I4: all that is there is what is known, at this monotonic time.
  void audit_room(std::uint64_t by_ns);
  // No lease is there but so many of ours, at this monotonic time.
  void audit_leases(std::uint64_t ours, std::uint64_t by_ns);
  // Everything is deleted, and nothing may be left of it.
  void end();

 private:
  void put(client::Tier tier, client::Layout layout);
  void fail(const std::string& what) { violations_.push_back(what); }

  integration::HostProcess host_;
  std::optional<client::Client> client_;
  std::minstd_rand random_;
  std::uint32_t number_;
  std::vector<integration::Known> own_;     // Those who stay.
  std::vector<integration::Known> others_;  // Taken over.
  std::optional<integration::HeldLease> shared_;
  std::optional<client::PayloadId> shared_id_;
  std::set<std::string> names_;
  integration::Violations violations_;
};

void sleep_until(std::uint64_t monotonic_ns);

}  // namespace pm::clients
