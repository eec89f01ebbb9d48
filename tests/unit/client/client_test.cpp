// The client library against a fake server: what is mapped, and what is left behind.

#include "pm/client/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fcntl.h>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "fake_server.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace pm::client {
namespace {

using test::FakeServer;

Client connect(const FakeServer& server, ConnectOptions options = {}) {
  auto client = Client::connect(server.address(), std::move(options));
  EXPECT_TRUE(client.ok()) << client.status().to_string();
  return *std::move(client);
}

void fill(std::span<std::byte> bytes, unsigned seed) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>((i * 31 + seed) & 0xff);
  }
}

bool holds(std::span<const std::byte> bytes, std::size_t size, unsigned seed) {
  std::vector<std::byte> expected(size);
  fill(expected, seed);
  return std::equal(bytes.begin(), bytes.end(), expected.begin(), expected.end());
}

PayloadId put(Client& client, std::size_t size, unsigned seed, const CreateOptions& options = {}) {
  auto payload = client.create(size, options);
  EXPECT_TRUE(payload.ok()) << payload.status().to_string();
  if (!payload) return {};
  fill(payload->bytes(), seed);
  const auto descriptor = payload->commit();
  EXPECT_TRUE(descriptor.ok()) << descriptor.status().to_string();
  return payload->id();
}

// The lines of /proc/self/maps that mention `name`.
std::vector<std::string> mappings_of(const std::string& name) {
  std::ifstream maps("/proc/self/maps");
  std::vector<std::string> found;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(name) != std::string::npos) found.push_back(line);
  }
  return found;
}

struct Place {
  const char* name;
  CreateOptions options;
};

class EachPlace : public testing::TestWithParam<Place> {};
INSTANTIATE_TEST_SUITE_P(places, EachPlace,
                         testing::Values(Place{"segment", {}},
                                         Place{"slab", {.layout = Layout::slab}},
                                         Place{"disk", {.tier = Tier::disk}}),
                         [](const auto& place) { return place.param.name; });

TEST_P(EachPlace, what_is_written_into_the_mapping_is_what_a_lease_maps) {
  FakeServer server;
  Client writer = connect(server);
  Client reader = connect(server);
  const PayloadId first = put(writer, 100'001, 1, GetParam().options);
  const PayloadId second = put(writer, 3, 2, GetParam().options);
  const auto first_lease = reader.open(first);
  const auto second_lease = reader.open(second);
  ASSERT_TRUE(first_lease.ok()) << first_lease.status().to_string();
  ASSERT_TRUE(second_lease.ok()) << second_lease.status().to_string();
  EXPECT_TRUE(holds(first_lease->bytes(), 100'001, 1));
  EXPECT_TRUE(holds(second_lease->bytes(), 3, 2));
}

TEST_P(EachPlace, dropping_what_was_not_committed_deletes_it) {
  FakeServer server;
  Client client = connect(server);
  {
    const auto payload = client.create(4096, GetParam().options);
    ASSERT_TRUE(payload.ok()) << payload.status().to_string();
    EXPECT_EQ(server.payloads(), 1U);
  }
  EXPECT_EQ(server.payloads(), 0U);
}

TEST_P(EachPlace, dropping_what_was_committed_keeps_it) {
  FakeServer server;
  Client client = connect(server);
  put(client, 4096, 1, GetParam().options);
  EXPECT_EQ(server.payloads(), 1U);
  EXPECT_EQ(server.calls("Delete"), 0);
}

TEST(client, options_of_create_reach_the_server) {
  FakeServer server;
  Client client = connect(server);
  CreateOptions options;
  options.tier = Tier::disk;
  options.ttl_ms = 1234;
  options.no_evict = true;
  options.eviction = {EvictionPriority::high, true, Tier::object, Tier::disk};
  options.request_id = "once";
  ASSERT_TRUE(client.allocate(77, options).ok());
  const std::string asked = server.last_allocation();
  for (const char* part :
       {R"("sizeBytes":"77")", R"("preferredTier":"TIER_DISK")", R"("ttlMs":"1234")",
        R"("noEvict":true)", R"("priority":"EVICTION_PRIORITY_HIGH")", R"("requireDurable":true)",
        R"("spillTarget":"TIER_OBJECT")", R"("minResidencyTier":"TIER_DISK")",
        R"("requestId":"once")", R"("layout":"MEMORY_LAYOUT_SEGMENT")"}) {
    EXPECT_THAT(asked, testing::HasSubstr(part));
  }
}

TEST(client, commit_unmaps_the_writable_bytes) {
  FakeServer server;
  Client client = connect(server);
  auto payload = client.create(8192);
  ASSERT_TRUE(payload.ok());
  const std::string name = payload->descriptor().location.name.substr(1);
  EXPECT_EQ(mappings_of(name).size(), 1U);
  ASSERT_TRUE(payload->commit().ok());
  EXPECT_TRUE(payload->bytes().empty());
  EXPECT_TRUE(mappings_of(name).empty());
  EXPECT_EQ(payload->descriptor().state, State::active);
  EXPECT_EQ(payload->commit().status().code(), Code::failed_precondition);
}

TEST(client, a_refused_commit_can_be_repeated) {
  FakeServer server;
  Client client = connect(server);
  auto payload = client.create(16);
  ASSERT_TRUE(payload.ok());
  fill(payload->bytes(), 9);
  server.fail("CommitPayload", {grpc::StatusCode::UNAVAILABLE, "the repository is away"});
  EXPECT_EQ(payload->commit().status().code(), Code::unavailable);
  server.fail("CommitPayload", grpc::Status::OK);
  EXPECT_TRUE(payload->commit().ok());
  EXPECT_EQ(server.payloads(), 1U);
}

TEST(client, dropping_after_a_refused_commit_deletes) {
  FakeServer server;
  Client client = connect(server);
  {
    auto payload = client.create(16);
    ASSERT_TRUE(payload.ok());
    server.fail("CommitPayload", {grpc::StatusCode::DATA_LOSS, "the tier failed to sync"});
    EXPECT_EQ(payload->commit().status().code(), Code::data_loss);
  }
  EXPECT_EQ(server.payloads(), 0U);
}

TEST(client, discard_says_whether_it_worked) {
  FakeServer server;
  Client client = connect(server);
  auto payload = client.create(16);
  ASSERT_TRUE(payload.ok());
  EXPECT_TRUE(payload->discard().ok());
  EXPECT_EQ(server.payloads(), 0U);
  EXPECT_EQ(payload->discard().code(), Code::failed_precondition);
  EXPECT_EQ(server.calls("Delete"), 1);
}

TEST(client, assigning_over_an_open_payload_deletes_the_old_one) {
  FakeServer server;
  Client client = connect(server);
  auto first = client.create(16);
  auto second = client.create(32);
  ASSERT_TRUE(first.ok() && second.ok());
  *first = *std::move(second);
  EXPECT_EQ(server.payloads(), 1U);
  EXPECT_EQ(first->bytes().size(), 32U);
}

TEST(client, a_lease_maps_read_only_and_ends_when_dropped) {
  FakeServer server;
  Client client = connect(server);
  const PayloadId id = put(client, 8192, 3);
  {
    const auto lease = client.open(id);
    ASSERT_TRUE(lease.ok());
    EXPECT_EQ(server.leases(), 1U);
    const auto maps = mappings_of(lease->descriptor().location.name.substr(1));
    ASSERT_EQ(maps.size(), 1U);
    EXPECT_THAT(maps[0], testing::HasSubstr(" r--s "));
  }
  EXPECT_EQ(server.leases(), 0U);
}

TEST(client, release_ends_a_lease_once) {
  FakeServer server;
  Client client = connect(server);
  auto lease = client.open(put(client, 64, 3));
  ASSERT_TRUE(lease.ok());
  EXPECT_TRUE(lease->release().ok());
  EXPECT_TRUE(lease->bytes().empty());
  EXPECT_TRUE(lease->release().ok());
  EXPECT_EQ(server.calls("ReleaseLease"), 1);
}

TEST(client, a_lease_outlives_its_client) {
  FakeServer server;
  auto client = std::make_unique<Client>(connect(server));
  auto lease = client->open(put(*client, 64, 3));
  ASSERT_TRUE(lease.ok());
  client.reset();
  EXPECT_TRUE(holds(lease->bytes(), 64, 3));
  EXPECT_TRUE(lease->release().ok());
  EXPECT_EQ(server.leases(), 0U);
}

TEST(client, a_slab_is_mapped_once_for_each_access) {
  FakeServer server;
  Client client = connect(server);
  const CreateOptions slab{.layout = Layout::slab};
  const PayloadId first = put(client, 1000, 1, slab);
  const PayloadId second = put(client, 1000, 2, slab);
  const auto first_lease = client.open(first);
  const auto second_lease = client.open(second);
  ASSERT_TRUE(first_lease.ok() && second_lease.ok());
  EXPECT_EQ(mappings_of(first_lease->descriptor().location.name.substr(1)).size(), 2U);
  EXPECT_TRUE(holds(second_lease->bytes(), 1000, 2));
}

TEST(client, a_slab_made_anew_under_the_old_name_is_mapped_anew) {
  FakeServer server;
  Client client = connect(server);
  const CreateOptions slab{.layout = Layout::slab};
  const PayloadId id = put(client, 1000, 1, slab);
  auto lease = client.open(id);
  ASSERT_TRUE(lease.ok());
  const Location location = lease->descriptor().location;
  ASSERT_TRUE(lease->release().ok());
  ::shm_unlink(location.name.c_str());
  const int file = ::shm_open(location.name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  ASSERT_GE(file, 0);
  ASSERT_EQ(::ftruncate(file, static_cast<off_t>(location.mapping_bytes)), 0);
  ::close(file);
  const auto again = client.open(id);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->bytes()[1], std::byte{0});
}

TEST(client, the_reason_of_an_error_is_the_servers) {
  FakeServer server;
  Client client = connect(server);
  google::rpc::ErrorInfo info;
  info.set_reason("TIER_FULL");
  google::rpc::Status details;
  details.set_code(8);
  details.add_details()->PackFrom(info);
  server.fail("AllocatePayload",
              {grpc::StatusCode::RESOURCE_EXHAUSTED, "ram is full", details.SerializeAsString()});
  const auto payload = client.create(16);
  EXPECT_EQ(payload.status().code(), Code::resource_exhausted);
  EXPECT_EQ(payload.status().reason(), "TIER_FULL");
  EXPECT_EQ(payload.status().message(), "ram is full");
}

TEST(client, spill_gives_an_outcome_for_each_id) {
  FakeServer server;
  Client client = connect(server);
  const PayloadId known = put(client, 100, 5);
  const PayloadId unknown{{1, 2, 3}};
  const std::vector<PayloadId> ids = {unknown, known};
  const auto outcomes = client.spill(ids);
  ASSERT_TRUE(outcomes.ok()) << outcomes.status().to_string();
  ASSERT_EQ(outcomes->size(), 2U);
  EXPECT_EQ((*outcomes)[0].status.code(), Code::not_found);
  EXPECT_EQ((*outcomes)[0].status.reason(), "PAYLOAD_NOT_FOUND");
  EXPECT_TRUE((*outcomes)[1].status.ok());
  ASSERT_TRUE((*outcomes)[1].descriptor.has_value());
  EXPECT_EQ((*outcomes)[1].descriptor->tier, Tier::disk);
  const auto promoted = client.promote(known, Tier::ram);
  ASSERT_TRUE(promoted.ok());
  EXPECT_EQ(promoted->location.kind, LocationKind::memory);
  const auto lease = client.open(known);
  ASSERT_TRUE(lease.ok());
  EXPECT_TRUE(holds(lease->bytes(), 100, 5));
}

TEST(client, list_each_visits_every_page_newest_first) {
  FakeServer server;
  Client client = connect(server);
  std::vector<PayloadId> made;
  for (unsigned i = 0; i < 7; ++i) made.insert(made.begin(), put(client, 8, i));
  std::vector<PayloadId> seen;
  const Status status = client.list_each({.page_size = 3}, [&seen](const Summary& summary) {
    seen.push_back(summary.id);
    return true;
  });
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(seen, made);
  EXPECT_EQ(server.calls("ListPayloads"), 3);
}

TEST(client, list_each_turns_what_the_visitor_throws_into_an_error) {
  FakeServer server;
  Client client = connect(server);
  put(client, 8, 1);
  const Status status =
      client.list_each({}, [](const Summary&) -> bool { throw std::runtime_error("visitor"); });
  EXPECT_EQ(status.code(), Code::internal);
  EXPECT_EQ(status.message(), "visitor");
}

TEST(client, the_address_comes_from_the_environment_when_none_is_given) {
  FakeServer server;
  ::setenv("PM_ADDRESS", server.address().c_str(), 1);
  auto client = Client::connect();
  ::unsetenv("PM_ADDRESS");
  ASSERT_TRUE(client.ok());
  EXPECT_EQ(client->address(), server.address());
  EXPECT_TRUE(client->stats().ok());
}

TEST(client, connect_refuses_tls_files_that_do_not_fit) {
  ConnectOptions missing;
  missing.tls_ca_file = "/nonexistent/ca.pem";
  EXPECT_EQ(Client::connect("localhost:1", missing).status().code(), Code::invalid_argument);
  ConnectOptions half;
  half.tls_certificate_file = "/nonexistent/client.pem";
  EXPECT_EQ(Client::connect("localhost:1", half).status().code(), Code::invalid_argument);
}

TEST(client, a_server_that_never_answers_costs_the_deadline) {
  FakeServer server;
  const std::string path = server.folder() + "/silent.sock";
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, path.c_str(), sizeof name.sun_path - 1);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  ASSERT_EQ(::listen(listener, 8), 0);
  auto client = Client::connect("unix:" + path, {.deadline_ms = 200});
  ASSERT_TRUE(client.ok());
  EXPECT_EQ(client->stats().status().code(), Code::deadline_exceeded);
  ::close(listener);
}

TEST(client, a_server_that_dies_while_bytes_are_written_is_an_error_and_no_more) {
  FakeServer server;
  Client client = connect(server);
  auto payload = client.create(1 << 20);
  ASSERT_TRUE(payload.ok());
  auto lease = client.open(put(client, 64, 3));
  ASSERT_TRUE(lease.ok());
  server.die();
  fill(payload->bytes(), 4);
  EXPECT_EQ(payload->commit().status().code(), Code::unavailable);
  EXPECT_TRUE(holds(lease->bytes(), 64, 3));
  EXPECT_EQ(lease->release().code(), Code::unavailable);
}

TEST(client, one_client_serves_many_threads) {
  FakeServer server;
  Client client = connect(server);
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (unsigned round = 0; round < 20; ++round) {
        const CreateOptions slab{.layout = Layout::slab};
        const bool small = round % 2 == 0;
        auto payload = client.create(2000, small ? slab : CreateOptions{});
        if (!payload) {
          ++failures;
          continue;
        }
        fill(payload->bytes(), thread * 100 + round);
        if (!payload->commit()) ++failures;
        auto lease = client.open(payload->id());
        if (!lease || !holds(lease->bytes(), 2000, thread * 100 + round)) ++failures;
        if (lease && !lease->release()) ++failures;
        if (!client.erase(payload->id())) ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(server.payloads(), 0U);
  EXPECT_EQ(server.leases(), 0U);
}

}  // namespace
}  // namespace pm::client
