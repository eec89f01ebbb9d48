#pragma once

#include <cstring>
#include <span>

#include "pm/client/client.h"
#include "report.h"

namespace pm::perf {

// One large payload that goes to and fro between shared memory and disk, always as the only copy.
class BigPayload {
 public:
  BigPayload(client::Client& client, std::uint64_t bytes) : client_(client) {
    auto payload = must(client.create(bytes), "create");
    const std::span<std::byte> target = payload.bytes();
    for (std::size_t at = 0; at < target.size(); at += 8) {
      const std::uint64_t value = at * 0x9e3779b97f4a7c15u;
      std::memcpy(target.data() + at, &value, sizeof value);
    }
    must(payload.commit().status(), "commit");
    id_ = payload.id();
  }

  // Seconds of the call.
  double spill() {
    client::SpillOptions options;
    options.to = client::Tier::disk;
    const double start = now_seconds();
    const auto outcomes = must(client_.spill(std::span(&id_, 1), options), "spill");
    const double seconds = now_seconds() - start;
    must(outcomes.front().status, "spill");
    return seconds;
  }
  double promote() {
    client::PromoteOptions options;
    options.drop_source = true;
    const double start = now_seconds();
    must(client_.promote(id_, client::Tier::ram, options).status(), "promote");
    return now_seconds() - start;
  }

 private:
  client::Client& client_;
  client::PayloadId id_;
};

}  // namespace pm::perf
