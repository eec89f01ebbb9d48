// What the client refuses to map although the server says so.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_server.h"
#include "pm/client/client.h"

namespace pm::client {
namespace {

using test::FakeServer;

struct Refusal {
  const char* name;
  Tier tier;
  void (*distort)(FakeServer::Descriptor&);
  Code code;
  const char* reason;
};

const Refusal refusals[] = {
    {"offset_plus_length_overflows", Tier::ram,
     [](FakeServer::Descriptor& d) { d.mutable_ram()->set_offset_bytes(UINT64_MAX - 100); },
     Code::internal, "BAD_DESCRIPTOR"},
    {"offset_plus_length_is_beyond_a_file", Tier::disk,
     [](FakeServer::Descriptor& d) { d.mutable_disk()->set_offset_bytes(INT64_MAX - 100); },
     Code::internal, "BAD_DESCRIPTOR"},
    {"the_end_is_past_the_segment", Tier::ram,
     [](FakeServer::Descriptor& d) {
       d.mutable_ram()->set_length_bytes(1 << 20);
       d.mutable_ram()->set_mapping_bytes(0);
     },
     Code::data_loss, "TRUNCATED"},
    {"the_end_is_past_the_file", Tier::disk,
     [](FakeServer::Descriptor& d) { d.mutable_disk()->set_offset_bytes(1 << 20); },
     Code::data_loss, "TRUNCATED"},
    {"the_end_is_past_the_mapping", Tier::ram,
     [](FakeServer::Descriptor& d) {
       d.mutable_ram()->set_offset_bytes(4096);
       d.mutable_ram()->set_mapping_bytes(100);
     },
     Code::internal, "BAD_DESCRIPTOR"},
    {"the_slab_is_shorter_than_said", Tier::ram,
     [](FakeServer::Descriptor& d) { d.mutable_ram()->set_mapping_bytes(1 << 30); },
     Code::data_loss, "TRUNCATED"},
    {"the_place_is_smaller_than_the_payload", Tier::ram,
     [](FakeServer::Descriptor& d) { d.mutable_ram()->set_length_bytes(4095); }, Code::internal,
     "BAD_DESCRIPTOR"},
    {"the_path_is_relative", Tier::disk,
     [](FakeServer::Descriptor& d) { d.mutable_disk()->set_path("payload.bin"); }, Code::internal,
     "BAD_DESCRIPTOR"},
    {"the_path_is_empty", Tier::disk,
     [](FakeServer::Descriptor& d) { d.mutable_disk()->set_path(""); }, Code::internal,
     "BAD_DESCRIPTOR"},
    {"the_path_is_a_device", Tier::disk,
     [](FakeServer::Descriptor& d) { d.mutable_disk()->set_path("/dev/zero"); }, Code::internal,
     "BAD_DESCRIPTOR"},
    {"the_name_leaves_dev_shm", Tier::ram,
     [](FakeServer::Descriptor& d) { d.mutable_ram()->set_shm_name("/../etc/passwd"); },
     Code::internal, "BAD_DESCRIPTOR"},
    {"the_name_is_no_shm_name", Tier::ram,
     [](FakeServer::Descriptor& d) { d.mutable_ram()->set_shm_name("segment"); }, Code::internal,
     "BAD_DESCRIPTOR"},
    // It is of the sealed layout, which gRPC does not reach.
    {"the_name_is_empty", Tier::ram,
     [](FakeServer::Descriptor& d) { d.mutable_ram()->clear_shm_name(); },
     Code::failed_precondition, "NOT_REACHABLE"},
    {"the_segment_is_elsewhere", Tier::ram,
     [](FakeServer::Descriptor& d) { d.mutable_ram()->set_shm_name("/pm-fake-elsewhere"); },
     Code::failed_precondition, "NOT_REACHABLE"},
    {"there_is_no_location", Tier::ram, [](FakeServer::Descriptor& d) { d.clear_location(); },
     Code::unimplemented, "NOT_MAPPABLE"},
    {"the_tier_cannot_be_mapped", Tier::gpu, [](FakeServer::Descriptor&) {}, Code::unimplemented,
     "NOT_MAPPABLE"},
    {"the_id_is_not_sixteen_bytes", Tier::ram,
     [](FakeServer::Descriptor& d) { d.mutable_payload_id()->set_value("short"); }, Code::internal,
     "BAD_DESCRIPTOR"},
};

class EachRefusal : public testing::TestWithParam<Refusal> {
 protected:
  EachRefusal() : client_(*Client::connect(server_.address())) {}
  FakeServer server_;
  Client client_;
};
INSTANTIATE_TEST_SUITE_P(descriptors, EachRefusal, testing::ValuesIn(refusals),
                         [](const auto& refusal) { return refusal.param.name; });

TEST_P(EachRefusal, a_lease_is_refused_and_given_back) {
  CreateOptions options;
  options.tier = GetParam().tier;
  const auto descriptor = client_.allocate(4096, options);
  ASSERT_TRUE(descriptor.ok());
  ASSERT_TRUE(client_.commit(descriptor->id).ok());
  server_.distort_descriptors(GetParam().distort);
  const auto lease = client_.open(descriptor->id);
  EXPECT_EQ(lease.status().code(), GetParam().code) << lease.status().to_string();
  EXPECT_EQ(lease.status().reason(), GetParam().reason);
  // Without a readable answer there is no lease to name.
  const bool named = std::string(GetParam().name) != "the_id_is_not_sixteen_bytes";
  EXPECT_EQ(server_.leases(), named ? 0U : 1U);
}

TEST_P(EachRefusal, an_allocation_is_refused_and_given_back) {
  server_.distort_descriptors(GetParam().distort);
  CreateOptions options;
  options.tier = GetParam().tier;
  const auto payload = client_.create(4096, options);
  EXPECT_EQ(payload.status().code(), GetParam().code) << payload.status().to_string();
  EXPECT_EQ(payload.status().reason(), GetParam().reason);
  const bool named = std::string(GetParam().name) != "the_id_is_not_sixteen_bytes";
  EXPECT_EQ(server_.payloads(), named ? 0U : 1U);
}

TEST(refusal, a_segment_that_was_truncated_is_data_loss) {
  FakeServer server;
  Client client = *Client::connect(server.address());
  const auto descriptor = client.allocate(8192);
  ASSERT_TRUE(descriptor.ok());
  ASSERT_TRUE(client.commit(descriptor->id).ok());
  const int file = ::shm_open(descriptor->location.name.c_str(), O_RDWR, 0);
  ASSERT_EQ(::ftruncate(file, 4096), 0);
  ::close(file);
  const auto lease = client.open(descriptor->id);
  EXPECT_EQ(lease.status().code(), Code::data_loss);
  EXPECT_THAT(lease.status().message(), testing::HasSubstr("4096"));
}

TEST(refusal, a_path_that_is_a_symbolic_link_is_not_followed) {
  FakeServer server;
  Client client = *Client::connect(server.address());
  CreateOptions options;
  options.tier = Tier::disk;
  const auto descriptor = client.allocate(16, options);
  ASSERT_TRUE(descriptor.ok());
  ASSERT_TRUE(client.commit(descriptor->id).ok());
  const std::string path = descriptor->location.name;
  ASSERT_EQ(::rename(path.c_str(), (path + ".real").c_str()), 0);
  ASSERT_EQ(::symlink((path + ".real").c_str(), path.c_str()), 0);
  EXPECT_FALSE(client.open(descriptor->id).ok());
}

TEST(refusal, a_path_that_is_a_pipe_does_not_hang) {
  FakeServer server;
  Client client = *Client::connect(server.address());
  CreateOptions options;
  options.tier = Tier::disk;
  const auto descriptor = client.allocate(16, options);
  ASSERT_TRUE(descriptor.ok());
  ASSERT_TRUE(client.commit(descriptor->id).ok());
  const std::string path = descriptor->location.name;
  ASSERT_EQ(::unlink(path.c_str()), 0);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(client.open(descriptor->id).status().reason(), "BAD_DESCRIPTOR");
}

}  // namespace
}  // namespace pm::client
