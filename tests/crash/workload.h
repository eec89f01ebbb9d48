#pragma once

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "oracle.h"

// A client that notes what it asked and was promised, for the oracle.

namespace pm::crash {

using integration::Fate;
using integration::HostProcess;
using integration::Known;
using integration::Request;
using integration::Violations;

constexpr client::Tier fast{100};
constexpr client::Tier slow{101};

class Workload {
 public:
  explicit Workload(std::uint32_t seed) : random_(seed) {}

  // Any answer but OK and that the host is gone is a violation.

  // Allocates without committing; the descriptor says where to write.
  Result<client::Descriptor> allocate(client::Client& client, std::uint64_t size_bytes,
                                      const client::CreateOptions& options);
  // Writes the part [from, to) of what was made up for the payload; the host has no part in it.
  void write(const client::Descriptor& descriptor, std::uint64_t from, std::uint64_t to);
  void commit(client::Client& client, const client::Descriptor& descriptor,
              client::ChecksumAlgorithm algorithm = client::ChecksumAlgorithm::none,
              bool with_value = false);
  // All three.
  void put(client::Client& client, std::uint64_t size_bytes, const client::CreateOptions& options);
  void promote(client::Client& client, const client::PayloadId& id, client::Tier to,
               bool drop_source);
  void spill(client::Client& client, const std::vector<client::PayloadId>& ids, client::Tier to);
  void erase(client::Client& client, const client::PayloadId& id, bool force = false);

  // The latest payload.
  Known& last() { return known_.back(); }
  Known& at(const client::PayloadId& id);
  std::uint64_t random(std::uint64_t below) { return random_() % below; }

  std::vector<Known>& known() { return known_; }
  const std::vector<Request>& requests() const { return requests_; }
  Violations& violations() { return violations_; }

 private:
  std::size_t begin(Request request);
  void end(std::size_t request, const Status& status, const char* what);
  void see(const client::Descriptor& descriptor, Request& request, const char* what);
  std::vector<std::byte> bytes_of(const client::Descriptor& descriptor) const;

  std::minstd_rand random_;
  std::vector<Known> known_;
  std::vector<Request> requests_;
  Violations violations_;
};

}  // namespace pm::crash
