// perf_sealed: what a client of the local socket pays for payloads that nobody can change: open,
// read the first byte and release one that is leased by calls, and put one; each against a message
// to another process and back, and against the same of a segment.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "../local_lease/socket_echo.h"
#include "host_process.h"
#include "pm/client/client.h"
#include "report.h"

namespace pm::perf {
namespace {

constexpr std::uint64_t payload_bytes = 4096;
constexpr int payloads = 256;

int turns() { return quick() ? 300 : 2'000; }

template <typename Doing>
double p50_us(Doing doing) {
  std::vector<double> taken;
  for (int i = 0; i < turns(); ++i) {
    const double start = now_seconds();
    doing();
    taken.push_back((now_seconds() - start) * 1e6);
  }
  return median(std::move(taken));
}

// What is done with payloads of one layout.
class Payloads {
 public:
  Payloads(client::Client& client, client::Layout layout) : client_(client), layout_(layout) {
    for (int n = 0; n < payloads; ++n) ids_.push_back(put());
  }
  void open() {
    auto held = must(client_.open(ids_[at_++ % ids_.size()]), "open");
    must(!held.is_direct() && held.bytes()[0] == std::byte{1}, "it is not leased by a call");
    must(held.release(), "release");
  }
  void put_and_erase() { must(client_.erase(put()), "erase"); }

 private:
  client::PayloadId put() {
    client::CreateOptions options;
    options.layout = layout_;
    auto made = must(client_.create(payload_bytes, options), "create");
    made.bytes()[0] = std::byte{1};
    return must(made.commit(), "commit").id;
  }

  client::Client& client_;
  const client::Layout layout_;
  std::vector<client::PayloadId> ids_;
  std::size_t at_ = 0;
};

// Both in turns, with a segment as well: what differs is the layout.
template <typename Doing>
void measure_both(const SocketEcho& echo, const std::string& name, double bound, Doing doing) {
  p50_us(doing.sealed);
  Rounds beside_message;
  Rounds beside_segment;
  for (int round = 0; round < rounds(); ++round) {
    const double message = p50_us([&] { echo.round_trip(); });
    const double sealed = p50_us(doing.sealed);
    beside_message.add(sealed, message);
    beside_segment.add(sealed, p50_us(doing.segment));
  }
  print(beside_message.figure("local_sealed_" + name, "us", "32 bytes to a process and back",
                              {Aim::at_most, bound}));
  print(beside_segment.figure("local_sealed_" + name + "_beside_segment", "us",
                              "the same of a segment", {Aim::at_most, 2}));
}

template <typename Sealed, typename Segment>
struct Both {
  Sealed sealed;
  Segment segment;
};
template <typename Sealed, typename Segment>
Both(Sealed, Segment) -> Both<Sealed, Segment>;

// The part of an open that is the kernel's: the mapping, its first fault, and its end.
void measure_mapping(const SocketEcho& echo) {
  const int memory = ::memfd_create("perf", MFD_CLOEXEC);
  must(memory >= 0 && ::posix_fallocate(memory, 0, payload_bytes) == 0, "memfd_create");
  unsigned sum = 0;
  const auto map = [&] {
    void* bytes = ::mmap(nullptr, payload_bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, memory, 0);
    must(bytes != MAP_FAILED, "mmap");
    sum += static_cast<const volatile unsigned char*>(bytes)[0] + 1;
    ::munmap(bytes, payload_bytes);
  };
  Rounds taken;
  taken.run(
      rounds(), [&] { return p50_us(map); }, [&] { return p50_us([&] { echo.round_trip(); }); });
  ::close(memory);
  must(sum != 0, "the bytes are not there");
  print(taken.figure("map_and_unmap", "us", "32 bytes to a process and back", {Aim::at_most, 2}));
}

void measure() {
  const SocketEcho echo;
  HostSetup setup;
  setup.repository = "memory";
  const HostProcess host(setup);
  client::Client client = must(client::Client::connect(host.local_address()), "connect");
  measure_mapping(echo);
  Payloads sealed(client, client::Layout::sealed);
  Payloads segments(client, client::Layout::segment);
  measure_both(echo, "open", 12, Both{[&] { sealed.open(); }, [&] { segments.open(); }});
  measure_both(echo, "put_and_erase", 30,
               Both{[&] { sealed.put_and_erase(); }, [&] { segments.put_and_erase(); }});
}

}  // namespace
}  // namespace pm::perf

int main() {
  return pm::perf::main_of("perf_sealed", [] { pm::perf::measure(); });
}
