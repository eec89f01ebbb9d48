// Allocations granted ahead: what a create() costs, and what is given back.

#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <thread>

#include "fake_server.h"
#include "pm/client/client.h"

namespace pm::client {
namespace {

using test::FakeServer;

const CreateOptions ahead{.layout = Layout::slab, .ahead = true};

class Ahead : public testing::Test {
 protected:
  Client connect(ConnectOptions options = {}) {
    auto client = Client::connect(server_.address(), std::move(options));
    EXPECT_TRUE(client.ok()) << client.status().to_string();
    return *std::move(client);
  }

  static PayloadId put(Client& client, std::size_t size, const CreateOptions& options) {
    auto payload = client.create(size, options);
    EXPECT_TRUE(payload.ok()) << payload.status().to_string();
    if (!payload) return {};
    EXPECT_EQ(payload->bytes().size(), size);
    std::fill(payload->bytes().begin(), payload->bytes().end(), std::byte{7});
    const auto committed = payload->commit();
    EXPECT_TRUE(committed.ok()) << committed.status().to_string();
    return payload->id();
  }

  std::string bytes_of(const PayloadId& id) const {
    return server_.bytes_of(std::string(id.bytes.begin(), id.bytes.end()));
  }

  FakeServer server_;
};

TEST_F(Ahead, a_put_after_a_put_is_one_call) {
  Client client = connect();
  std::set<PayloadId> ids;
  for (int i = 0; i < 5; ++i) ids.insert(put(client, 4096, ahead));
  EXPECT_EQ(server_.calls("AllocatePayload"), 1);
  EXPECT_EQ(server_.calls("CommitPayload"), 5);
  EXPECT_EQ(ids.size(), 5U) << "a grant was used twice";
  for (const PayloadId& id : ids) EXPECT_EQ(bytes_of(id), std::string(4096, '\7'));
}

TEST_F(Ahead, nothing_is_asked_for_unless_the_option_says_so) {
  Client client = connect();
  put(client, 4096, {});
  put(client, 4096, {.request_id = "once", .ahead = true});
  EXPECT_EQ(server_.calls("next"), 0);
  EXPECT_EQ(server_.payloads(), 2U);
}

TEST_F(Ahead, another_size_or_another_option_gets_no_grant) {
  Client client = connect();
  put(client, 4096, ahead);
  put(client, 4097, ahead);
  CreateOptions lasting = ahead;
  lasting.no_evict = true;
  put(client, 4096, lasting);
  put(client, 4096, {.layout = Layout::slab});
  EXPECT_EQ(server_.calls("AllocatePayload"), 4);
  put(client, 4097, ahead);
  EXPECT_EQ(server_.calls("AllocatePayload"), 4) << "its grant is still there";
}

TEST_F(Ahead, what_was_not_used_is_deleted_when_the_client_goes) {
  {
    Client client = connect();
    put(client, 4096, ahead);
    put(client, 4097, ahead);
    EXPECT_EQ(server_.payloads(), 4U);
  }
  EXPECT_EQ(server_.payloads(), 2U);
}

TEST_F(Ahead, what_was_not_used_in_time_is_deleted_and_not_used) {
  Client client = connect();
  put(client, 4096, ahead);
  std::this_thread::sleep_for(std::chrono::milliseconds(1'100));
  put(client, 4096, ahead);
  EXPECT_EQ(server_.calls("AllocatePayload"), 2);
  EXPECT_EQ(server_.calls("Delete"), 1);
  EXPECT_EQ(server_.payloads(), 3U) << "two puts and one fresh grant";
}

TEST_F(Ahead, a_client_holds_no_more_than_eight) {
  Client client = connect();
  for (std::size_t size = 1; size <= 20; ++size) put(client, size, ahead);
  EXPECT_EQ(server_.calls("next"), 8);
  EXPECT_EQ(server_.payloads(), 28U);
}

TEST_F(Ahead, a_commit_succeeds_though_nothing_is_granted) {
  server_.fail("next", {grpc::StatusCode::RESOURCE_EXHAUSTED, "full"});
  Client client = connect();
  for (int i = 0; i < 20; ++i) put(client, 4096, ahead);
  EXPECT_EQ(server_.calls("AllocatePayload"), 20);
  EXPECT_EQ(server_.calls("next"), 20) << "a refusal must not count as a grant";
}

TEST_F(Ahead, a_commit_that_failed_asks_again) {
  Client client = connect();
  auto payload = client.create(4096, ahead);
  ASSERT_TRUE(payload.ok());
  server_.fail("CommitPayload", {grpc::StatusCode::UNAVAILABLE, "away"});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(payload->commit().status().code(), Code::unavailable);
  server_.fail("CommitPayload", grpc::Status::OK);
  EXPECT_TRUE(payload->commit().ok());
  EXPECT_EQ(server_.calls("next"), 1);
}

TEST_F(Ahead, a_host_that_died_does_not_hold_up_the_end_of_its_client) {
  const auto start = std::chrono::steady_clock::now();
  {
    Client client = connect();
    put(client, 4096, ahead);
    server_.die();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_F(Ahead, threads_share_what_a_client_was_granted) {
  Client client = connect({.spin_us = 50});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 50; ++n) put(client, 4096, ahead);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(server_.calls("CommitPayload"), 200);
  EXPECT_EQ(server_.calls("AllocatePayload") + server_.calls("next"),
            static_cast<int>(server_.payloads()) + server_.calls("Delete"));
  EXPECT_LE(server_.payloads(), 208U);
}

TEST_F(Ahead, a_call_that_spins_keeps_its_deadline) {
  Client client = connect({.deadline_ms = 1, .spin_us = UINT32_MAX});
  server_.die();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(client.create(4096, ahead).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

}  // namespace
}  // namespace pm::client
