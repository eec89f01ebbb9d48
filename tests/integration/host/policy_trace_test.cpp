#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "answers.h"
#include "core/policy/script_files.h"
#include "core/simulate/decider.h"
#include "core/simulate/generators.h"
#include "core/simulate/simulator.h"
#include "host_process.h"

// A trace has the same hit rate in a real host as in the simulation.

namespace pm::integration {
namespace {

namespace wire_admin = payload::manager::admin::v1;

constexpr std::uint64_t object_bytes = 65'536;
constexpr std::size_t objects = 600;
constexpr std::size_t reads = 3'000;
constexpr std::uint64_t capacity_bytes = objects / 10 * object_bytes;

std::vector<simulate::Access> the_trace() {
  return simulate::make_zipf(
      {.seed = 5, .objects = objects, .accesses = reads, .size_bytes = object_bytes});
}

class PolicyTrace : public testing::TestWithParam<const char*> {
 protected:
  PolicyTrace() : host_(options()) {
    std::filesystem::create_directory(scripts());
    std::ofstream(scripts() / "marker.lua")
        << "policy.admit { name = 'marker', rule = function(facts)\n"
           "  if facts.payload.labels.marker then return 'it was only a question' end end }\n";
    host_.options().more = "[policy]\nuse = [\"" + std::string(GetParam()) + "\"]\ndirectory = \"" +
                           scripts().string() + "\"\nlook_ms = 0\nworkers = 1\n";
    host_.write_config();
  }

  static HostOptions options() {
    HostOptions options;
    options.repository = "memory";
    options.shm_capacity_bytes = capacity_bytes;
    return options;
  }
  std::filesystem::path scripts() const { return host_.directory() / "policies"; }

  wire_core::PayloadID made() {
    wire_catalog::AllocatePayloadRequest request;
    request.set_size_bytes(object_bytes);
    request.set_preferred_tier(wire_core::TIER_DISK);
    wire_core::PayloadDescriptor descriptor;
    expect_ok(wire_->allocate(request, &descriptor));
    expect_ok(wire_->commit(descriptor.payload_id()));
    return descriptor.payload_id();
  }
  // True: it was read from memory.
  bool read(const wire_core::PayloadID& id) {
    wire_runtime::AcquireReadLeaseRequest request;
    *request.mutable_id() = id;
    wire_runtime::AcquireReadLeaseResponse response;
    expect_ok(wire_->lease(request, &response));
    expect_ok(wire_->release(response.lease_id()));
    return response.payload_descriptor().tier() == wire_core::TIER_RAM;
  }
  // One thread asks the rules, in the order of the questions, so that the answers to all earlier
  // ones have been carried to the engine when this one is refused.
  void wait_for_answers() {
    wire_catalog::AllocatePayloadRequest request;
    request.set_size_bytes(1);
    request.set_preferred_tier(wire_core::TIER_RAM);
    (*request.mutable_labels())["marker"] = "yes";
    EXPECT_EQ(answer_of(wire_->allocate(request)), "RESOURCE_EXHAUSTED NOT_ADMITTED");
  }
  // Whether it is pulled up is one question; who leaves for it is the next.
  void settle(const wire_core::PayloadID& id) {
    wait_for_answers();
    wait_for_answers();
    for (int look = 0; is_moving(id); ++look) {
      ASSERT_LT(look, 10'000) << host_.log();
      sleep_ms(1);
    }
  }
  bool is_moving(const wire_core::PayloadID& id) {
    wire_admin::ExplainRequest request;
    *request.mutable_id() = id;
    const auto explained =
        wire_->ask(wire_->admin, &wire_services::PayloadAdminService::Stub::Explain, request);
    for (const std::string& fact : explained.facts()) {
      for (const char* words : {"It is being moved to", "It is to be moved to"}) {
        if (fact.find(words) != std::string::npos) return true;
      }
    }
    return false;
  }

  double live_rate(const std::vector<simulate::Access>& trace) {
    // In the order in which the simulation meets them: it decides between equals.
    std::vector<wire_core::PayloadID> ids(objects);
    for (const simulate::Access& access : trace) {
      if (ids[access.id].value().empty()) ids[access.id] = made();
    }
    std::size_t hits = 0;
    for (const simulate::Access& access : trace) {
      const wire_core::PayloadID& id = ids[access.id];
      if (read(id)) {
        ++hits;
      } else {
        settle(id);
      }
      if (HasFailure()) break;
    }
    return static_cast<double>(hits) / static_cast<double>(trace.size());
  }
  static double simulated_rate(const std::vector<simulate::Access>& trace) {
    const std::string file = std::string(GetParam()) + ".lua";
    const char* source = std::getenv("PM_SOURCE_DIR");
    const std::string root = source != nullptr ? source : ".";
    const auto script = policy::read_script(root + "/scripts/policies/" + file, file);
    EXPECT_TRUE(script.ok()) << script.status().message();
    const auto policy = policy::Policy::load({*script});
    EXPECT_TRUE(policy.ok()) << policy.status().message();
    simulate::Simulator simulator(simulate::two_tiers(capacity_bytes),
                                  simulate::decider_of(**policy));
    const Status status = simulator.run(trace);
    EXPECT_TRUE(status.ok()) << status.message();
    return simulator.result().hits.rate();
  }

  HostProcess host_;
  std::unique_ptr<Wire> wire_;
};

TEST_P(PolicyTrace, has_the_hit_rate_of_the_simulation_within_a_point) {
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  wire_ = std::make_unique<Wire>(host_);
  const auto trace = the_trace();
  const double live = live_rate(trace);
  const double simulated = simulated_rate(trace);
  std::printf("  %s: %.2f %% of reads hit in the host, %.2f %% in the simulation\n", GetParam(),
              100 * live, 100 * simulated);
  EXPECT_NEAR(live, simulated, 0.01);
  EXPECT_GT(live, 0.3) << "nothing was pulled up";
}

INSTANTIATE_TEST_SUITE_P(policies, PolicyTrace, testing::Values("lru", "hot-cold"),
                         [](const auto& info) {
                           const std::string name = info.param;
                           return name == "lru" ? name : std::string("hot_cold");
                         });

}  // namespace
}  // namespace pm::integration
