// perf_local_lease: open, read the first byte, release, of a client on a local socket, without a
// call; and a call that does nothing; each against a message to another process and back.

#include <algorithm>
#include <random>
#include <vector>

#include "fake_host.h"
#include "pm/client/client.h"
#include "report.h"
#include "socket_echo.h"

namespace pm::perf {
namespace {

constexpr std::uint32_t payloads = 100'000;
constexpr std::uint32_t hot = 1'000;
constexpr std::uint64_t payload_bytes = 1024;
// Timed together, as asking for the time costs a good part of one.
constexpr int group = 8;

// The median of `count` groups, in nanoseconds for one.
template <typename Doing>
double p50_ns(int count, Doing doing) {
  std::vector<double> taken;
  for (int i = 0; i < count; ++i) {
    const double start = now_seconds();
    for (int j = 0; j < group; ++j) doing();
    taken.push_back((now_seconds() - start) * 1e9 / group);
  }
  return median(std::move(taken));
}

// Gives one after the other of `ids`, which were drawn beforehand.
class Ids {
 public:
  Ids(std::uint32_t among, unsigned seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < 1 << 16; ++i) ids_.push_back(test::id_of(random() % among));
  }
  const client::PayloadId& next() { return ids_[at_++ % ids_.size()]; }

 private:
  std::vector<client::PayloadId> ids_;
  std::size_t at_ = 0;
};

void measure_leases(const SocketEcho& echo, client::Client& client, const std::string& name,
                    std::uint32_t among) {
  Ids ids(among, 1);
  unsigned sum = 0;
  const auto lease = [&] {
    auto held = client.open(ids.next());
    if (!held || !held->is_direct()) throw Failure("a lease needs a call");
    sum += static_cast<unsigned>(held->bytes()[0]);
    if (!held->release()) throw Failure("a release failed");
  };
  p50_ns(10'000, lease);  // Maps and faults in.
  Rounds taken;
  taken.run(
      rounds(), [&] { return p50_ns(quick() ? 5'000 : 50'000, lease); },
      [&] { return p50_ns(quick() ? 300 : 3'000, [&] { echo.round_trip(); }); });
  must(sum != 0, "the bytes are not there");
  print(taken.figure(name, "ns", "32 bytes to a process and back", {Aim::at_most, 1.0 / 40}));
}

void measure_calls(const SocketEcho& echo, client::Client& client) {
  const std::string request(32, 'x');
  const auto call = [&] { must(client.call("/test.Service/Echo", request).status(), "call"); };
  p50_ns(100, call);
  Rounds taken;
  taken.run(
      rounds(), [&] { return p50_ns(quick() ? 300 : 3'000, call); },
      [&] { return p50_ns(quick() ? 300 : 3'000, [&] { echo.round_trip(); }); });
  print(taken.figure("local_call", "ns", "32 bytes to a process and back", {Aim::at_most, 2}));
}

void measure() {
  const SocketEcho echo;
  test::FakeDirectory directory(payloads, 1 << 17, payloads * payload_bytes);
  for (std::uint32_t n = 0; n < payloads; ++n) {
    directory.slab().base()[n * payload_bytes] = std::byte{1};
    directory.put(n, test::id_of(n), n * payload_bytes, payload_bytes);
  }
  pin(1);  // The fake's threads stay there.
  test::FakeHost host;
  host.show(&directory);
  client::Client client = must(client::Client::connect(host.address()), "connect");
  must(client.call("/test.Service/Echo", "").status(), "call");
  pin(0);
  measure_leases(echo, client, "local_lease_hot_1000", hot);
  measure_leases(echo, client, "local_lease_all_100000", payloads);
  measure_calls(echo, client);
}

}  // namespace
}  // namespace pm::perf

int main() {
  return pm::perf::main_of("perf_local_lease", [] { pm::perf::measure(); });
}
