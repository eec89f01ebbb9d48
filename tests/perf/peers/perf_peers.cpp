// perf_peers: reading and writing 1 MiB beside Redis and memcached, each over its Unix socket. A
// reader of ours opens a payload that lies in the slab; a reader of theirs gets a copy.

#include <algorithm>
#include <cstring>

#include "host_process.h"
#include "peer.h"
#include "pm/client/client.h"
#include "report.h"

namespace pm::perf {
namespace {

constexpr std::size_t payload_bytes = 1 << 20;
constexpr std::size_t payloads = 64;

template <typename Doing>
double p50_us(int count, Doing doing) {
  std::vector<double> taken;
  for (int i = 0; i < count; ++i) {
    const double start = now_seconds();
    doing();
    taken.push_back((now_seconds() - start) * 1e6);
  }
  return median(std::move(taken));
}

// The same loop for all.
std::uint64_t sum_of(std::span<const std::byte> bytes) {
  std::uint64_t sum = 0;
  for (std::size_t at = 0; at < bytes.size(); at += sizeof sum) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    sum += word;
  }
  return sum;
}

struct Ours {
  explicit Ours(const HostProcess& host)
      : client(must(client::Client::connect(host.local_address()), "connect")) {
    const std::vector<std::byte> source(payload_bytes, std::byte{1});
    for (std::size_t n = 0; n < payloads; ++n) ids.push_back(put(source));
    for (const client::PayloadId& id : ids) wait_until_direct(id);
  }
  client::PayloadId put(std::span<const std::byte> source) {
    client::CreateOptions options;
    options.layout = client::Layout::slab;
    options.ahead = true;
    auto made = must(client.create(source.size(), options), "create");
    std::memcpy(made.bytes().data(), source.data(), source.size());
    return must(made.commit(), "commit").id;
  }
  void wait_until_direct(const client::PayloadId& id) {
    for (int looks = 0; looks < 10'000; ++looks) {
      if (must(client.open(id), "open").is_direct()) return;
    }
    throw Failure("a lease needs a call");
  }
  const client::PayloadId& next() { return ids[at++ % ids.size()]; }

  client::Client client;
  std::vector<client::PayloadId> ids;
  std::size_t at = 0;
};

void measure() {
  HostSetup setup;
  setup.slab_bytes = 2 * payloads * payload_bytes;
  setup.shm_capacity_bytes = setup.slab_bytes;
  const HostProcess host(setup);
  Ours ours(host);
  Peer redis(Peer::Kind::redis);
  Peer memcached(Peer::Kind::memcached);
  const std::vector<std::byte> source(payload_bytes, std::byte{1});
  for (std::size_t n = 0; n < payloads; ++n) {
    redis.set("key" + std::to_string(n), source);
    memcached.set("key" + std::to_string(n), source);
  }
  std::uint64_t sum = 0;
  std::size_t at = 0;
  const int count = quick() ? 200 : 1'000;
  const auto read_peer = [&](Peer& peer, bool sums) {
    return p50_us(count, [&] {
      const auto bytes = peer.get("key" + std::to_string(at++ % payloads), payload_bytes);
      sum += sums ? sum_of(bytes) : static_cast<std::uint64_t>(bytes[0]);
    });
  };
  const auto read_ours = [&](bool sums) {
    return p50_us(count, [&] {
      auto lease = must(ours.client.open(ours.next()), "open");
      const auto bytes = lease.bytes();
      sum += sums ? sum_of(bytes) : static_cast<std::uint64_t>(bytes[0]);
    });
  };
  for (const bool sums : {false, true}) {
    Rounds taken;
    taken.run(
        rounds(), [&] { return read_ours(sums); },
        [&] { return std::min(read_peer(redis, sums), read_peer(memcached, sums)); });
    print(taken.figure(sums ? "read_1MiB_summed" : "read_1MiB_first_byte", "us",
                       "the faster of redis and memcached", {Aim::at_most, sums ? 1.0 / 3 : 0.1}));
  }
  must(sum != 0, "the bytes are not there");
}

}  // namespace
}  // namespace pm::perf

int main() {
  return pm::perf::main_of("perf_peers", [] { pm::perf::measure(); });
}
