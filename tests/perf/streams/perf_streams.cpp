// perf_streams: 1,000 durable appends a second by 8 producers to 50 subscribers on 10 connections,
// against a bare gRPC fan-out that keeps nothing; and what 10,000 idle subscribers cost.

#include <chrono>
#include <thread>

#include "fanout.pb.h"
#include "fanout_load.h"
#include "host_process.h"
#include "report.h"
#include "server_process.h"
#include "stream_target.h"

namespace pm::perf {
namespace {

constexpr std::size_t connections = 10;
constexpr std::size_t subscribers = 50;
constexpr std::size_t producers = 8;
constexpr double appends_per_second = 1'000;

FanoutTarget bare_target(const std::string& address) {
  FanoutTarget target;
  target.address = address;
  target.publish_method = "/pm.perf.fanout.Fanout/Publish";
  target.publish_request = [](std::uint64_t sent_ns) {
    fanout::Note note;
    note.set_sent_ns(sent_ns);
    note.set_filling(std::string(40, 'x'));  // As large as an entry.
    return note.SerializeAsString();
  };
  target.published_offset = [](const std::string& response) {
    fanout::Note note;
    note.ParseFromString(response);
    return note.offset();
  };
  target.subscribe_method = "/pm.perf.fanout.Fanout/Subscribe";
  target.read_message = [](const std::string& message, std::uint64_t& offset,
                           std::uint64_t& sent_ns) {
    fanout::Note note;
    note.ParseFromString(message);
    offset = note.offset();
    sent_ns = note.sent_ns();
  };
  return target;
}

double p99(const FanoutFigures& figures) {
  return percentile({figures.latencies_ms.begin(), figures.latencies_ms.end()}, 0.99);
}

// In turns, a minute of each in all.
void measure_fanout() {
  const int turns = quick() ? 3 : 6;
  const double seconds = quick() ? 3 : 10;
  const HostProcess host({});
  const ServerProcess bare(PM_PERF_FANOUT_SERVER);
  const FanoutTarget ours = make_stream(host.address(), "s");
  const FanoutTarget reference = bare_target(bare.address());
  Subscribers our_subscribers(ours, subscribers, connections);
  Subscribers bare_subscribers(reference, subscribers, connections);
  Rounds latencies;
  std::vector<double> all;
  double rate = 0;
  latencies.run(
      turns,
      [&] {
        const auto figures = our_subscribers.run(producers, appends_per_second, seconds);
        all.insert(all.end(), figures.latencies_ms.begin(), figures.latencies_ms.end());
        rate += static_cast<double>(figures.published) / figures.seconds / turns;
        return p99(figures);
      },
      [&] { return p99(bare_subscribers.run(producers, appends_per_second, seconds)); });
  const double whole = percentile(all, 0.99);
  print({"stream_appends_per_second",
         rate,
         "appends/s",
         "asked",
         appends_per_second,
         rate / appends_per_second,
         {Aim::at_least, 0.99}});
  print({"stream_delivery_p50",
         median(all),
         "ms",
         "allowed p99",
         10,
         median(all) / 10,
         {Aim::at_most, 1}});
  print({"stream_delivery_p99", whole, "ms", "allowed", 10, whole / 10, {Aim::at_most, 1}});
  print(latencies.figure("stream_delivery_p99_to_bare", "ms", "a bare gRPC fan-out",
                         {Aim::at_most, 4}));
}

void measure_idle() {
  const std::size_t count = quick() ? 2'000 : 10'000;
  const HostProcess host({});
  const FanoutTarget target = make_stream(host.address(), "s");
  // What a host takes for its first callers is not for each: gRPC's executor, too, has up to two
  // threads a processor, which come with the first crowd.
  Subscribers first(target, 1'000, connections);
  first.run(producers, 500, 1);
  const std::uint64_t before = host.resident_bytes();
  const std::uint64_t threads = host.threads();
  Subscribers idle(target, count, connections);
  idle.run(1, 10, 1);  // All of them are there.
  const auto bytes =
      static_cast<double>(host.resident_bytes() - before) / static_cast<double>(count);
  // Threads that gRPC began while they came end when there is nothing to do.
  const double patience = now_seconds() + 60;
  while (host.threads() > threads && now_seconds() < patience) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  const double more = static_cast<double>(host.threads()) - static_cast<double>(threads);
  constexpr double allowed = 64 << 10;
  print({"idle_subscriber_bytes",
         bytes,
         "bytes",
         "allowed",
         allowed,
         bytes / allowed,
         {Aim::at_most, 1}});
  print(
      {"idle_subscriber_threads", more, "threads", "allowed, of all", 1, more, {Aim::at_most, 0}});
}

}  // namespace
}  // namespace pm::perf

int main() {
  return pm::perf::main_of("perf_streams", [] {
    pm::perf::measure_fanout();
    pm::perf::measure_idle();
  });
}
