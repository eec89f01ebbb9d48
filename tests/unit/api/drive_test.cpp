#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <optional>
#include <semaphore>
#include <thread>
#include <vector>

#include "core/api/engine.h"
#include "core/ledger/clocks.h"
#include "core/plugin/instance.h"
#include "core/plugin/plugin_set.h"
#include "payload/manager/catalog/v1/catalog.pb.h"

// Engine::call_and_drive: a caller that writes the journal itself.

namespace pm::api::test {
namespace {

namespace wire = payload::manager::catalog::v1;

constexpr char allocate_method[] =
    "/payload.manager.services.v1.PayloadCatalogService/AllocatePayload";
constexpr char commit_method[] = "/payload.manager.services.v1.PayloadCatalogService/CommitPayload";

// Stands before a repository, and notes on which thread it is written.
class WatchedRepository {
 public:
  void watch(const pm_repository_t* inner) {
    inner_ = inner;
    abi_ = *inner;
    abi_.repository_data = this;
    abi_.open = [](const pm_repository_t* self, const pm_schema_t* schema,
                   pm_repository_state_t* state) {
      return inner_of(self)->open(inner_of(self), schema, state);
    };
    abi_.apply = [](const pm_repository_t* self, const pm_batch_t* batch) {
      auto& watched = *static_cast<WatchedRepository*>(self->repository_data);
      {
        const std::lock_guard lock(watched.mutex_);
        watched.writers_.push_back(std::this_thread::get_id());
      }
      return inner_of(self)->apply(inner_of(self), batch);
    };
    abi_.scan = [](const pm_repository_t* self, const pm_scan_t* scan, pm_on_record_t on_record,
                   void* data) {
      return inner_of(self)->scan(inner_of(self), scan, on_record, data);
    };
  }
  const pm_repository_t* abi() const { return &abi_; }

  // Of each batch.
  std::vector<std::thread::id> writers() {
    const std::lock_guard lock(mutex_);
    return writers_;
  }

 private:
  static const pm_repository_t* inner_of(const pm_repository_t* self) {
    return static_cast<WatchedRepository*>(self->repository_data)->inner_;
  }

  const pm_repository_t* inner_ = nullptr;
  pm_repository_t abi_{};
  std::mutex mutex_;
  std::vector<std::thread::id> writers_;
};

struct Answer {
  pm_status_t status = PM_OK;
  std::string bytes;
};

// One call's reply, from whichever thread.
class Waiter {
 public:
  static void on_reply(void* data, const pm_reply_t* reply) {
    auto& waiter = *static_cast<Waiter*>(data);
    waiter.answer_ = {reply->status, {reinterpret_cast<const char*>(reply->bytes), reply->length}};
    waiter.replied_.release();
  }
  bool has_reply() { return replied_.try_acquire(); }
  bool wait() { return replied_.try_acquire_for(std::chrono::seconds(20)); }
  const Answer& answer() const { return answer_; }

 private:
  Answer answer_;
  std::binary_semaphore replied_{0};
};

class DriveTest : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/pm-drive-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
    const std::string build = std::getenv("PM_BUILD_DIR");
    auto plugins = PluginSet::find({build + "/lib/payload-manager"});
    ASSERT_TRUE(plugins.ok()) << plugins.status().to_string();
    auto memory = plugins->load("org.payload-manager.repository-memory", PM_KIND_REPOSITORY);
    auto shm = plugins->load("org.payload-manager.tier-shm", PM_KIND_TIER);
    ASSERT_TRUE(memory.ok() && shm.ok());
    auto repository = Repository::create(*memory, "repository", std::nullopt, "{}");
    ASSERT_TRUE(repository.ok()) << repository.status().to_string();
    repository_.emplace(std::move(*repository));
    watched_.watch(repository_->get());
    const auto state = open_repository(watched_.abi());
    ASSERT_TRUE(state.ok()) << state.status().to_string();
    const std::string name = std::filesystem::path(folder_).filename();
    const std::string config =
        "{\"capacity_bytes\": 16777216, \"slab_bytes\": 16777216, \"mode\": \"0600\", "
        "\"prefix\": \"" +
        name + "\"}";
    const HostIdentity identity{state->instance_id, read_boot_id(), folder_};
    auto tier = Tier::create(*shm, "shm", identity, config.c_str());
    ASSERT_TRUE(tier.ok()) << tier.status().to_string();
    tier_.emplace(std::move(*tier));
    TierSetup setup;
    setup.name = "shm";
    setup.number = payload::manager::core::v1::TIER_RAM;
    setup.tier = tier_->get();
    auto engine = Engine::start({}, watched_.abi(), *state, {setup}, {}, [](const Status&) {});
    ASSERT_TRUE(engine.ok()) << engine.status().to_string();
    engine_ = std::move(*engine);
  }

  void TearDown() override {
    if (engine_) engine_->stop(ledger::monotonic_now_ns() + 5'000'000'000);
    engine_.reset();
    tier_.reset();
    repository_.reset();
    const std::string stem = std::filesystem::path(folder_).filename();
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm"))
      if (entry.path().filename().string().starts_with(stem)) std::filesystem::remove(entry.path());
    std::filesystem::remove_all(folder_);
  }

  void drive(const char* method, const std::string& request, Waiter& waiter) {
    engine_->call_and_drive(method, reinterpret_cast<const std::uint8_t*>(request.data()),
                            request.size(), &info_, &Waiter::on_reply, &waiter);
  }
  void call(const char* method, const std::string& request, Waiter& waiter) {
    const pm_engine_t* abi = engine_->abi();
    abi->call(abi, method, reinterpret_cast<const std::uint8_t*>(request.data()), request.size(),
              &info_, &Waiter::on_reply, &waiter);
  }

  static std::string allocate_request() {
    wire::AllocatePayloadRequest request;
    request.set_size_bytes(100);
    request.set_preferred_tier(payload::manager::core::v1::TIER_RAM);
    request.set_layout(wire::MEMORY_LAYOUT_SLAB);
    return request.SerializeAsString();
  }
  static std::string commit_request(const Answer& allocated) {
    wire::AllocatePayloadResponse response;
    EXPECT_TRUE(response.ParseFromString(allocated.bytes));
    wire::CommitPayloadRequest request;
    *request.mutable_id() = response.payload_descriptor().payload_id();
    return request.SerializeAsString();
  }

  const pm_call_info_t info_{sizeof info_, 0, nullptr, 0, 0, nullptr};
  std::string folder_;
  std::optional<Repository> repository_;
  WatchedRepository watched_;
  std::optional<Tier> tier_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(DriveTest, reply_to_a_durable_call_is_there_when_it_returns) {
  for (int i = 0; i < 100; ++i) {
    Waiter allocated, committed;
    drive(allocate_method, allocate_request(), allocated);
    ASSERT_TRUE(allocated.has_reply());
    ASSERT_EQ(allocated.answer().status, PM_OK);
    drive(commit_method, commit_request(allocated.answer()), committed);
    ASSERT_TRUE(committed.has_reply());
    ASSERT_EQ(committed.answer().status, PM_OK);
  }
  // The journal's own thread may be at work still with what the start left.
  const std::vector<std::thread::id> writers = watched_.writers();
  EXPECT_GE(std::count(writers.begin(), writers.end(), std::this_thread::get_id()), 90);
}

TEST_F(DriveTest, call_that_fails_replies_at_once) {
  Waiter waiter;
  drive(commit_method, "no protobuf", waiter);
  ASSERT_TRUE(waiter.has_reply());
  EXPECT_EQ(waiter.answer().status, PM_INVALID_ARGUMENT);
}

TEST_F(DriveTest, calls_without_drive_still_wake_the_journal) {
  Waiter driven;
  drive(allocate_method, allocate_request(), driven);
  ASSERT_TRUE(driven.has_reply());
  Waiter committed;
  call(commit_method, commit_request(driven.answer()), committed);
  ASSERT_TRUE(committed.wait()) << "the promise to drive outlived its call";
  EXPECT_EQ(committed.answer().status, PM_OK);
  EXPECT_NE(watched_.writers().back(), std::this_thread::get_id());
}

TEST_F(DriveTest, driving_and_other_callers_all_get_their_replies) {
  std::atomic<int> committed_count{0};
  std::vector<std::thread> threads;
  for (int number = 0; number < 4; ++number) {
    threads.emplace_back([this, number, &committed_count] {
      for (int i = 0; i < 200; ++i) {
        Waiter allocated, committed;
        const bool drives = number % 2 == 0;
        const auto invoke = [&](const char* method, const std::string& request, Waiter& waiter) {
          drives ? drive(method, request, waiter) : call(method, request, waiter);
        };
        invoke(allocate_method, allocate_request(), allocated);
        if (!allocated.wait() || allocated.answer().status != PM_OK) return;
        invoke(commit_method, commit_request(allocated.answer()), committed);
        if (!committed.wait() || committed.answer().status != PM_OK) return;
        ++committed_count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(committed_count, 4 * 200);
}

}  // namespace
}  // namespace pm::api::test
