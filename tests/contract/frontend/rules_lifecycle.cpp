#include <filesystem>
#include <thread>

#include "rules.h"

// Rules about draining, stopping, and what may be left over.

namespace pm::frontend_contract {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

std::string stop_ends_in_time_with_live_streams(Bench& bench) {
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 5; ++i) {
    idle.push_back(bench.connect());
    PM_RULE(idle.back()->call("/pm.fake.v1.Fake/Echo", "x").status.ok(), "an echo failed");
  }
  std::vector<std::unique_ptr<Stream>> streams;
  std::string reply;
  for (int i = 0; i < 5; ++i) {
    streams.push_back(std::make_unique<Stream>(bench.client(), "/pm.fake.v1.Streams/Endless"));
    streams.back()->write("");
    PM_RULE(streams.back()->read(reply), "the stream ended");
  }
  const auto begin = Clock::now();
  bench.frontend().drain(300ms);
  bench.stop();
  const auto took = std::chrono::duration<double>(Clock::now() - begin).count();
  PM_RULE(took < 1.3, "it took s " + std::to_string(took));
  const Counts counts = bench.engine().counts();
  PM_RULE(counts.done == counts.calls, "calls are left open in the engine");
  PM_RULE(!std::filesystem::exists(bench.socket_path()), "the socket is left behind");
  PM_RULE(bench.transport() == Transport::tcp || std::filesystem::is_empty(bench.directory()),
          "something is left beside the socket");
  for (auto& stream : streams) {
    while (stream->read(reply)) {
    }
    PM_RULE(!stream->finish().ok(), "a stream that was cut ended as if it were complete");
  }
  return {};
}

std::string drain_lets_calls_end(Bench& bench) {
  UnaryReply reply;
  std::thread caller([&] { reply = bench.client().call("/pm.fake.v1.Fake/Later", "300"); });
  const bool arrived = bench.engine().eventually([](const Counts& c) { return c.calls == 1; });
  const auto begin = Clock::now();
  bench.frontend().drain(5s);
  const auto took = Clock::now() - begin;
  caller.join();
  PM_RULE(arrived, "the call did not reach the engine");
  PM_RULE(reply.status.ok() && reply.bytes == "300", reply.status.error_message());
  PM_RULE(took > 150ms && took < 3s, "the drain did not wait for the call, or for more");
  CallContext context;
  context.set_deadline(std::chrono::system_clock::now() + 300ms);
  PM_RULE(!bench.client().call("/pm.fake.v1.Fake/Echo", "x", context).status.ok(),
          "a drained frontend takes calls");
  return {};
}

std::string an_engine_that_never_says_done_cannot_hold_stop(Bench& bench) {
  UnaryReply reply;
  std::thread caller([&] { reply = bench.client().call("/pm.fake.v1.Fake/Stuck", "x"); });
  const bool arrived = bench.engine().eventually([](const Counts& c) { return c.calls == 1; });
  const auto begin = Clock::now();
  bench.frontend().drain(100ms);
  bench.stop();
  const auto took = std::chrono::duration<double>(Clock::now() - begin).count();
  caller.join();
  bench.engine().release_stuck();
  const bool ended = bench.engine().eventually([](const Counts& c) { return c.done == 1; });
  PM_RULE(arrived && ended, "the call did not run");
  PM_RULE(took < 1.1, "it took s " + std::to_string(took));
  PM_RULE(!reply.status.ok(), "the client got an answer that nobody gave");
  return {};
}

std::string a_stopped_frontend_starts_again(Bench& bench) {
  const std::string address = bench.address();
  bench.stop();
  const Status started = bench.frontend().start(bench.engine().face());
  PM_RULE(started.ok(), started.to_string());
  const auto client = bench.connect();
  const auto reply = client->call("/pm.fake.v1.Fake/Echo", "again");
  PM_RULE(reply.bytes == "again", reply.status.error_message());
  return {};
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    count += entry.path().empty() ? 0 : 1;
  }
  return count;
}

std::string connections_leave_no_descriptors(Bench& bench) {
  const auto connect = [&bench] {
    const auto client = bench.connect();
    return client->call("/pm.fake.v1.Fake/Echo", "x").status.ok();
  };
  for (int i = 0; i < 5; ++i) PM_RULE(connect(), "an echo failed");
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 200; ++i) PM_RULE(connect(), "an echo failed");
  std::size_t after = open_descriptors();
  for (int i = 0; i < 100 && after > before + 4; ++i) {
    std::this_thread::sleep_for(20ms);
    after = open_descriptors();
  }
  PM_RULE(after <= before + 4, std::to_string(before) + " became " + std::to_string(after));
  return {};
}

}  // namespace

std::vector<Rule> lifecycle_rules() {
  return {
      {"FRONT-17", "stop_ends_in_time_with_live_streams", stop_ends_in_time_with_live_streams,
       over_all},
      {"FRONT-18", "drain_lets_calls_end", drain_lets_calls_end, over_all},
      {"FRONT-19", "an_engine_that_never_says_done_cannot_hold_stop",
       an_engine_that_never_says_done_cannot_hold_stop, over_all},
      {"FRONT-20", "a_stopped_frontend_starts_again", a_stopped_frontend_starts_again, over_all},
      {"FRONT-21", "connections_leave_no_descriptors", connections_leave_no_descriptors, over_all},
  };
}

}  // namespace pm::frontend_contract
