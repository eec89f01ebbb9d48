#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <fstream>

#include "answers.h"
#include "payload/manager/admin/v1/inspect.pb.h"
#include "payload/manager/admin/v1/stats.pb.h"

// What operators look at: tiers, plugins, the configuration, and why a payload is where it is.

namespace pm::integration {
namespace {

namespace wire_admin = payload::manager::admin::v1;
using Admin = wire_services::PayloadAdminService::Stub;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* secret = "correct-horse-battery-staple";

class Inspect : public testing::TestWithParam<const char*> {
 protected:
  Inspect() : host_(host_options()) {}

  void SetUp() override {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    wire_ = std::make_unique<Wire>(host_);
  }

  static HostOptions host_options() {
    HostOptions options;
    options.repository = GetParam();
    options.shm_capacity_bytes = 1 << 20;
    options.plugin_directory = std::getenv("PM_SECRET_PLUGIN");
    options.more =
        std::string("[[frontend]]\nname = \"keeper\"\nplugin = \"org.example.secret\"\n") +
        "[frontend.config]\npassword = \"" + secret + "\"\n";
    return options;
  }

  wire_admin::ExplainResponse explain(const wire_core::PayloadID& id) {
    wire_admin::ExplainRequest request;
    *request.mutable_id() = id;
    return wire_->ask(wire_->admin, &Admin::Explain, request);
  }
  static std::vector<std::string> facts(const wire_admin::ExplainResponse& response) {
    return {response.facts().begin(), response.facts().end()};
  }
  // "spill shm>disk by request", the newest first.
  static std::vector<std::string> decisions(const wire_admin::ExplainResponse& response) {
    std::vector<std::string> texts;
    for (const auto& decision : response.decisions()) {
      texts.push_back(decision.kind() + " " + decision.from() + ">" + decision.to() + " by " +
                      decision.rule());
      EXPECT_FALSE(decision.words().empty());
      EXPECT_GT(decision.time().seconds(), 1'700'000'000);
    }
    return texts;
  }

  HostProcess host_;
  std::unique_ptr<Wire> wire_;
};

// ADMIN-1
TEST_P(Inspect, tiers_are_told_with_what_they_promise_and_hold) {
  wire_->make(wire_core::TIER_RAM);
  wire_->make(wire_core::TIER_RAM, false);
  const auto on_disk = wire_->make(wire_core::TIER_DISK);
  wire_catalog::PromoteRequest promote;
  *promote.mutable_id() = on_disk;
  promote.set_target_tier(wire_core::TIER_RAM);
  ASSERT_EQ(answer_of(wire_->promote(promote)), "OK");
  const auto response = wire_->ask(wire_->admin, &Admin::ListTiers);
  const auto& tiers = response.tiers();
  ASSERT_EQ(tiers.size(), 3);
  EXPECT_EQ(tiers[0].name(), "shm");
  EXPECT_EQ(tiers[0].number(), 2u);
  EXPECT_EQ(tiers[0].rank(), 20);
  EXPECT_EQ(tiers[0].plugin(), "org.payload-manager.tier-shm");
  EXPECT_EQ(tiers[0].bytes_capacity(), 1u << 20);
  EXPECT_EQ(tiers[0].bytes_charged(), 3u * 8192);
  EXPECT_EQ(tiers[0].copies(), 3u);
  EXPECT_EQ(tiers[0].payloads(), 3u);
  EXPECT_EQ(tiers[0].health(), "ok");
  EXPECT_EQ(tiers[0].spill_to(), "disk");
  EXPECT_THAT(tiers[0].traits(), Contains("keeps-bytes"));
  EXPECT_THAT(tiers[0].traits(), Not(Contains("survives-power")));
  EXPECT_EQ(tiers[1].name(), "disk");
  EXPECT_THAT(tiers[1].traits(), Contains("survives-power"));
  EXPECT_EQ(tiers[1].copies(), 1u);
  EXPECT_EQ(tiers[1].payloads(), 0u);
  EXPECT_EQ(tiers[1].bytes_capacity(), UINT64_MAX);
  EXPECT_EQ(tiers[1].spill_to(), "");
  EXPECT_EQ(tiers[2].name(), "void");
  EXPECT_EQ(tiers[2].traits_size(), 0);
}

// ADMIN-2
TEST_P(Inspect, plugins_are_told_with_their_instances_also_those_not_used) {
  std::map<std::string, wire_admin::PluginInfo> plugins;
  const auto response = wire_->ask(wire_->admin, &Admin::ListPlugins);
  for (const auto& plugin : response.plugins()) plugins[plugin.id()] = plugin;
  const auto& shm = plugins["org.payload-manager.tier-shm"];
  EXPECT_EQ(shm.kind(), "tier");
  EXPECT_THAT(shm.path(), HasSubstr("tier-shm.so"));
  EXPECT_FALSE(shm.name().empty());
  EXPECT_FALSE(shm.version().empty());
  EXPECT_THAT(shm.instances(), ElementsAre("shm"));
  const auto& keeper = plugins["org.example.secret"];
  EXPECT_EQ(keeper.name(), "Keeper of a secret");
  EXPECT_EQ(keeper.version(), "1.2.3");
  EXPECT_EQ(keeper.kind(), "frontend");
  EXPECT_THAT(keeper.instances(), ElementsAre("keeper"));
  const std::string repository = "org.payload-manager.repository-";
  const bool sqlite = host_.options().repository == "sqlite";
  EXPECT_THAT(plugins[repository + GetParam()].instances(), ElementsAre("repository"));
  const auto& unused = plugins[repository + (sqlite ? "memory" : "sqlite")];
  EXPECT_EQ(unused.kind(), "repository");
  EXPECT_EQ(unused.instances_size(), 0);
  EXPECT_EQ(unused.version(), "") << "code of a plugin that nobody uses was run";
}

// ADMIN-3
TEST_P(Inspect, the_configuration_is_told_whole_and_without_secrets) {
  const auto config = wire_->ask(wire_->admin, &Admin::GetConfig);
  EXPECT_EQ(config.path(), host_.config_file().string());
  EXPECT_THAT(config.toml(), HasSubstr("capacity_bytes = 1048576"));
  EXPECT_THAT(config.toml(), HasSubstr("max_ms = 120000")) << "a default";
  EXPECT_THAT(config.toml(), HasSubstr("depth = 7")) << "a plugin's default";
  EXPECT_THAT(config.toml(), HasSubstr("password = \"***\""));
  // It is a configuration by itself.
  const auto file = host_.directory() / "shown.toml";
  std::ofstream(file) << config.toml();
  const auto check = run_program(
      {(build_directory() / "bin/pm-host").string(), "--config", file.string(), "--check-config"});
  EXPECT_EQ(check.exit.code, 0) << check.output;

  // A reload is shown, and its log keeps the secret too.
  std::ofstream(host_.config_file(), std::ios::app) << "[log]\nlevel = \"debug\"\n";
  host_.send(SIGHUP);
  ASSERT_TRUE(host_.wait_log("reload: log.level", std::chrono::seconds(5)));
  EXPECT_TRUE(eventually([&] {
    return wire_->ask(wire_->admin, &Admin::GetConfig).toml().find("level = \"debug\"") !=
           std::string::npos;
  }));
  std::string all = wire_->ask(wire_->admin, &Admin::GetConfig).toml() +
                    wire_->ask(wire_->admin, &Admin::ListPlugins).DebugString() +
                    wire_->ask(wire_->admin, &Admin::ListTiers).DebugString() +
                    wire_->ask(wire_->admin, &Admin::Stats).DebugString();
  const auto print = run_program({(build_directory() / "bin/pm-host").string(), "--config",
                                  host_.config_file().string(), "--print-config"});
  EXPECT_THAT(print.output, HasSubstr("password = \"***\""));
  all += print.output;
  ASSERT_TRUE(host_.terminate().has_value());
  all += host_.whole_log();
  EXPECT_THAT(all, Not(HasSubstr(secret)));
}

// ADMIN-4
TEST_P(Inspect, an_explanation_tells_where_the_copies_are_and_what_holds_them) {
  wire_core::EvictionPolicy policy;
  policy.set_priority(wire_core::EVICTION_PRIORITY_HIGH);
  policy.set_min_residency_tier(wire_core::TIER_DISK);
  const auto id = wire_->make(wire_core::TIER_DISK, true, policy);
  wire_runtime::AcquireReadLeaseRequest lease;
  *lease.mutable_id() = id;
  lease.set_min_tier(wire_core::TIER_RAM);
  wire_runtime::AcquireReadLeaseResponse held;
  ASSERT_EQ(answer_of(wire_->lease(lease, &held)), "OK");
  wire_catalog::SpillRequest spill;
  *spill.add_ids() = id;
  spill.set_target_tier(wire_core::TIER_VOID);
  EXPECT_EQ(answer_of(wire_->spill(spill)), "FAILED_PRECONDITION TARGET_BELOW_MIN_RESIDENCY");
  auto response = explain(id);
  EXPECT_EQ(response.payload_descriptor().tier(), wire_core::TIER_RAM);
  EXPECT_FALSE(response.payload_descriptor().ram().shm_name().empty());
  ASSERT_EQ(response.copies_size(), 2);
  for (const auto& copy : response.copies()) {
    EXPECT_EQ(copy.shown(), copy.tier() == "shm");
    EXPECT_EQ(copy.leases(), copy.tier() == "shm" ? 1u : 0u);
    EXPECT_EQ(copy.durable(), copy.tier() == "disk");
    EXPECT_NE(copy.generation(), 0u);
  }
  EXPECT_THAT(facts(response), Contains(HasSubstr("1 lease holds its copy on tier shm")));
  EXPECT_THAT(facts(response), Contains(HasSubstr("priority is HIGH")));
  EXPECT_THAT(facts(response), Contains(HasSubstr("slower than disk")));
  EXPECT_THAT(facts(response), Contains(HasSubstr("it would stay now")));
  EXPECT_THAT(decisions(response),
              ElementsAre("refuse shm>void by request", "promote disk>shm by request",
                          "commit >disk by request", "allocate >disk by request"));
  EXPECT_THAT(response.decisions(0).words(), HasSubstr("TARGET_BELOW_MIN_RESIDENCY"));
  ASSERT_EQ(answer_of(wire_->release(held.lease_id())), "OK");
  response = explain(id);
  EXPECT_THAT(facts(response), Contains(HasSubstr("the one on tier disk kept")));
}

// ADMIN-4
TEST_P(Inspect, an_explanation_tells_of_evictions_lives_and_uncommitted_ones) {
  wire_catalog::AllocatePayloadRequest request;
  request.set_size_bytes(600'000);
  request.set_preferred_tier(wire_core::TIER_RAM);
  request.set_ttl_ms(3'600'000);
  wire_core::PayloadDescriptor first;
  ASSERT_EQ(answer_of(wire_->allocate(request, &first)), "OK");
  auto response = explain(first.payload_id());
  EXPECT_THAT(facts(response), Contains(HasSubstr("not committed")));
  EXPECT_THAT(facts(response), Contains(HasSubstr("Its time to live ends at 20")));
  ASSERT_EQ(answer_of(wire_->commit(first.payload_id())), "OK");
  EXPECT_THAT(facts(explain(first.payload_id())),
              Contains("If tier shm needed room, it would be moved to tier disk."));
  request.clear_ttl_ms();
  request.set_no_evict(true);
  wire_core::PayloadDescriptor second;
  ASSERT_EQ(answer_of(wire_->allocate(request, &second)), "OK");
  response = explain(first.payload_id());
  EXPECT_THAT(decisions(response),
              ElementsAre("evict shm>disk by default", "commit >shm by request",
                          "allocate >shm by request"));
  EXPECT_THAT(facts(explain(second.payload_id())), Contains(HasSubstr("no_evict")));

  EXPECT_EQ(answer_of(wire_->erase(first.payload_id())), "OK");
  wire_admin::ExplainRequest unknown;
  *unknown.mutable_id() = first.payload_id();
  EXPECT_EQ(answer_of(wire_->call(wire_->admin, &Admin::Explain, unknown, &response)),
            "NOT_FOUND PAYLOAD_NOT_FOUND");
  unknown.mutable_id()->set_value("short");
  EXPECT_EQ(answer_of(wire_->call(wire_->admin, &Admin::Explain, unknown, &response)),
            "INVALID_ARGUMENT PAYLOAD_ID_MALFORMED");
}

// ADMIN-4
TEST_P(Inspect, an_explanation_of_a_lost_payload_says_so) {
  if (host_.options().repository != "sqlite") GTEST_SKIP() << "nothing of memory survives";
  const auto id = wire_->make(wire_core::TIER_RAM);
  host_.kill();
  for (const std::string& segment : host_.segments()) {
    std::filesystem::remove("/dev/shm/" + segment);
  }
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  wire_ = std::make_unique<Wire>(host_);
  const auto response = explain(id);
  EXPECT_EQ(response.payload_descriptor().state(), wire_core::PAYLOAD_STATE_LOST);
  EXPECT_EQ(response.copies_size(), 0);
  EXPECT_THAT(facts(response), Contains(HasSubstr("It is lost")));
  EXPECT_THAT(decisions(response), ElementsAre("lose shm> by default"));
}

// ADMIN-5
TEST_P(Inspect, stats_count_what_is_being_written) {
  const auto id = wire_->make(wire_core::TIER_RAM, false);
  wire_->make(wire_core::TIER_RAM);
  EXPECT_EQ(wire_->ask(wire_->admin, &Admin::Stats).payloads_uncommitted(), 1u);
  EXPECT_EQ(wire_->ask(wire_->admin, &Admin::Stats).payloads_ram(), 2u);
  ASSERT_EQ(answer_of(wire_->commit(id)), "OK");
  EXPECT_EQ(wire_->ask(wire_->admin, &Admin::Stats).payloads_uncommitted(), 0u);
  EXPECT_EQ(wire_->ask(wire_->admin, &Admin::Stats).payloads_pinned(), 0u);
  wire_catalog::PinRequest pin;
  *pin.mutable_id() = id;
  google::protobuf::Empty empty;
  ASSERT_EQ(answer_of(wire_->call(wire_->catalog, &wire_services::PayloadCatalogService::Stub::Pin,
                                  pin, &empty)),
            "OK");
  EXPECT_EQ(wire_->ask(wire_->admin, &Admin::Stats).payloads_pinned(), 1u);
  EXPECT_EQ(wire_->ask(wire_->admin, &Admin::Stats).streams(), 0u);
  wire_runtime::CreateStreamRequest stream;
  stream.mutable_stream()->set_name("frames");
  google::protobuf::Empty made;
  EXPECT_EQ(
      answer_of(wire_->call(wire_->stream, &wire_services::PayloadStreamService::Stub::CreateStream,
                            stream, &made)),
      "OK");
  EXPECT_EQ(wire_->ask(wire_->admin, &Admin::Stats).streams(), 1u);
  EXPECT_THAT(facts(explain(id)), Contains("It is pinned to its tier until it is unpinned."));
}

INSTANTIATE_TEST_SUITE_P(repositories, Inspect, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
