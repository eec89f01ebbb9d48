#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "content.h"
#include "host_process.h"

namespace pm::faults {

// The life of one payload, from the allocation to the delete, with all moves between: every step is
// taken, whatever the one before answered, and what was promised is remembered.
class OneLife {
 public:
  struct Options {
    client::Tier tier = client::Tier::ram;  // Where it is made.
    std::uint64_t size_bytes = 1;
    std::uint64_t seed = 0;  // Of its bytes.
    bool drop_source = false;
    client::Layout layout = client::Layout::segment;
    bool reads_below = true;  // A lease compares what lies on disk with nothing.
  };
  struct Answer {
    std::string step;
    Status status;
  };

  OneLife(client::Client& client, Options options) : client_(client), options_(options) {}

  // Make, commit, read, spill, read, promote, read, and try to delete it under a lease.
  void run();
  // When nothing fails any more: what was refused is done now, the bytes are looked at, and it is
  // deleted. A payload may be lost only when `may_be_lost`, and says so then.
  void settle(bool may_be_lost);

  const std::vector<Answer>& answers() const { return answers_; }
  // Broken promises, in words.
  const std::vector<std::string>& violations() const { return violations_; }
  bool is_lost() const { return is_lost_; }

 private:
  void note(const std::string& step, const Status& status);
  void see_version(std::uint64_t version);
  void commit();
  void read(const std::string& step);
  void move_down();
  void move_up();
  void violate(const std::string& what);

  client::Client& client_;
  const Options options_;
  std::optional<client::WritablePayload> made_;
  client::PayloadId id_;
  integration::Digest digest_;
  bool is_committed_ = false;
  bool is_lost_ = false;
  std::uint64_t version_ = 0;
  std::vector<Answer> answers_;
  std::vector<std::string> violations_;
};

}  // namespace pm::faults
