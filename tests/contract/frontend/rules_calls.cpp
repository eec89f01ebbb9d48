#include <atomic>
#include <mutex>
#include <random>
#include <thread>

#include "rules.h"

// Rules about unary calls.

namespace pm::frontend_contract {
namespace {

using namespace std::chrono_literals;

std::string all_bytes(std::size_t length) {
  std::string bytes(length, '\0');
  for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<char>(i * 131 + i / 256);
  return bytes;
}

std::string unary_bytes_arrive_unchanged(Bench& bench) {
  for (const std::size_t length : {0U, 1U, 100U, 9'000U, 65'536U, 4U << 20}) {
    const std::string request = all_bytes(length);
    const auto reply = bench.client().call("/pm.fake.v1.Fake/Echo", request);
    PM_RULE(reply.status.ok(), reply.status.error_message());
    PM_RULE(reply.bytes == request, std::to_string(length) + " bytes came back changed");
  }
  const std::string later = "1" + all_bytes(70'000);
  const auto reply = bench.client().call("/pm.fake.v1.Fake/Later", later);
  PM_RULE(reply.status.ok(), reply.status.error_message());
  PM_RULE(reply.bytes == later, "a reply from another thread came back changed");
  return {};
}

std::string concurrent_calls_get_their_own_replies(Bench& bench) {
  std::mutex mutex;
  std::string wrong;
  std::vector<std::thread> threads;
  for (int i = 0; i < 64; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 20; ++round) {
        const std::string request = std::to_string(i % 7) + " of " + std::to_string(i);
        const char* method = round % 2 == 0 ? "/pm.fake.v1.Fake/Later" : "/pm.fake.v1.Fake/Echo";
        const auto reply = bench.client().call(method, request);
        if (reply.status.ok() && reply.bytes == request) continue;
        const std::lock_guard lock(mutex);
        wrong = request + " got '" + reply.bytes + "' " + reply.status.error_message();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  PM_RULE(wrong.empty(), wrong);
  PM_RULE(bench.engine().counts().calls == 64 * 20, "the engine saw another number of calls");
  return {};
}

std::string unknown_methods_are_unimplemented_in_words(Bench& bench) {
  for (const char* method :
       {"/pm.fake.v1.Fake/Nothing", "/no.such.Service/At", "/pm.fake.v1.Fake"}) {
    const auto reply = bench.client().call(method, "x");
    PM_RULE(reply.status.error_code() == grpc::StatusCode::UNIMPLEMENTED,
            std::string(method) + " got " + std::to_string(reply.status.error_code()));
    PM_RULE(reply.status.error_message().find(method) != std::string::npos,
            "the words do not name the method: " + reply.status.error_message());
  }
  const auto upload = bench.client().call("/pm.fake.v1.Streams/Upload", "x");
  PM_RULE(upload.status.error_code() == grpc::StatusCode::UNIMPLEMENTED,
          "a method that streams requests is not refused");
  PM_RULE(!upload.status.error_message().empty(), "without words");
  return {};
}

std::string status_message_and_details_are_carried(Bench& bench) {
  for (int code = 1; code <= 16; ++code) {
    const std::string text = "tier \"schm\u00fcm\" 100% full\n\u20ac" + std::to_string(code);
    const auto reply =
        bench.client().call("/pm.fake.v1.Fake/Fail", std::to_string(code) + " " + text);
    PM_RULE(reply.status.error_code() == code, "status " + std::to_string(code) + " became " +
                                                   std::to_string(reply.status.error_code()));
    PM_RULE(reply.status.error_message() == text, reply.status.error_message());
    PM_RULE(reply.status.error_details() == "details of " + text, reply.status.error_details());
  }
  const auto unlisted = bench.client().call("/pm.fake.v1.Fake/Fail", "77 odd");
  PM_RULE(unlisted.status.error_code() == grpc::StatusCode::INTERNAL, "a code that gRPC lacks");
  return {};
}

std::string deadlines_reach_the_engine_and_the_client(Bench& bench) {
  PM_RULE(bench.client().call("/pm.fake.v1.Fake/Echo", "warm").status.ok(), "the server is away");
  CallContext context;
  const std::uint64_t expected = monotonic_ns() + 300'000'000;
  context.set_deadline(std::chrono::system_clock::now() + 300ms);
  const auto reply = bench.client().call("/pm.fake.v1.Fake/Never", "x", context);
  PM_RULE(reply.status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED,
          reply.status.error_message());
  const auto seen = bench.engine().last_call().deadline_ns;
  const auto off = static_cast<std::int64_t>(seen - expected);
  PM_RULE(off > -250'000'000 && off < 250'000'000,
          "the engine saw a deadline that is off by ns " + std::to_string(off));
  PM_RULE(bench.engine().eventually([](const Counts& c) { return c.cancels == 1; }),
          "the engine was not told to cancel");
  CallContext without;
  PM_RULE(bench.client().call("/pm.fake.v1.Fake/Echo", "x", without).status.ok(), "an echo failed");
  PM_RULE(bench.engine().last_call().deadline_ns == 0, "no deadline became one");
  return {};
}

std::string cancel_reaches_the_engine_exactly_once(Bench& bench) {
  constexpr int kCalls = 20;
  std::vector<std::thread> threads;
  std::atomic<int> cancelled{0};
  std::vector<CallContext> contexts(kCalls);
  for (auto& context : contexts) {
    threads.emplace_back([&bench, &cancelled, &context] {
      const auto reply = bench.client().call("/pm.fake.v1.Fake/Never", "x", context);
      if (reply.status.error_code() == grpc::StatusCode::CANCELLED) ++cancelled;
    });
  }
  const bool arrived = bench.engine().eventually([](const Counts& c) { return c.calls == kCalls; });
  for (auto& context : contexts) context.cancel();
  for (auto& thread : threads) thread.join();
  PM_RULE(arrived, "not all calls reached the engine");
  PM_RULE(cancelled == kCalls, "clients saw something else than CANCELLED");
  PM_RULE(bench.engine().eventually([](const Counts& c) { return c.done == kCalls; }),
          "the engine's calls did not all end");
  std::this_thread::sleep_for(50ms);
  const Counts counts = bench.engine().counts();
  PM_RULE(counts.cancels == kCalls, "cancels: " + std::to_string(counts.cancels));
  PM_RULE(counts.repeated_cancels == 0, "a call was cancelled twice");
  return {};
}

std::string replies_after_the_client_left_do_no_harm(Bench& bench) {
  constexpr int kCalls = 300;
  std::atomic<int> next{0};
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 8; ++seed) {
    threads.emplace_back([&, seed] {
      std::minstd_rand random(seed + 1);
      while (next.fetch_add(1) < kCalls) {
        CallContext context;
        context.set_deadline(std::chrono::system_clock::now() +
                             std::chrono::microseconds(random() % 6000));
        bench.client().call("/pm.fake.v1.Fake/Later", std::to_string(random() % 6), context);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  PM_RULE(bench.engine().eventually([](const Counts& c) { return c.done == c.calls; }),
          "calls are left open");
  const auto reply = bench.client().call("/pm.fake.v1.Fake/Echo", "still there");
  PM_RULE(reply.bytes == "still there", reply.status.error_message());
  return {};
}

std::string metadata_becomes_principal_and_trace(Bench& bench) {
  CallContext context;
  const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  context.add_metadata("traceparent", trace);
  context.add_metadata("authorization", "Bearer s3cret token");
  PM_RULE(bench.client().call("/pm.fake.v1.Fake/Echo", "x", context).status.ok(), "an echo failed");
  const SeenCall seen = bench.engine().last_call();
  PM_RULE(seen.traceparent == trace, seen.traceparent);
  PM_RULE(seen.token == "s3cret token", seen.token);
  PM_RULE(seen.uid == PM_NOBODY, "the uid of a gRPC client is not known");
  PM_RULE(bench.client().call("/pm.fake.v1.Fake/Echo", "x").status.ok(), "an echo failed");
  const SeenCall bare = bench.engine().last_call();
  PM_RULE(bare.traceparent.empty() && bare.token.empty(), "one call's metadata is another's");
  return {};
}

std::string too_large_requests_are_refused_alone(Bench& bench) {
  const std::string large(Bench::message_bytes_max + 1, 'x');
  const auto refused = bench.client().call("/pm.fake.v1.Fake/Echo", large);
  PM_RULE(refused.status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED,
          std::to_string(refused.status.error_code()) + " " + refused.status.error_message());
  PM_RULE(bench.engine().counts().calls == 0, "the engine saw it");
  const auto reply = bench.client().call("/pm.fake.v1.Fake/Echo", "small");
  PM_RULE(reply.bytes == "small", reply.status.error_message());
  return {};
}

}  // namespace

std::vector<Rule> call_rules() {
  return {
      {"FRONT-01", "unary_bytes_arrive_unchanged", unary_bytes_arrive_unchanged, over_all},
      {"FRONT-02", "concurrent_calls_get_their_own_replies", concurrent_calls_get_their_own_replies,
       over_all},
      {"FRONT-03", "unknown_methods_are_unimplemented_in_words",
       unknown_methods_are_unimplemented_in_words, over_all},
      {"FRONT-04", "status_message_and_details_are_carried", status_message_and_details_are_carried,
       over_all},
      {"FRONT-05", "deadlines_reach_the_engine_and_the_client",
       deadlines_reach_the_engine_and_the_client, over_all},
      {"FRONT-06", "cancel_reaches_the_engine_exactly_once", cancel_reaches_the_engine_exactly_once,
       over_all},
      {"FRONT-07", "replies_after_the_client_left_do_no_harm",
       replies_after_the_client_left_do_no_harm, over_all},
      {"FRONT-08", "metadata_becomes_principal_and_trace", metadata_becomes_principal_and_trace,
       over_grpc},
      {"FRONT-09", "too_large_requests_are_refused_alone", too_large_requests_are_refused_alone,
       over_grpc},
  };
}

}  // namespace pm::frontend_contract
