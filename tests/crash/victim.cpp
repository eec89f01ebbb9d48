#include "victim.h"

#include <chrono>
#include <filesystem>
#include <string_view>
#include <thread>

namespace pm::crash {

namespace fs = std::filesystem;

namespace {

// Three chunks of a move.
constexpr std::uint64_t large_bytes = 5 << 19;

constexpr std::uint64_t short_lease_ms = 100;

}  // namespace

Victim::Victim(const Cell& cell, Workload& workload)
    : cell_(cell),
      workload_(workload),
      of_void_(cell.medium == Medium::void_tier),
      void_home_(cell.point.starts_with("disk.") || workload.random(2) == 0 ? client::Tier::disk
                                                                            : client::Tier::ram),
      small_bytes_(1 + workload.random(64 << 10)),
      moved_bytes_(is_step("half_copied") || workload.random(4) == 0 ? large_bytes : small_bytes_) {
}

bool Victim::is_step(const char* name) const { return std::string_view(cell_.step) == name; }

std::string Victim::first_point() const {
  if (cell_.operation != Operation::recovery) return cell_.point;
  // Something that no row names any more.
  return of_void_ && is_step("orphans") ? "mover.before_remove" : "";
}

std::string Victim::second_point() {
  if (cell_.operation != Operation::recovery) return {};
  // Of the four copies at least that prepare() has made.
  return is_step("adopted") ? cell_.point + ":" + std::to_string(1 + workload_.random(4))
                            : cell_.point;
}

std::string Victim::any_point_of_recovery() {
  switch (workload_.random(4)) {
    case 0: return "recovery.before_adopt:" + std::to_string(1 + workload_.random(4));
    case 1: return "recovery.after_adopt:" + std::to_string(1 + workload_.random(4));
    // The allocation that prepare() leaves.
    case 2: return workload_.random(2) == 0 ? "mover.before_remove" : "mover.after_remove";
    default: return {};
  }
}

// Where the operation's payload is made, and how.
client::CreateOptions Victim::home() {
  client::CreateOptions options;
  options.layout = workload_.random(2) == 0 ? client::Layout::slab : client::Layout::segment;
  options.tier = client::Tier::ram;
  if (cell_.medium == Medium::disk) options.tier = client::Tier::disk;
  if (of_void_) {
    options.tier = void_home_;
    options.eviction.spill_target = client::Tier::void_tier;
  }
  return options;
}

void Victim::prepare(client::Client& client) {
  prepare_others(client);
  if (workload_.violations().empty()) prepare_target(client);
}

// A payload deleted, one committed, one with two copies, one leased, one being written.
void Victim::prepare_others(client::Client& client) {
  workload_.put(client, small_bytes_, home());
  workload_.erase(client, workload_.last().id);
  workload_.put(client, 1 + workload_.random(20'000), home());
  client::CreateOptions lower = home();
  lower.tier = client::Tier::disk;
  workload_.put(client, 1 + workload_.random(20'000), lower);
  with_two_copies_ = workload_.last().id;
  workload_.promote(client, with_two_copies_, client::Tier::ram, false);
  const auto upper = client.resolve(with_two_copies_);
  workload_.put(client, small_bytes_, home());
  auto held = integration::HeldLease::take(client, workload_.last(), {.duration_ms = 60'000});
  const auto begun = workload_.allocate(client, 1 + workload_.random(20'000), home());
  if (!upper || !held || !begun) {
    workload_.violations().push_back("the payloads cannot be prepared");
    return;
  }
  upper_copy_ = *upper;
  held_.emplace(*std::move(held));
  workload_.write(*begun, 0, begun->size_bytes / 2);
  ++uncommitted_;
}

void Victim::prepare_target(client::Client& client) {
  client::CreateOptions options = home();
  std::uint64_t bytes = small_bytes_;
  int copies = 1;
  switch (cell_.operation) {
    case Operation::allocate: return;
    case Operation::write:
    case Operation::commit: {
      auto allocated = workload_.allocate(client, small_bytes_, options);
      if (allocated) written_ = *std::move(allocated);
      if (written_ && cell_.operation == Operation::commit) {
        workload_.write(*written_, 0, small_bytes_);
      }
      ++uncommitted_;
      return;
    }
    case Operation::spill:
      bytes = moved_bytes_;
      options.tier = cell_.medium == Medium::shm    ? fast
                     : cell_.medium == Medium::disk ? client::Tier::ram
                                                    : client::Tier::disk;
      copies = of_void_ ? 2 : 1;
      break;
    case Operation::promote:
      bytes = moved_bytes_;
      options.tier = cell_.medium == Medium::disk ? slow : client::Tier::disk;
      break;
    case Operation::erase:
      if (of_void_) {
        options.tier = fast;
        bytes = large_bytes;
      }
      break;
    case Operation::lease: break;
    case Operation::recovery:
      if (!of_void_ || !is_step("orphans")) return;
      break;
  }
  const int payloads =
      cell_.operation == Operation::spill && of_void_ && is_step("half_copied") ? 2 : 1;
  for (int payload = 0; payload < payloads; ++payload) {
    workload_.put(client, bytes, options);
    targets_.push_back(workload_.last().id);
    if (copies == 2) {
      workload_.promote(client, targets_.back(), client::Tier::ram, false);
    }
  }
}

void Victim::act(client::Client& client, const std::function<void()>& kill) {
  switch (cell_.operation) {
    case Operation::allocate:
      static_cast<void>(workload_.allocate(client, small_bytes_, home()));
      return;
    case Operation::write: {
      // The writer goes on writing, as it does not know better.
      const std::uint64_t until = small_bytes_ * (cell_.side == Side::before ? 1 : 3) / 4;
      workload_.write(*written_, 0, until);
      kill();
      workload_.write(*written_, until, small_bytes_);
      return;
    }
    case Operation::commit: {
      const bool checked = is_step("checksum") || workload_.random(2) == 0;
      workload_.commit(
          client, *written_,
          checked ? client::ChecksumAlgorithm::sha256 : client::ChecksumAlgorithm::none,
          checked && workload_.random(2) == 0);
      return;
    }
    case Operation::spill:
      workload_.spill(client, targets_,
                      cell_.medium == Medium::shm    ? client::Tier::ram
                      : cell_.medium == Medium::disk ? client::Tier::disk
                                                     : client::Tier::void_tier);
      return;
    case Operation::promote:
      workload_.promote(client, targets_.front(),
                        cell_.medium == Medium::disk ? client::Tier::disk : client::Tier::ram,
                        is_step("freed") || workload_.random(2) == 0);
      return;
    case Operation::erase:
      if (!of_void_) {
        workload_.erase(client, targets_.front());
        return;
      }
      workload_.at(targets_.front()).fate = Fate::unknown;
      static_cast<void>(workload_.allocate(client, large_bytes, {.tier = fast}));
      return;
    case Operation::lease: return act_on_lease(client);
    case Operation::recovery:
      if (!targets_.empty()) {
        workload_.spill(client, targets_, client::Tier::void_tier);
      }
      return;
  }
}

void Victim::act_on_lease(client::Client& client) {
  const client::PayloadId& id = targets_.front();
  const auto lease = client.lease(id, {.duration_ms = short_lease_ms});
  if (!lease || !is_step("reclaim")) return;
  // Leaves when the lease ends.
  if (of_void_) {
    workload_.spill(client, targets_, client::Tier::void_tier);
  } else {
    workload_.erase(client, id, true);
  }
}

// Somebody took away a copy; the payload has another one.
void Victim::after_death(const HostProcess& host) {
  if (cell_.operation != Operation::recovery || !is_step("recorded")) return;
  bool removed = false;
  if (cell_.medium == Medium::disk) {
    for (const std::string& file : host.files()) {
      const bool is_it = file.find(with_two_copies_.to_string()) != std::string::npos;
      if (is_it) removed = fs::remove(host.disk_root() / file);
    }
  } else {
    removed = fs::remove("/dev/shm" + upper_copy_.location.name);
  }
  if (!removed) workload_.violations().push_back("there is no copy to take away");
}

void Victim::end_lease(client::Client& client) {
  const client::PayloadId id = held_->payload();
  workload_.erase(client, id);
  workload_.put(client, small_bytes_, home());
}

void Victim::check_lease(Violations& violations) const { held_->check(violations); }

}  // namespace pm::crash
