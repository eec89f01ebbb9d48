#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "content.h"
#include "recording.h"

// A client of a host that is being recorded, and its log of what it was promised and when.

namespace pm::power {

enum class Act : std::uint8_t { commit, spill, promote, give_up, erase, describe };

// `begun`: the sequence before the call. `ended`: after the answer; 0: there was none.
struct Step {
  Act act{};
  std::uint64_t begun = 0;
  std::uint64_t ended = 0;
  bool ok = false;
  std::string text{};  // describe: the metadata.
};

struct Known {
  client::PayloadId id;
  integration::Digest digest;
  bool on_disk = false;  // Where it was allocated; else in shared memory.
  std::vector<Step> steps;
};

// The entries of one stream, in order; entry n says `n`.
struct KnownStream {
  std::string name;
  Step created;
  std::vector<Step> appends;
};

struct ClientLog {
  std::vector<Known> payloads;
  KnownStream stream;
};

// One thread at a time.
class Worker {
 public:
  Worker(unsigned number, unsigned seed, const Recording& recording);

  // Works until told to stop or the host is gone.
  void work(client::Client& client, const std::atomic<bool>& stop);

  const ClientLog& log() const { return log_; }
  std::uint64_t answers() const { return answers_; }
  // Answers that no good host gives.
  const std::vector<std::string>& strange() const { return strange_; }

 private:
  bool act_on(client::Client& client, Known& known);
  bool put(client::Client& client);
  bool append(client::Client& client);
  template <typename Call>
  bool take(Step& step, Call call);
  bool is_gone(const Status& status, const char* what);
  std::optional<std::size_t> some_payload();

  const Recording& recording_;
  std::minstd_rand random_;
  ClientLog log_;
  std::vector<std::size_t> usable_;  // Of log_.payloads: committed, and nothing is unknown.
  std::string anchor_;               // What the entries of the stream name.
  std::uint64_t answers_ = 0;
  std::vector<std::string> strange_;
};

}  // namespace pm::power
