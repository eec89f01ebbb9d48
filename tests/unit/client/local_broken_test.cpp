// Hosts on a local socket that do not keep to the frames.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_host.h"
#include "pm/client/client.h"

namespace pm::client {
namespace {

using local::FrameHeader;
using local::FrameKind;
using test::FakeHost;
using test::id_of;
using test::Peer;

const std::string echo = "/test.Service/Echo";

FrameHeader header_of(FrameKind kind, std::uint64_t call) {
  FrameHeader header{};
  header.kind = kind;
  header.call = call;
  header.flags = local::frame_done;
  return header;
}

std::string bytes_of(const FrameHeader& header) {
  return {reinterpret_cast<const char*>(&header), sizeof header};
}

struct Hello {
  const char* name;
  void (*say)(Peer&);
  Code code;
  const char* words;
};
const Hello hellos[] = {
    {"of_another_magic",
     [](Peer& peer) {
       FrameHeader header = header_of(FrameKind::hello, 7);
       header.value = local::protocol_version;
       peer.send(header);
     },
     Code::unavailable, "no local frontend"},
    {"of_a_later_version",
     [](Peer& peer) {
       FrameHeader header = header_of(FrameKind::hello, local::hello_magic);
       header.value = 9;
       peer.send(header);
     },
     Code::failed_precondition, "version 9"},
    {"of_http",
     [](Peer& peer) { peer.write("HTTP/1.1 400 Bad Request\r\n\r\n" + std::string(64, ' ')); },
     Code::unavailable, "rules"},
    {"of_silence", [](Peer&) {}, Code::deadline_exceeded, "hello"},
    {"of_an_end", [](Peer& peer) { peer.hang_up(); }, Code::unavailable, "closed"},
};
class EachHello : public testing::TestWithParam<Hello> {};
INSTANTIATE_TEST_SUITE_P(hellos, EachHello, testing::ValuesIn(hellos),
                         [](const auto& hello) { return hello.param.name; });

TEST_P(EachHello, is_refused_in_clear_words) {
  FakeHost host({.connect = GetParam().say});
  Client client = *Client::connect(host.address(), {.deadline_ms = 300});
  const auto reply = client.call(echo, "");
  EXPECT_EQ(reply.status().code(), GetParam().code) << reply.status().to_string();
  EXPECT_THAT(reply.status().message(), testing::HasSubstr(GetParam().words));
}

struct Break {
  const char* name;
  void (*answer)(Peer&, const FrameHeader& call);
};
const Break breaks[] = {
    {"a_body_longer_than_any",
     [](Peer& peer, const FrameHeader& call) {
       FrameHeader header = header_of(FrameKind::reply, call.call);
       header.body_bytes = local::body_bytes_max + 1;
       peer.write(bytes_of(header));
     }},
    {"a_kind_that_is_none",
     [](Peer& peer, const FrameHeader& call) {
       peer.send(header_of(static_cast<FrameKind>(99), call.call));
     }},
    {"a_kind_of_the_clients",
     [](Peer& peer, const FrameHeader& call) { peer.send(header_of(FrameKind::call, call.call)); }},
    {"a_second_hello", [](Peer& peer, const FrameHeader&) { peer.say_hello(); }},
    {"an_answer_to_a_call_that_nobody_made",
     [](Peer& peer, const FrameHeader& call) { peer.reply(call.call + 1'000'000, "x"); }},
    {"an_answer_to_call_0", [](Peer& peer, const FrameHeader&) { peer.reply(0, "x"); }},
    {"an_answer_of_another_kind",
     [](Peer& peer, const FrameHeader& call) {
       FrameHeader header = header_of(FrameKind::handle, call.call);
       header.number = 5;
       peer.send(header);
     }},
    {"words_longer_than_the_body",
     [](Peer& peer, const FrameHeader& call) {
       FrameHeader header = header_of(FrameKind::reply, call.call);
       header.text_bytes = 4;
       peer.send(header, "abc");
     }},
    {"details_longer_than_the_body",
     [](Peer& peer, const FrameHeader& call) {
       FrameHeader header = header_of(FrameKind::reply, call.call);
       header.text_bytes = 2;
       header.value = UINT64_MAX - 1;
       peer.send(header, "abc");
     }},
    {"more_replies_than_credit",
     [](Peer& peer, const FrameHeader& call) {
       FrameHeader header = header_of(FrameKind::reply, call.call);
       header.flags = 0;
       peer.send(header, "abc");
     }},
    {"a_descriptor_that_is_missing",
     [](Peer& peer, const FrameHeader& call) {
       peer.send(header_of(FrameKind::handle, call.call));
     }},
    {"descriptors_that_nobody_asked_for",
     [](Peer& peer, const FrameHeader& call) {
       peer.send(header_of(FrameKind::reply, call.call), {}, {0});
     }},
    {"more_descriptors_than_any_frame_has",
     [](Peer& peer, const FrameHeader& call) {
       peer.send(header_of(FrameKind::reply, call.call), {}, {0, 0, 0, 0, 0});
     }},
    {"an_end_in_the_middle_of_a_header",
     [](Peer& peer, const FrameHeader& call) {
       peer.write(bytes_of(header_of(FrameKind::reply, call.call)).substr(0, 20));
       peer.hang_up();
     }},
    {"an_end_in_the_middle_of_a_body",
     [](Peer& peer, const FrameHeader& call) {
       FrameHeader header = header_of(FrameKind::reply, call.call);
       header.body_bytes = 100;
       peer.write(bytes_of(header) + "abc");
       peer.hang_up();
     }},
};
class EachBreak : public testing::TestWithParam<Break> {};
INSTANTIATE_TEST_SUITE_P(breaks, EachBreak, testing::ValuesIn(breaks),
                         [](const auto& one) { return one.param.name; });

TEST_P(EachBreak, ends_the_connection_and_the_next_call_makes_another) {
  FakeHost host({.call = [](Peer& peer, const FrameHeader& header, auto&, auto&) {
    GetParam().answer(peer, header);
    return true;
  }});
  Client client = *Client::connect(host.address(), {.deadline_ms = 5000});
  const auto reply = client.call(echo, "x");
  // A reply that was whole may be taken before what is wrong is seen.
  const bool is_whole = std::string(GetParam().name).find("descriptors") != std::string::npos;
  if (!is_whole) {
    EXPECT_EQ(reply.status().code(), Code::unavailable) << reply.status().to_string();
  }
  EXPECT_TRUE(host.comes_to(0));
  host.set_script({});
  const auto next = client.call(echo, "y");
  EXPECT_TRUE(next.ok()) << next.status().to_string();
  EXPECT_EQ(host.connections(), 2);
}

TEST(local_broken, an_answer_in_single_bytes_is_an_answer) {
  FakeHost host({.call = [](Peer& peer, const FrameHeader& call, auto&, auto&) {
    FrameHeader header = header_of(FrameKind::reply, call.call);
    header.body_bytes = 3;
    for (const char byte : bytes_of(header) + "abc") peer.write(std::string(1, byte));
    return true;
  }});
  Client client = *Client::connect(host.address());
  EXPECT_EQ(*client.call(echo, "x"), "abc");
}

TEST(local_broken, an_answer_that_is_no_message_is_an_error) {
  FakeHost host({.call = [](Peer& peer, const FrameHeader& header, auto&, auto&) {
    peer.reply(header.call, "\xff\xff\xff");
    return true;
  }});
  Client client = *Client::connect(host.address());
  EXPECT_EQ(client.stats().status().code(), Code::internal);
}

TEST(local_broken, a_request_that_fits_no_frame_is_refused_and_harms_nobody) {
  FakeHost host;
  Client client = *Client::connect(host.address());
  const std::string big(local::body_bytes_max + 1, 'x');
  EXPECT_EQ(client.call(echo, big).status().code(), Code::invalid_argument);
  EXPECT_EQ(client.call("", "x").status().code(), Code::invalid_argument);
  EXPECT_TRUE(client.call(echo, "x").ok());
}

TEST(local_broken, a_host_that_ends_each_connection_is_unavailable_soon) {
  FakeHost host({.connect = [](Peer& peer) {
    peer.say_hello();
    peer.hang_up();
  }});
  Client client = *Client::connect(host.address());
  EXPECT_EQ(client.call(echo, "x").status().code(), Code::unavailable);
  EXPECT_LE(host.connections(), 2);
}

}  // namespace
}  // namespace pm::client
