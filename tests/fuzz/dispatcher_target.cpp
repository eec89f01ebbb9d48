// Requests to an engine of its own, one after the other: the number of the method, credit for
// replies, whether the caller gives up, and the bytes of the request.

#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>
#include <optional>

#include "core/api/engine.h"
#include "core/ledger/clocks.h"
#include "core/observe/log.h"
#include "google/rpc/status.pb.h"
#include "input.h"
#include "memory_tier.h"
#include "quiet_host.h"
#include "request_editor.h"

extern "C" const pm_plugin_entry_t repository_memory_entry;
extern "C" const pm_plugin_entry_t tier_void_entry;

namespace pm::fuzz {
namespace {

constexpr std::uint64_t ms_ns = 1'000'000;

// One call and what comes back.
class Caller {
 public:
  explicit Caller(const ContractMethod& method) : method_(method) {}

  static void on_reply(void* data, const pm_reply_t* reply) {
    auto& caller = *static_cast<Caller*>(data);
    const std::lock_guard lock(caller.mutex_);
    expect(!caller.done_, "nothing comes after the last reply", caller.method_.path);
    expect(reply->done <= 1 && (reply->done == 1 || reply->status == PM_OK),
           "a reply that is not the last one is good");
    expect(reply->status == PM_OK || reply->message != nullptr, "an error has words");
    expect(reply->status != PM_INTERNAL, "no request breaks something inside",
           caller.method_.path + ": " + (reply->message != nullptr ? reply->message : ""));
    if (reply->details_length != 0) {
      google::rpc::Status status;
      expect(status.ParseFromArray(reply->details, static_cast<int>(reply->details_length)),
             "the details of an error can be read");
    }
    if (reply->status == PM_OK && reply->bytes != nullptr) {
      caller.replies_.emplace_back(reinterpret_cast<const char*>(reply->bytes), reply->length);
    }
    caller.done_ = reply->done == 1;
    caller.changed_.notify_all();
  }

  // False when nothing more came in a millisecond or two: it waits for something.
  bool wait_done() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(2), [&] { return done_; });
  }
  bool is_done() const {
    const std::lock_guard lock(mutex_);
    return done_;
  }
  void learn_into(RequestEditor& editor) {
    const std::lock_guard lock(mutex_);
    for (const std::string& reply : replies_) {
      expect(editor.learn(method_, reply), "a reply is what the contract says", method_.path);
    }
    replies_.clear();
  }
  const std::string& path() const { return method_.path; }

 private:
  const ContractMethod& method_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::vector<std::string> replies_;
};

// Small limits, so that an input reaches them.
EngineOptions small_options() {
  EngineOptions options;
  options.lease_default_ms = 50;
  options.lease_max_ms = 100;
  options.waiters_max = 4;
  options.journal_records_max = 1'000;
  options.allocate_wait_ms_max = 5;
  options.request_ids_max = 8;
  options.streams_max = 4;
  options.consumer_groups_max = 4;
  options.payload_bytes_max = 1 << 12;
  options.orphan_grace_ms = 1;
  options.quarantine_ms = 0;
  return options;
}

TierSetup setup_of(const char* name, std::uint32_t number, const pm_tier_t* tier,
                   const char* spill_to) {
  TierSetup setup;
  setup.name = name;
  setup.number = number;
  setup.rank = static_cast<std::int32_t>(number * 10);
  setup.workers = 1;
  setup.spill_to = spill_to;
  setup.tier = tier;
  setup.plugin = "org.example.memory";
  return setup;
}

constexpr std::uint32_t memory_traits = PM_TIER_KEEPS_BYTES | PM_TIER_HOST_ADDRESSABLE;

class World {
 public:
  World()
      : repository_(static_cast<const pm_repository_t*>(
            repository_memory_entry.create(quiet_host(), "{}"))),
        void_(static_cast<const pm_tier_t*>(tier_void_entry.create(quiet_host(), "{}"))),
        ram_(memory_traits, 1 << 13),
        disk_(memory_traits | PM_TIER_SURVIVES_PROCESS | PM_TIER_SURVIVES_POWER, 1 << 14),
        object_(memory_traits | PM_TIER_SURVIVES_PROCESS | PM_TIER_SURVIVES_POWER, 1 << 14) {
    const auto state = open_repository(repository_);
    expect(state.ok(), "the repository opens");
    HostFacts facts;
    facts.config_toml = [] { return std::string("a = 1\n"); };
    auto engine = Engine::start(
        small_options(), repository_, *state,
        {setup_of("ram", 2, ram_.abi(), "disk"), setup_of("disk", 3, disk_.abi(), ""),
         setup_of("object", 4, object_.abi(), ""), setup_of("void", 5, void_, "")},
        {}, [](const Status& status) { expect(false, "the engine goes on", status.to_string()); },
        std::move(facts));
    expect(engine.ok(), "the engine starts");
    engine_ = std::move(*engine);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Everyone who called is answered.
  ~World() {
    engine_->begin_stop();
    engine_->stop(ledger::monotonic_now_ns() + 5'000 * ms_ns);
    for (Caller& caller : callers_) {
      expect(caller.is_done(), "a call ends at the latest with its host", caller.path());
    }
    engine_.reset();
    repository_->destroy(repository_);
  }

  void call(Input& input) {
    const pm_engine_t* const abi = engine_->abi();
    const std::vector<ContractMethod>& methods = contract_methods(abi);
    const ContractMethod& method = methods[input.byte() % methods.size()];
    const std::uint8_t how = input.byte();
    const std::string request = editor_.edit(method, input.take(input.integer<std::uint16_t>()));
    const pm_principal_t principal{sizeof principal, how & 1u, 0, 0, nullptr, nullptr, 0, 0};
    pm_call_info_t info{sizeof info, 0, &principal, 0, 0, nullptr};
    info.credit = how >> 6;
    info.deadline_ns = ledger::monotonic_now_ns() + 60 * ms_ns;
    Caller& caller = callers_.emplace_back(method);
    const std::uint64_t id = engine_->call_and_drive(
        method.path.c_str(), reinterpret_cast<const std::uint8_t*>(request.data()), request.size(),
        &info, &Caller::on_reply, &caller);
    if ((how & 2) != 0) abi->credit(abi, id, how);
    if ((how & 4) != 0) abi->cancel(abi, id);
    caller.wait_done();
    caller.learn_into(editor_);
  }

 private:
  const pm_repository_t* const repository_;
  const pm_tier_t* const void_;
  MemoryTier ram_;
  MemoryTier disk_;
  MemoryTier object_;
  std::unique_ptr<Engine> engine_;
  RequestEditor editor_;
  std::deque<Caller> callers_;
};

}  // namespace
}  // namespace pm::fuzz

namespace pm::fuzz {
namespace {

// An engine takes milliseconds to start and to stop. So where the environment variable
// PM_FUZZ_LIFE names a file, one serves several inputs; the file has those of its life so far, one
// behind the other, which is an input that does the same.
class Life {
 public:
  Life() {
    const char* const path = std::getenv("PM_FUZZ_LIFE");
    if (path != nullptr) path_ = path;
  }
  World& begin(std::string_view input) {
    constexpr int inputs_max = 20;
    if (path_.empty() || ++inputs_ > inputs_max) world_.reset();
    if (!world_) {
      world_.emplace();
      inputs_ = 1;
    }
    if (!path_.empty()) {
      std::ofstream file(path_, inputs_ == 1 ? std::ios::trunc : std::ios::app);
      file << input;
    }
    return *world_;
  }
  void end() {
    if (path_.empty()) world_.reset();
  }

 private:
  std::string path_;
  int inputs_ = 0;
  std::optional<World> world_;
};

}  // namespace
}  // namespace pm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool quiet =
      (pm::log::configure(pm::log::Level::error, pm::log::Format::text), true);
  static_cast<void>(quiet);
  // Never destroyed: an engine cannot be stopped once the objects of its threads are.
  static pm::fuzz::Life& life = *new pm::fuzz::Life;
  pm::fuzz::World& world = life.begin({reinterpret_cast<const char*>(data), size});
  pm::fuzz::Input input(data, size);
  while (!input.empty()) world.call(input);
  life.end();
  return 0;
}
