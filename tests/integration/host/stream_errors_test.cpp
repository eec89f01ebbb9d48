#include <gtest/gtest.h>

#include "stream_wire.h"

// Streams: what each method says to what it cannot do.

namespace pm::integration {
namespace {

class StreamErrors : public testing::TestWithParam<const char*> {
 protected:
  StreamErrors() : host_(host_options()) {}

  void SetUp() override {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    wire_ = std::make_unique<StreamWire>(host_);
  }
  static HostOptions host_options() {
    HostOptions options;
    options.repository = GetParam();
    options.limits = "streams_max = 3\nconsumer_groups_max = 2\n";
    return options;
  }

  using Call = std::function<grpc::Status(const wire_runtime::StreamID&)>;
  std::vector<std::pair<const char*, Call>> methods() {
    const auto unknown = id_of(std::string(16, '\x22'));
    return {
        {"Append", [=, this](const auto& id) { return wire_->append(id, unknown); }},
        {"Read",
         [this](const auto& id) {
           wire_runtime::ReadRequest request;
           *request.mutable_stream() = id;
           return wire_->read(request);
         }},
        {"Subscribe",
         [this](const auto& id) {
           wire_runtime::SubscribeRequest request;
           *request.mutable_stream() = id;
           grpc::ClientContext context;
           const auto reader = wire_->stream->Subscribe(&context, request);
           wire_runtime::SubscribeResponse response;
           while (reader->Read(&response)) {
           }
           return reader->Finish();
         }},
        {"Commit", [this](const auto& id) { return wire_->commit_offset(id, "g", 0); }},
        {"GetCommitted", [this](const auto& id) { return wire_->committed(id, "g"); }},
        {"GetRange", [this](const auto& id) { return wire_->range(id, 0, 1); }},
    };
  }

  HostProcess host_;
  std::unique_ptr<StreamWire> wire_;
};

TEST_P(StreamErrors, every_method_refuses_what_is_no_name_and_what_is_no_stream) {
  auto all = methods();
  for (const auto& [name, call] : all) {
    EXPECT_EQ(answer_of(call(StreamWire::named("none"))), "NOT_FOUND STREAM_NOT_FOUND") << name;
  }
  all.emplace_back("CreateStream", [this](const auto& id) { return wire_->create(id); });
  all.emplace_back("DeleteStream", [this](const auto& id) { return wire_->remove(id); });
  const wire_runtime::StreamID bad[] = {
      StreamWire::named(""),
      StreamWire::named(std::string(256, 'x')),
      StreamWire::named("x", std::string(256, 'x')),
      StreamWire::named("a\nb"),
      StreamWire::named(std::string("a\0b", 3)),
      StreamWire::named("x", "\x7f"),
      StreamWire::named("\xc2\x85"),
  };
  for (const auto& [name, call] : all) {
    for (const wire_runtime::StreamID& id : bad) {
      EXPECT_EQ(answer_of(call(id)), "FAILED_PRECONDITION STREAM_NAME_INVALID")
          << name << " " << id.ShortDebugString();
    }
  }
  EXPECT_EQ(
      answer_of(wire_->create(StreamWire::named(std::string(255, 'x'), std::string(255, '\'')))),
      "OK");
}

TEST_P(StreamErrors, append_checks_its_items) {
  const auto id = StreamWire::named("s");
  ASSERT_EQ(answer_of(wire_->create(id)), "OK");
  const auto payload = wire_->make(wire_core::TIER_RAM);
  EXPECT_EQ(answer_of(wire_->append(id, payload, 0)), "INVALID_ARGUMENT NO_ITEMS");
  EXPECT_EQ(answer_of(wire_->append(id, payload, 1001)), "INVALID_ARGUMENT TOO_MANY_ITEMS");
  EXPECT_EQ(answer_of(wire_->append(id, id_of("short"))), "INVALID_ARGUMENT PAYLOAD_ID_MALFORMED");
  EXPECT_EQ(answer_of(wire_->append(id, id_of(std::string(16, '\x22')))),
            "NOT_FOUND PAYLOAD_NOT_FOUND");
  EXPECT_EQ(answer_of(wire_->append(id, wire_->make(wire_core::TIER_RAM, false))),
            "FAILED_PRECONDITION PAYLOAD_NOT_COMMITTED");
  const std::pair<std::int64_t, std::int32_t> times[] = {
      {-1, 0}, {0, -1}, {0, 1'000'000'000}, {9'223'372'036, 0}, {INT64_MAX, 0}, {INT64_MIN, 0}};
  for (const auto& [seconds, nanos] : times) {
    wire_runtime::AppendRequest request;
    *request.mutable_stream() = id;
    *request.add_items()->mutable_payload_id() = payload;
    request.mutable_items(0)->mutable_event_time()->set_seconds(seconds);
    request.mutable_items(0)->mutable_event_time()->set_nanos(nanos);
    EXPECT_EQ(answer_of(wire_->append(request)), "INVALID_ARGUMENT TIME_INVALID") << seconds;
    wire_runtime::ReadRequest read;
    *read.mutable_stream() = id;
    *read.mutable_not_before() = request.items(0).event_time();
    EXPECT_EQ(answer_of(wire_->read(read)), "INVALID_ARGUMENT TIME_INVALID") << seconds;
  }
  wire_runtime::AppendRequest big;
  *big.mutable_stream() = id;
  *big.add_items()->mutable_payload_id() = payload;
  (*big.mutable_items(0)->mutable_tags())["k"] = std::string(65'536, 'x');
  EXPECT_EQ(answer_of(wire_->append(big)), "INVALID_ARGUMENT TEXT_TOO_LONG");
  EXPECT_EQ(wire_->all(id).next_offset(), 0u) << "a refused append left something";
}

TEST_P(StreamErrors, groups_and_ranges_are_checked) {
  const auto id = StreamWire::named("s");
  ASSERT_EQ(answer_of(wire_->create(id)), "OK");
  for (const std::string& group : {std::string(), std::string(256, 'g'), std::string("a\tb")}) {
    EXPECT_EQ(answer_of(wire_->commit_offset(id, group, 0)),
              "INVALID_ARGUMENT CONSUMER_GROUP_INVALID");
    EXPECT_EQ(answer_of(wire_->committed(id, group)), "INVALID_ARGUMENT CONSUMER_GROUP_INVALID");
  }
  EXPECT_EQ(answer_of(wire_->range(id, 1, 0)), "INVALID_ARGUMENT RANGE_REVERSED");
  EXPECT_EQ(answer_of(wire_->commit_offset(id, "g", 1)), "OUT_OF_RANGE OFFSET_BEYOND_END");
  EXPECT_EQ(answer_of(wire_->commit_offset(id, std::string(255, 'g'), 0)), "OK");
}

TEST_P(StreamErrors, there_are_as_many_streams_and_groups_as_are_allowed) {
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_EQ(answer_of(wire_->create(StreamWire::named(name))), "OK");
  }
  EXPECT_EQ(answer_of(wire_->create(StreamWire::named("a"))), "ALREADY_EXISTS STREAM_EXISTS");
  EXPECT_EQ(answer_of(wire_->create(StreamWire::named("d"))), "RESOURCE_EXHAUSTED STREAMS_FULL");
  ASSERT_EQ(answer_of(wire_->remove(StreamWire::named("b"))), "OK");
  EXPECT_EQ(answer_of(wire_->create(StreamWire::named("d"))), "OK");

  const auto id = StreamWire::named("a");
  EXPECT_EQ(answer_of(wire_->commit_offset(id, "g", 0)), "OK");
  EXPECT_EQ(answer_of(wire_->commit_offset(id, "h", 0)), "OK");
  EXPECT_EQ(answer_of(wire_->commit_offset(id, "i", 0)), "RESOURCE_EXHAUSTED CONSUMER_GROUPS_FULL");
  ASSERT_EQ(answer_of(wire_->append(id, wire_->make(wire_core::TIER_RAM), 2)), "OK");
  EXPECT_EQ(answer_of(wire_->commit_offset(id, "g", 2)), "OK");
  EXPECT_EQ(answer_of(wire_->commit_offset(id, "g", 1)), "ABORTED OFFSET_GOES_BACK");
}

TEST_P(StreamErrors, lists_refuse_pages_that_are_none) {
  for (const char* name : {"a", "b"}) wire_->create(StreamWire::named(name, "x"));
  wire_runtime::ListStreamsRequest list;
  list.set_page_size(-1);
  EXPECT_EQ(answer_of(wire_->list_streams(list)), "INVALID_ARGUMENT PAGE_SIZE_INVALID");
  list.set_page_size(1);
  wire_runtime::ListStreamsResponse page;
  ASSERT_EQ(answer_of(wire_->list_streams(list, &page)), "OK");
  const std::string token = page.next_page_token();
  ASSERT_FALSE(token.empty());
  for (const std::string& garbage :
       {std::string("garbage"), token + "x", token + "0g", "2" + token.substr(1), std::string("1."),
        std::string("1..."), std::string("1..61"), std::string(100'000, '1')}) {
    list.set_page_token(garbage);
    EXPECT_EQ(answer_of(wire_->list_streams(list)), "INVALID_ARGUMENT PAGE_TOKEN_INVALID")
        << garbage.substr(0, 40);
  }
  list.set_page_token(token);
  list.set_namespace_("x");
  EXPECT_EQ(answer_of(wire_->list_streams(list)), "INVALID_ARGUMENT PAGE_TOKEN_INVALID")
      << "a token of another filter";
}

TEST_P(StreamErrors, a_lost_payload_cannot_be_appended) {
  if (std::string(GetParam()) != "sqlite") GTEST_SKIP() << "nothing survives to be lost";
  ASSERT_EQ(answer_of(wire_->create(StreamWire::named("s"))), "OK");
  const auto payload = wire_->make(wire_core::TIER_RAM);
  host_.kill();
  for (const std::string& name : host_.segments()) {
    std::filesystem::remove("/dev/shm/" + name);
  }
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  wire_ = std::make_unique<StreamWire>(host_);
  EXPECT_EQ(answer_of(wire_->append(StreamWire::named("s"), payload)), "DATA_LOSS PAYLOAD_LOST");
}

INSTANTIATE_TEST_SUITE_P(repositories, StreamErrors, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
