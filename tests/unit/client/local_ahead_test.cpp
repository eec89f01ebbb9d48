// Allocations granted ahead over a local socket: they end with the session that they were granted
// in, and their room is somebody else's then.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "fake_host.h"
#include "payload/manager/catalog/v1/catalog.pb.h"
#include "pm/client/client.h"

namespace pm::client {
namespace {

namespace catalog = payload::manager::catalog::v1;
namespace core = payload::manager::core::v1;
using local::FrameHeader;
using test::FakeHost;
using test::id_of;
using test::Peer;

constexpr std::uint64_t size = 4096;
const CreateOptions ahead{.layout = Layout::slab, .ahead = true};

// Each commit grants the one block of a slab that everybody can open by its name.
class LocalAhead : public testing::Test {
 protected:
  LocalAhead() {
    const int file = ::shm_open(name_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    if (::ftruncate(file, size) != 0) std::abort();
    block_ = static_cast<char*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    ::close(file);
    host_.set_script(
        {.call = [this](Peer& peer, const FrameHeader& header, auto& method, auto& request) {
          if (!method.ends_with("/CommitPayload")) return false;
          answer_commit(peer, header, request);
          return true;
        }});
    put();
  }
  ~LocalAhead() override {
    ::munmap(block_, size);
    ::shm_unlink(name_.c_str());
  }

  void answer_commit(Peer& peer, const FrameHeader& header, const std::string& request) {
    catalog::CommitPayloadRequest asked;
    asked.ParseFromString(request);
    catalog::CommitPayloadResponse reply;
    *reply.mutable_payload_descriptor()->mutable_payload_id() = asked.id();
    if (asked.has_next()) {
      core::PayloadDescriptor& next = *reply.mutable_next_descriptor();
      const PayloadId id = id_of(++granted_);
      next.mutable_payload_id()->set_value(id.bytes.data(), id.bytes.size());
      next.set_tier(core::TIER_RAM);
      next.set_state(core::PAYLOAD_STATE_ALLOCATED);
      next.set_size_bytes(size);
      next.mutable_ram()->set_shm_name(name_);
      next.mutable_ram()->set_length_bytes(size);
    }
    peer.reply(header.call, reply.SerializeAsString());
  }

  void put() {
    auto payload = client_.create(size, ahead);
    ASSERT_TRUE(payload.ok()) << payload.status().to_string();
    std::ranges::fill(payload->bytes(), std::byte{'m'});
    const auto committed = payload->commit();
    ASSERT_TRUE(committed.ok()) << committed.status().to_string();
  }
  bool is_mine() const { return block_[0] == 'm' && block_[size - 1] == 'm'; }

  const std::string name_ = "/pm-fake-grant-" + std::to_string(::getpid());
  char* block_ = nullptr;
  std::atomic<std::uint64_t> granted_{0};
  FakeHost host_;
  Client client_ = *Client::connect(host_.address());
};

TEST_F(LocalAhead, what_was_granted_is_used_without_a_call) {
  put();
  EXPECT_TRUE(is_mine());
  EXPECT_EQ(host_.calls("AllocatePayload"), 1);
}

TEST_F(LocalAhead, a_grant_of_a_session_that_has_just_ended_is_not_used) {
  host_.hang_up();
  put();
  EXPECT_FALSE(is_mine()) << "what was somebody else's was overwritten";
  EXPECT_EQ(host_.calls("AllocatePayload"), 2);
}

TEST_F(LocalAhead, a_grant_of_an_earlier_session_is_not_used) {
  host_.hang_up();
  ASSERT_TRUE(client_.call("/test.Service/Echo", "").ok());
  put();
  EXPECT_FALSE(is_mine()) << "what was somebody else's was overwritten";
  EXPECT_EQ(host_.calls("AllocatePayload"), 2);
  // Nor is the host asked to delete what it has given to others long ago.
  EXPECT_EQ(host_.calls("Delete"), 0);
  put();
  EXPECT_TRUE(is_mine()) << "the new session's is as good as the old one's was";
}

TEST_F(LocalAhead, grants_of_earlier_sessions_do_not_count_as_those_that_a_client_may_hold) {
  for (int i = 0; i < 10; ++i) {
    host_.hang_up();
    put();
  }
  EXPECT_EQ(granted_, 11U);
}

}  // namespace
}  // namespace pm::client
