#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "pm/client/client.h"
#include "recorder.h"

// A client of the real host that does all kinds of things to payloads that others use, too, and
// records what it did and saw.

namespace pm::history {

// What all clients work on. [thread-safe]
class SharedPayloads {
 public:
  struct Known {
    client::PayloadId id;
    std::string content;  // The hash of what was written.
  };
  void add(Known known);
  // Half of the time one that many others take, too; nothing: there is none.
  std::optional<Known> take_any(std::uint64_t random);
  void remove(const client::PayloadId& id);
  std::size_t size();
  std::vector<Known> all();

 private:
  std::mutex mutex_;
  std::vector<Known> known_;
};

// One thread at a time.
class RecordedClient {
 public:
  RecordedClient(std::uint32_t number, std::uint32_t seed, SharedPayloads& shared);

  // Works until the host is gone or `stop`, in one life of it. First it repeats some of what was
  // not answered in an earlier one, and looks at what it still has leased.
  void live(client::Client client, std::uint32_t life, const std::atomic<bool>& stop);
  // Looks at each payload once.
  void look_round(client::Client client, std::uint32_t life);

  const Recorder& recorder() const { return recorder_; }
  // Answers that no good host gives.
  const std::vector<std::string>& strange() const { return strange_; }

 private:
  struct Held {
    client::ReadLease lease;
    std::string id;  // Of the lease.
    std::string payload;
  };

  void begin_life(client::Client client, std::uint32_t life);
  Operation choose(const SharedPayloads::Known& known);
  void choose_changes(Operation& wish);
  void put();
  void give_up(client::WritablePayload& payload);
  void use_lease();
  void use_stream();
  void look_at_old_leases();
  void repeat_some();

  // Does what `wish` says: its kind, subject, request and what is asked.
  void perform(const Operation& wish);
  Status call(Operation& operation);
  Status move(Operation& operation, const client::PayloadId& id);
  Status open(Operation& operation, const client::PayloadId& id);
  // The outcome by the answer; false: the host is gone, or nobody knows.
  bool settle(Operation& operation, const Status& status);
  std::string new_text(const char* prefix);

  const std::uint32_t number_;
  std::minstd_rand random_;
  SharedPayloads& shared_;
  Recorder recorder_;
  std::optional<client::Client> client_;
  std::vector<Held> leases_;
  std::vector<Operation> to_repeat_;
  std::vector<std::string> strange_;
  std::uint64_t counter_ = 0;
  std::uint64_t stream_end_ = 0;  // As last seen.
  bool gone_ = false;
};

}  // namespace pm::history
