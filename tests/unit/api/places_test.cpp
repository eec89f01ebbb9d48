#include "core/api/places.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <semaphore>

#include "core/api/engine.h"
#include "core/ledger/clocks.h"
#include "core/plugin/instance.h"
#include "core/plugin/plugin_set.h"
#include "payload/manager/catalog/v1/catalog.pb.h"

// Where tiers and clients are, on a machine that hwloc is told of: two NUMA nodes of a processor
// each.

namespace pm::api {
namespace {

namespace wire = payload::manager::catalog::v1;
namespace core = payload::manager::core::v1;

// A process that may run on one processor only, and does nothing.
class BoundProcess {
 public:
  explicit BoundProcess(int processor) : pid_(::fork()) {
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      while (true) ::pause();
    }
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    is_bound_ = ::sched_setaffinity(pid_, sizeof set, &set) == 0;
  }
  ~BoundProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  BoundProcess(const BoundProcess&) = delete;
  BoundProcess& operator=(const BoundProcess&) = delete;

  std::int32_t pid() const { return pid_; }
  bool is_bound() const { return is_bound_; }

 private:
  const pid_t pid_;
  bool is_bound_ = false;
};

class Places : public testing::Test {
 protected:
  void SetUp() override { ::setenv("HWLOC_SYNTHETIC", "numa:2 core:1 pu:1", 1); }
  void TearDown() override {
    ::unsetenv("HWLOC_SYNTHETIC");
    ::unsetenv("HWLOC_THISSYSTEM");
  }
  // What processes may run on is this system's.
  static void believe_it() { ::setenv("HWLOC_THISSYSTEM", "1", 1); }
};

TEST_F(Places, a_process_is_on_a_node_when_it_is_kept_to_that_one) {
  believe_it();
  BoundProcess first(0);
  BoundProcess second(1);
  if (!first.is_bound() || !second.is_bound()) GTEST_SKIP() << "needs processors 0 and 1";
  NumaNodes nodes;
  EXPECT_EQ(nodes.node_of(first.pid()), 0);
  EXPECT_EQ(nodes.node_of(second.pid()), 1);
}

TEST_F(Places, a_process_that_may_run_anywhere_or_is_gone_is_nowhere) {
  believe_it();
  NumaNodes nodes;
  std::int32_t gone = 0;
  {
    BoundProcess process(0);
    gone = process.pid();
  }
  EXPECT_EQ(nodes.node_of(gone), -1);
  cpu_set_t mine;
  if (::sched_getaffinity(0, sizeof mine, &mine) != 0 || !CPU_ISSET(0, &mine) ||
      !CPU_ISSET(1, &mine)) {
    GTEST_SKIP() << "needs processors 0 and 1";
  }
  EXPECT_EQ(nodes.node_of(::getpid()), -1);
}

// An engine with a tier of shared memory on each node, and the policy that ships for such machines.
class NumaLocal : public Places {
 protected:
  void SetUp() override {
    Places::SetUp();
    char folder[] = "/tmp/pm-places-XXXXXX";
    ASSERT_NE(::mkdtemp(folder), nullptr);
    folder_ = folder;
    auto plugins =
        PluginSet::find({std::string(std::getenv("PM_BUILD_DIR")) + "/lib/payload-manager"});
    ASSERT_TRUE(plugins.ok()) << plugins.status().to_string();
    auto memory = plugins->load("org.payload-manager.repository-memory", PM_KIND_REPOSITORY);
    auto shm = plugins->load("org.payload-manager.tier-shm", PM_KIND_TIER);
    ASSERT_TRUE(memory.ok() && shm.ok());
    auto repository = Repository::create(*memory, "repository", std::nullopt, "{}");
    ASSERT_TRUE(repository.ok()) << repository.status().to_string();
    repository_.emplace(std::move(*repository));
    const auto state = open_repository(repository_->get());
    ASSERT_TRUE(state.ok()) << state.status().to_string();
    const HostIdentity identity{state->instance_id, read_boot_id(), folder_};
    std::vector<TierSetup> setups;
    for (const std::uint32_t node : {0u, 1u}) {
      const std::string name = "shm" + std::to_string(node);
      const std::string config =
          R"({"capacity_bytes": 1048576, "slab_bytes": 65536, "mode": "0600", "numa_node": )" +
          std::to_string(node) + R"(, "prefix": ")" + stem() + "-" + name + "\"}";
      auto tier = Tier::create(*shm, name, identity, config.c_str());
      ASSERT_TRUE(tier.ok()) << tier.status().to_string();
      TierSetup& setup = setups.emplace_back();
      setup.name = name;
      setup.number = node == 0 ? core::TIER_RAM : 100;
      setup.rank = static_cast<std::int32_t>(node);
      setup.tier = tiers_.emplace_back(std::move(*tier)).get();
    }
    believe_it();  // Only now: the nodes are not there to be bound to.
    EngineOptions options;
    options.policy.use = {"numa-local"};
    options.policy.shipped_directory = PM_SHIPPED_POLICIES;
    auto engine =
        Engine::start(options, repository_->get(), *state, setups, {}, [](const Status&) {});
    ASSERT_TRUE(engine.ok()) << engine.status().to_string();
    engine_ = std::move(*engine);
  }
  void TearDown() override {
    if (engine_) engine_->stop(ledger::monotonic_now_ns() + 5'000'000'000);
    engine_.reset();
    tiers_.clear();
    repository_.reset();
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
      if (entry.path().filename().string().starts_with(stem())) {
        std::filesystem::remove(entry.path());
      }
    }
    std::filesystem::remove_all(folder_);
    Places::TearDown();
  }
  std::string stem() const {  // As prefixes are to be.
    std::string name = std::filesystem::path(folder_).filename();
    for (char& letter : name) letter = static_cast<char>(std::tolower(letter));
    return name;
  }

  // Where an allocation of the process goes that asks for the tier on node 0.
  std::uint32_t tier_for(std::int32_t pid) {
    wire::AllocatePayloadRequest request;
    request.set_size_bytes(100);
    request.set_preferred_tier(core::TIER_RAM);
    const std::string bytes = request.SerializeAsString();
    const pm_principal_t principal{sizeof principal, 1000, 1000, pid, nullptr, nullptr, 0, 0};
    const pm_call_info_t info{sizeof info, 0, &principal, 0, 0, nullptr};
    struct Answer {
      std::string bytes;
      std::binary_semaphore given{0};
    } answer;
    const pm_engine_t* abi = engine_->abi();
    abi->call(
        abi, "/payload.manager.services.v1.PayloadCatalogService/AllocatePayload",
        reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), &info,
        [](void* data, const pm_reply_t* reply) {
          auto& told = *static_cast<Answer*>(data);
          EXPECT_EQ(reply->status, PM_OK);
          told.bytes.assign(reinterpret_cast<const char*>(reply->bytes), reply->length);
          told.given.release();
        },
        &answer);
    EXPECT_TRUE(answer.given.try_acquire_for(std::chrono::seconds(20)));
    wire::AllocatePayloadResponse response;
    EXPECT_TRUE(response.ParseFromString(answer.bytes));
    return response.payload_descriptor().tier();
  }

  std::string folder_;
  std::optional<Repository> repository_;
  std::vector<Tier> tiers_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(NumaLocal, places_a_payload_on_the_node_of_the_process_that_asks) {
  BoundProcess first(0);
  BoundProcess second(1);
  if (!first.is_bound() || !second.is_bound()) GTEST_SKIP() << "needs processors 0 and 1";
  EXPECT_EQ(tier_for(first.pid()), core::TIER_RAM);
  EXPECT_EQ(tier_for(second.pid()), 100u);
  EXPECT_EQ(tier_for(0), core::TIER_RAM) << "what was asked for, as nobody knows the process";
}

}  // namespace
}  // namespace pm::api
