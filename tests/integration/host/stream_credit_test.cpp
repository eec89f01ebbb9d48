#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "engine_caller.h"
#include "google/protobuf/empty.pb.h"
#include "host_process.h"
#include "local_engine.h"
#include "payload/manager/catalog/v1/catalog.pb.h"
#include "payload/manager/runtime/v1/stream.pb.h"

// An engine without a frontend: how many entries are on their way is seen only where credit is
// given by hand.

namespace pm::integration {
namespace {

namespace runtime = payload::manager::runtime::v1;
namespace catalog = payload::manager::catalog::v1;

constexpr char create_method[] = "/payload.manager.services.v1.PayloadStreamService/CreateStream";
constexpr char append_method[] = "/payload.manager.services.v1.PayloadStreamService/Append";
constexpr char subscribe_method[] = "/payload.manager.services.v1.PayloadStreamService/Subscribe";

// What a frontend would be: it takes replies and gives credit when it is told to.
class Taker {
 public:
  std::vector<std::uint64_t> offsets() {
    const std::lock_guard lock(mutex_);
    return offsets_;
  }
  bool wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20),
                             [&] { return offsets_.size() >= count; });
  }
  bool wait_done() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return done_; });
  }
  static void on_reply(void* data, const pm_reply_t* reply) {
    auto& taker = *static_cast<Taker*>(data);
    const std::lock_guard lock(taker.mutex_);
    if (reply->done != 0) {
      taker.done_ = true;
    } else {
      runtime::SubscribeResponse response;
      response.ParseFromArray(reply->bytes, static_cast<int>(reply->length));
      taker.offsets_.push_back(response.entry().offset());
    }
    taker.changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint64_t> offsets_;
  bool done_ = false;
};

class StreamCredit : public testing::Test {
 protected:
  StreamCredit() : engine_({"memory", 1 << 20}), caller_(engine_.engine(), false) {
    catalog::AllocatePayloadRequest allocate;
    allocate.set_size_bytes(4096);
    allocate.set_preferred_tier(payload::manager::core::v1::TIER_RAM);
    allocate.set_layout(catalog::MEMORY_LAYOUT_SLAB);
    catalog::AllocatePayloadResponse allocated;
    EXPECT_TRUE(caller_.call(perf::method::allocate, allocate, allocated)) << caller_.error();
    catalog::CommitPayloadRequest commit;
    *commit.mutable_id() = payload_ = allocated.payload_descriptor().payload_id();
    catalog::CommitPayloadResponse committed;
    EXPECT_TRUE(caller_.call(perf::method::commit, commit, committed)) << caller_.error();
    runtime::CreateStreamRequest create;
    create.mutable_stream()->set_name("s");
    google::protobuf::Empty empty;
    EXPECT_TRUE(caller_.call(create_method, create, empty)) << caller_.error();
  }

  void append(int count) {
    runtime::AppendRequest request;
    request.mutable_stream()->set_name("s");
    for (int item = 0; item < count; ++item) *request.add_items()->mutable_payload_id() = payload_;
    runtime::AppendResponse response;
    ASSERT_TRUE(caller_.call(append_method, request, response)) << caller_.error();
  }

  std::uint64_t subscribe(Taker& taker, std::uint32_t credit, std::uint32_t max_inflight) {
    runtime::SubscribeRequest request;
    request.mutable_stream()->set_name("s");
    request.set_max_inflight(max_inflight);
    const std::string bytes = request.SerializeAsString();
    const pm_principal_t nobody{sizeof nobody, PM_NOBODY, PM_NOBODY, 0, nullptr, nullptr, 0, 0};
    const pm_call_info_t info{sizeof info, credit, &nobody, 0, 0, nullptr};
    const pm_engine_t* abi = engine_.abi();
    return abi->call(abi, subscribe_method, reinterpret_cast<const std::uint8_t*>(bytes.data()),
                     bytes.size(), &info, &Taker::on_reply, &taker);
  }

  std::deque<Taker> takers_;  // They outlive the engine, whatever fails.
  perf::LocalEngine engine_;
  perf::EngineCaller caller_;
  payload::manager::core::v1::PayloadID payload_;
};

// STREAM-15
TEST_F(StreamCredit, no_more_are_on_their_way_than_max_inflight_and_the_transport_allow) {
  struct Case {
    std::uint32_t credit;
    std::uint32_t max_inflight;
    std::size_t expected;
  };
  append(100);
  const pm_engine_t* abi = engine_.abi();
  for (const Case& item : {Case{32, 3, 3}, Case{4, 50, 4}, Case{5, 0, 5}}) {
    Taker& taker = takers_.emplace_back();
    const std::uint64_t call = subscribe(taker, item.credit, item.max_inflight);
    ASSERT_TRUE(taker.wait_for(item.expected));
    append(1);
    sleep_ms(50);
    EXPECT_EQ(taker.offsets().size(), item.expected);
    abi->credit(abi, call, 2);
    ASSERT_TRUE(taker.wait_for(item.expected + 2));
    sleep_ms(50);
    EXPECT_EQ(taker.offsets().size(), item.expected + 2);
    abi->cancel(abi, call);
    ASSERT_TRUE(taker.wait_done());
  }
}

// STREAM-12
TEST_F(StreamCredit, credit_one_by_one_carries_a_follower_over_pages_and_tail) {
  append(1000);
  Taker& taker = takers_.emplace_back();
  const std::uint64_t call = subscribe(taker, 1, 0);
  const pm_engine_t* abi = engine_.abi();
  for (std::size_t count = 1; count <= 3000; ++count) {
    ASSERT_TRUE(taker.wait_for(count)) << count;
    if (count % 100 == 0 && count <= 2000) append(100);
    abi->credit(abi, call, 1);
  }
  const std::vector<std::uint64_t> offsets = taker.offsets();
  for (std::size_t at = 0; at < offsets.size(); ++at) ASSERT_EQ(offsets[at], at);
  abi->cancel(abi, call);
  ASSERT_TRUE(taker.wait_done());
}

TEST_F(StreamCredit, followers_may_come_and_leave_at_any_time) {
  std::atomic<bool> ends{false};
  std::thread producer([&] {
    while (!ends) append(2);
  });
  const pm_engine_t* abi = engine_.abi();
  for (int round = 0; round < 1000; ++round) {
    Taker& taker = takers_.emplace_back();
    const std::uint64_t call = subscribe(taker, 8, 0);
    if (round % 3 == 0) taker.wait_for(1);
    if (round % 2 == 0) abi->credit(abi, call, 4);
    abi->cancel(abi, call);
  }
  for (Taker& taker : takers_) EXPECT_TRUE(taker.wait_done());
  ends = true;
  producer.join();
  for (Taker& taker : takers_) {
    const std::vector<std::uint64_t> offsets = taker.offsets();
    for (std::size_t at = 0; at < offsets.size(); ++at) ASSERT_EQ(offsets[at], at);
  }
}

}  // namespace
}  // namespace pm::integration
