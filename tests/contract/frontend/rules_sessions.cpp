#include <unistd.h>

#include <thread>

#include "local_socket.h"
#include "rules.h"

// Rules about connections that are sessions: the local frontend's.

namespace pm::frontend_contract {
namespace {

using namespace std::chrono_literals;

// Takes what comes until nothing has for a moment; the numbers of the calls, in order.
std::vector<std::uint64_t> replies_of(const LocalSocket& socket) {
  std::vector<std::uint64_t> calls;
  socket.set_receive_time(150ms);
  while (const auto frame = socket.receive()) calls.push_back(frame->header.call);
  socket.set_receive_time(20s);
  return calls;
}

std::string credit_lets_exactly_so_many_replies_come(Bench& bench) {
  const auto socket = LocalSocket::connect(bench.socket_path());
  PM_RULE(socket != nullptr, "nobody answers");
  socket->call(7, "/pm.fake.v1.Streams/Endless", "", 3);
  PM_RULE(replies_of(*socket).size() == 3, "a credit of 3");
  socket->credit(7, 2);
  PM_RULE(replies_of(*socket).size() == 2, "2 more");
  socket->call(8, "/pm.fake.v1.Streams/Endless", "", 0);
  PM_RULE(replies_of(*socket).empty(), "no credit at all");
  socket->credit(8, 1);
  PM_RULE(replies_of(*socket) == std::vector<std::uint64_t>{8}, "credit is the other call's");
  socket->credit(99, 1);  // Of no call: it may just have ended.
  socket->cancel(99);
  PM_RULE(replies_of(*socket).empty(), "replies of no call");
  return {};
}

// CONNECTION-1
std::string sessions_close_once_and_after_their_calls(Bench& bench) {
  constexpr std::uint64_t kClients = 20;
  for (std::uint64_t i = 0; i < kClients; ++i) {
    const auto socket = LocalSocket::connect(bench.socket_path());
    PM_RULE(socket != nullptr, "nobody answers");
    for (std::uint64_t call = 0; call < i; ++call) {
      socket->call(call, "/pm.fake.v1.Fake/Never", "");
      if (call % 3 == 0) socket->cancel(call);
    }
    if (i % 4 == 0) socket->call(1000, "/pm.fake.v1.Fake/Later", "120");
    if (i % 2 == 0) std::this_thread::sleep_for(5ms);
  }
  // The bench's own client stays.
  PM_RULE(bench.engine().eventually([](const Counts& c) { return c.closed >= kClients; }),
          "sessions stay open");
  std::this_thread::sleep_for(50ms);
  const Counts counts = bench.engine().counts();
  PM_RULE(counts.opened == kClients + 1 && counts.closed == kClients,
          std::to_string(counts.opened) + " opened, " + std::to_string(counts.closed) + " closed");
  PM_RULE(counts.closed_wrongly == 0, "a session was closed with calls under way, or twice");
  PM_RULE(counts.done == counts.calls && counts.repeated_cancels == 0, "calls are left open");
  return {};
}

// CONNECTION-2
std::string the_engine_knows_who_calls(Bench& bench) {
  const auto reply = bench.client().call("/pm.fake.v1.Fake/Echo", "x");
  PM_RULE(reply.status.ok(), reply.status.error_message());
  const SeenCall seen = bench.engine().last_call();
  PM_RULE(seen.uid == ::geteuid() && seen.gid == ::getegid(), std::to_string(seen.uid));
  PM_RULE(seen.pid == ::getpid(), std::to_string(seen.pid));
  PM_RULE(seen.is_trusted, "the host's own user is not trusted");
  PM_RULE(seen.token.empty() && seen.tls_subject.empty(), "more than can be known");
  const auto other = bench.connect();
  PM_RULE(other->call("/pm.fake.v1.Fake/Echo", "x").status.ok(), "an echo failed");
  PM_RULE(bench.engine().last_call().session != seen.session, "two clients share a session");
  PM_RULE(seen.session != 0, "a call without a session");
  return {};
}

std::string replies_that_nobody_wants_are_not_sent(Bench& bench) {
  const auto socket = LocalSocket::connect(bench.socket_path());
  PM_RULE(socket != nullptr, "nobody answers");
  for (std::uint64_t call = 1; call <= 50; ++call) {
    socket->call(call, "/pm.fake.v1.Fake/Echo", "silent", 0, local::frame_no_reply);
    socket->call(call + 100, "/pm.fake.v1.Fake/Fail", "5 silent", 0, local::frame_no_reply);
  }
  socket->call(60, "/pm.fake.v1.Fake/Later", "1", 0, local::frame_no_reply);
  std::this_thread::sleep_for(20ms);
  socket->call(7, "/pm.fake.v1.Fake/Echo", "silent no more");
  const auto frame = socket->receive();
  PM_RULE(frame && frame->header.call == 7, "another call was answered");
  PM_RULE(frame->bytes() == "silent no more", frame->bytes());
  PM_RULE(bench.engine().counts().calls == 102, "not all calls were made");
  return {};
}

}  // namespace

std::vector<Rule> session_rules() {
  return {
      {"FRONT-32", "credit_lets_exactly_so_many_replies_come",
       credit_lets_exactly_so_many_replies_come, over_local},
      {"FRONT-33", "sessions_close_once_and_after_their_calls",
       sessions_close_once_and_after_their_calls, over_local},
      {"FRONT-34", "the_engine_knows_who_calls", the_engine_knows_who_calls, over_local},
      {"FRONT-35", "replies_that_nobody_wants_are_not_sent", replies_that_nobody_wants_are_not_sent,
       over_local},
  };
}

}  // namespace pm::frontend_contract
