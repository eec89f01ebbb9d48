#include <thread>

#include "rules.h"

// Rules about streaming replies.

namespace pm::frontend_contract {
namespace {

using namespace std::chrono_literals;

std::string stream_replies_arrive_in_order(Bench& bench) {
  for (const int count : {0, 1, 7, 1000}) {
    Stream stream(bench.client(), "/pm.fake.v1.Streams/Count");
    stream.write(std::to_string(count) + " 10");
    std::string reply;
    int seen = 0;
    while (stream.read(reply)) {
      PM_RULE(reply.size() == 10 && std::atoi(reply.c_str()) == seen, "got '" + reply + "'");
      ++seen;
    }
    const auto status = stream.finish();
    PM_RULE(status.ok(), status.error_message());
    PM_RULE(seen == count, std::to_string(seen) + " replies of " + std::to_string(count));
  }
  PM_RULE(bench.engine().last_call().credit == Bench::stream_credit,
          "the engine got another credit than the configured one");
  return {};
}

std::string slow_readers_bound_what_the_engine_sends(Bench& bench) {
  constexpr std::uint64_t kReplies = 400;
  Stream stream(bench.client(), "/pm.fake.v1.Streams/Count");
  stream.write(std::to_string(kReplies) + " 262144");
  std::uint64_t before = 0;
  for (int quiet = 0; quiet < 5;) {
    std::this_thread::sleep_for(40ms);
    const std::uint64_t now = bench.engine().counts().replies;
    quiet = now == before && now != 0 ? quiet + 1 : 0;
    before = now;
  }
  // Besides the credit there is what the connection itself holds: windows and socket buffers.
  PM_RULE(before <= Bench::stream_credit + 64,
          "the engine sent " + std::to_string(before) + " replies to a client that reads none");
  std::string reply;
  std::uint64_t seen = 0;
  while (stream.read(reply)) ++seen;
  const auto status = stream.finish();
  PM_RULE(status.ok() && seen == kReplies, std::to_string(seen) + " " + status.error_message());
  return {};
}

std::string leaving_a_stream_cancels_it_once(Bench& bench) {
  for (int round = 1; round <= 10; ++round) {
    {
      Stream stream(bench.client(), "/pm.fake.v1.Streams/Endless");
      stream.write("");
      std::string reply;
      for (int i = 0; i < round; ++i) PM_RULE(stream.read(reply), "the stream ended");
      stream.cancel();
      const auto status = stream.finish();
      PM_RULE(status.error_code() == grpc::StatusCode::CANCELLED, status.error_message());
    }
    const auto ended = static_cast<std::uint64_t>(round);
    PM_RULE(bench.engine().eventually([ended](const Counts& c) { return c.done == ended; }),
            "the engine's stream did not end");
  }
  std::this_thread::sleep_for(50ms);
  const Counts counts = bench.engine().counts();
  PM_RULE(counts.cancels == 10, "cancels: " + std::to_string(counts.cancels));
  PM_RULE(counts.repeated_cancels == 0, "a stream was cancelled twice");
  return {};
}

std::string a_vanished_connection_cancels_its_streams(Bench& bench) {
  {
    const auto client = bench.connect();
    Stream stream(*client, "/pm.fake.v1.Streams/Endless");
    stream.write("");
    std::string reply;
    PM_RULE(stream.read(reply), "the stream ended");
  }
  PM_RULE(bench.engine().eventually([](const Counts& c) { return c.done == 1; }),
          "the engine's stream goes on");
  return {};
}

}  // namespace

std::vector<Rule> stream_rules() {
  return {
      {"FRONT-10", "stream_replies_arrive_in_order", stream_replies_arrive_in_order, over_all},
      {"FRONT-11", "slow_readers_bound_what_the_engine_sends",
       slow_readers_bound_what_the_engine_sends, over_all},
      {"FRONT-12", "leaving_a_stream_cancels_it_once", leaving_a_stream_cancels_it_once, over_all},
      {"FRONT-13", "a_vanished_connection_cancels_its_streams",
       a_vanished_connection_cancels_its_streams, over_all},
  };
}

}  // namespace pm::frontend_contract
