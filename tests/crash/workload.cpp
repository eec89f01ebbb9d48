#include "workload.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace pm::crash {

using integration::fill;
using integration::sha256;

namespace {

bool is_gone(const Status& status) {
  return status.code() == Code::unavailable || status.code() == Code::cancelled;
}

}  // namespace

Known& Workload::at(const client::PayloadId& id) {
  const auto found = std::find_if(known_.begin(), known_.end(),
                                  [&](const Known& known) { return known.id == id; });
  if (found == known_.end()) throw std::logic_error("no payload " + id.to_string());
  return *found;
}

std::size_t Workload::begin(Request request) {
  request.request_id = "r" + std::to_string(requests_.size());
  requests_.push_back(std::move(request));
  return requests_.size() - 1;
}

void Workload::end(std::size_t request, const Status& status, const char* what) {
  requests_[request].answered = status.ok();
  if (!status.ok() && !is_gone(status)) {
    violations_.push_back(std::string(what) + " is answered " + status.to_string());
  }
}

void Workload::see(const client::Descriptor& descriptor, Request& request, const char* what) {
  if (descriptor.id == request.ids.front()) request.version = descriptor.version;
  integration::see(at(descriptor.id), descriptor, what, violations_);
}

// The bytes follow from the id, so that they need not be kept.
std::vector<std::byte> Workload::bytes_of(const client::Descriptor& descriptor) const {
  std::uint64_t seed = 0;
  std::memcpy(&seed, descriptor.id.bytes.data(), sizeof seed);
  std::vector<std::byte> bytes(descriptor.size_bytes);
  fill(bytes, seed);
  return bytes;
}

Result<client::Descriptor> Workload::allocate(client::Client& client, std::uint64_t size_bytes,
                                              const client::CreateOptions& options) {
  auto descriptor = client.allocate(size_bytes, options);
  if (!descriptor) {
    if (!is_gone(descriptor.status())) {
      violations_.push_back("allocate is answered " + descriptor.status().to_string());
    }
    return descriptor;
  }
  known_.push_back({descriptor->id, sha256(bytes_of(*descriptor)), descriptor->version,
                    Fate::uncommitted, descriptor->tier});
  return descriptor;
}

void Workload::write(const client::Descriptor& descriptor, std::uint64_t from, std::uint64_t to) {
  const bool in_file = descriptor.location.kind == client::LocationKind::file;
  const std::string path =
      in_file ? descriptor.location.name : "/dev/shm" + descriptor.location.name;
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const std::vector<std::byte> bytes = bytes_of(descriptor);
  const auto offset = static_cast<off_t>(descriptor.location.offset_bytes + from);
  const ssize_t count = fd < 0 ? -1 : ::pwrite(fd, bytes.data() + from, to - from, offset);
  if (fd >= 0) ::close(fd);
  if (count != static_cast<ssize_t>(to - from)) {
    violations_.push_back("cannot write to " + path + ": " + std::strerror(errno));
  }
}

void Workload::commit(client::Client& client, const client::Descriptor& descriptor,
                      client::ChecksumAlgorithm algorithm, bool with_value) {
  Request request{.kind = Request::Kind::commit, .ids = {descriptor.id}};
  request.checksum.algorithm = algorithm;
  if (with_value) request.checksum.value = at(descriptor.id).digest;
  at(descriptor.id).fate = Fate::unknown;
  const std::size_t number = begin(std::move(request));
  Request& sent = requests_[number];
  const auto committed = client.commit(descriptor.id, sent.request_id, sent.checksum);
  if (committed) {
    at(descriptor.id).fate = Fate::committed;
    see(*committed, sent, "commit");
  }
  return end(number, committed.status(), "commit");
}

void Workload::put(client::Client& client, std::uint64_t size_bytes,
                   const client::CreateOptions& options) {
  const auto descriptor = allocate(client, size_bytes, options);
  if (!descriptor) return;
  write(*descriptor, 0, descriptor->size_bytes);
  commit(client, *descriptor);
}

void Workload::promote(client::Client& client, const client::PayloadId& id, client::Tier to,
                       bool drop_source) {
  const std::size_t number =
      begin({.kind = Request::Kind::promote, .ids = {id}, .to = to, .drop_source = drop_source});
  Request& sent = requests_[number];
  const auto promoted =
      client.promote(id, to, {.drop_source = drop_source, .request_id = sent.request_id});
  if (promoted) see(*promoted, sent, "promote");
  return end(number, promoted.status(), "promote");
}

void Workload::spill(client::Client& client, const std::vector<client::PayloadId>& ids,
                     client::Tier to) {
  const std::size_t number = begin({.kind = Request::Kind::spill, .ids = ids, .to = to});
  Request& sent = requests_[number];
  const bool deletes = to == client::Tier::void_tier;
  for (const client::PayloadId& id : ids) {
    if (deletes) at(id).fate = Fate::unknown;
  }
  const auto outcomes =
      client.spill(ids, {.to = to, .wait_for_leases = true, .request_id = sent.request_id});
  if (!outcomes) return end(number, outcomes.status(), "spill");
  for (const client::SpillOutcome& outcome : *outcomes) {
    if (!outcome.status.ok()) return end(number, outcome.status, "spill");
    if (outcome.descriptor) see(*outcome.descriptor, sent, "spill");
    if (deletes) at(outcome.id).fate = Fate::deleted;
  }
  return end(number, {}, "spill");
}

void Workload::erase(client::Client& client, const client::PayloadId& id, bool force) {
  const std::size_t number = begin({.kind = Request::Kind::erase, .ids = {id}, .force = force});
  at(id).fate = Fate::unknown;
  const Status erased = client.erase(id, force, requests_[number].request_id);
  if (erased.ok()) at(id).fate = Fate::deleted;
  return end(number, erased, "delete");
}

}  // namespace pm::crash
