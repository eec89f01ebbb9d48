#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "answers.h"
#include "content.h"
#include "host_process.h"
#include "payload/manager/admin/v1/policy.pb.h"

// Scripts that decide in a real host.

namespace pm::integration {
namespace {

using std::chrono::milliseconds;

namespace wire_admin = payload::manager::admin::v1;
constexpr std::uint64_t mib = 1 << 20;

class Policies : public testing::Test {
 protected:
  Policies() : host_(options()) {
    std::filesystem::create_directory(scripts());
    host_.options().more = "[policy]\ndirectory = \"" + scripts().string() + "\"\nlook_ms = 50\n";
    host_.write_config();
  }

  static HostOptions options() {
    HostOptions options;
    options.shm_capacity_bytes = 8 * mib;
    return options;
  }
  std::filesystem::path scripts() const { return host_.directory() / "policies"; }
  // Whole at any time, as an editor would do it.
  void write(const std::string& name, const std::string& text) {
    std::ofstream(host_.directory() / "new") << text;
    std::filesystem::rename(host_.directory() / "new", scripts() / name);
  }
  void start() {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    wire_ = std::make_unique<Wire>(host_);
  }
  void use(const std::vector<std::string>& shipped) {
    std::string names;
    for (const std::string& name : shipped) names += "\"" + name + "\", ";
    host_.options().more += "use = [" + names + "]\n";
    host_.write_config();
  }

  grpc::Status allocate(std::uint64_t size_bytes, wire_core::Tier tier = wire_core::TIER_RAM,
                        const std::map<std::string, std::string>& labels = {},
                        wire_core::PayloadDescriptor* descriptor = nullptr) {
    wire_catalog::AllocatePayloadRequest request;
    request.set_size_bytes(size_bytes);
    request.set_preferred_tier(tier);
    for (const auto& [key, value] : labels) (*request.mutable_labels())[key] = value;
    return wire_->allocate(request, descriptor);
  }
  wire_core::PayloadID made(std::uint64_t size_bytes, wire_core::Tier tier = wire_core::TIER_RAM,
                            const std::map<std::string, std::string>& labels = {}) {
    wire_core::PayloadDescriptor descriptor;
    expect_ok(allocate(size_bytes, tier, labels, &descriptor));
    expect_ok(wire_->commit(descriptor.payload_id()));
    return descriptor.payload_id();
  }
  wire_core::Tier tier_of(const wire_core::PayloadID& id) {
    wire_core::PayloadDescriptor descriptor;
    expect_ok(wire_->resolve(id, &descriptor));
    return descriptor.tier();
  }
  void read(const wire_core::PayloadID& id) {
    wire_runtime::AcquireReadLeaseRequest request;
    *request.mutable_id() = id;
    wire_runtime::AcquireReadLeaseResponse response;
    expect_ok(wire_->lease(request, &response));
    expect_ok(wire_->release(response.lease_id()));
  }
  std::vector<std::string> rules_that_decided(const wire_core::PayloadID& id) {
    wire_admin::ExplainRequest request;
    *request.mutable_id() = id;
    const auto explained =
        wire_->ask(wire_->admin, &wire_services::PayloadAdminService::Stub::Explain, request);
    std::vector<std::string> rules;
    for (const auto& decision : explained.decisions()) {
      rules.push_back(decision.kind() + " " + decision.rule());
    }
    return rules;
  }
  wire_admin::GetPoliciesResponse policies() {
    return wire_->ask<wire_services::PayloadAdminService::Stub, wire_admin::GetPoliciesRequest,
                      wire_admin::GetPoliciesResponse>(
        wire_->admin, &wire_services::PayloadAdminService::Stub::GetPolicies);
  }
  grpc::Status reload() {
    wire_admin::ReloadPoliciesResponse response;
    return wire_->call(wire_->admin, &wire_services::PayloadAdminService::Stub::ReloadPolicies,
                       wire_admin::ReloadPoliciesRequest(), &response);
  }

  HostProcess host_;
  std::unique_ptr<Wire> wire_;
};

// POLICY-1 and POLICY-4
TEST_F(Policies, choose_where_an_allocation_goes_and_explain_names_the_rule) {
  write("a.lua",
        "policy.place { name = 'big', rule = function(facts)\n"
        "  if facts.payload.size_bytes > 1024 then return 'disk' end end }");
  start();
  EXPECT_EQ(tier_of(made(1'000)), wire_core::TIER_RAM);
  const auto big = made(5'000);
  EXPECT_EQ(tier_of(big), wire_core::TIER_DISK);
  EXPECT_EQ(rules_that_decided(big).back(), "allocate place.big");
  const auto again = made(5'000, wire_core::TIER_UNSPECIFIED);
  EXPECT_EQ(tier_of(again), wire_core::TIER_DISK);
  EXPECT_EQ(answer_of(allocate(1'000, wire_core::TIER_UNSPECIFIED)),
            "FAILED_PRECONDITION TIER_UNSPECIFIED");
}

// POLICY-3
TEST_F(Policies, refuse_who_has_had_enough_in_their_own_words) {
  write("a.lua",
        "policy.admit { name = 'quota', rule = function(facts)\n"
        "  if facts.tier == 'shm' and\n"
        "    facts.client.used_bytes.shm + facts.payload.size_bytes > 3 * 1048576 then\n"
        "    return 'three MiB are enough for ' .. facts.client.name end end }");
  start();
  constexpr std::uint64_t bytes = mib - 64 * 1024;  // The tier takes some more for itself.
  for (int n = 0; n < 3; ++n) made(bytes);
  const grpc::Status refused = allocate(bytes);
  EXPECT_EQ(answer_of(refused), "RESOURCE_EXHAUSTED NOT_ADMITTED");
  EXPECT_NE(refused.error_message().find("three MiB are enough for anonymous"), std::string::npos)
      << refused.error_message();
  expect_ok(allocate(mib, wire_core::TIER_DISK));
}

// The quota is a part of what survives.
TEST_F(Policies, know_after_a_restart_whose_payloads_are) {
  write("a.lua",
        "policy.admit { name = 'quota', rule = function(facts)\n"
        "  if facts.client.payloads >= 2 then return false end end }");
  start();
  made(1'000, wire_core::TIER_DISK);
  made(1'000, wire_core::TIER_DISK);
  ASSERT_EQ(host_.terminate()->code, 0);
  start();
  EXPECT_EQ(answer_of(allocate(1'000)), "RESOURCE_EXHAUSTED NOT_ADMITTED");
}

// POLICY-2
TEST_F(Policies, choose_who_leaves_a_full_tier) {
  write("a.lua",
        "policy.spill { name = 'scratch-first', rule = function(facts)\n"
        "  local victims = {}\n"
        "  for number, payload in ipairs(facts.candidates) do\n"
        "    if payload.labels.kind == 'scratch' then victims[#victims + 1] = number end\n"
        "  end\n"
        "  return victims end }");
  start();
  std::vector<wire_core::PayloadID> ids;
  for (int n = 0; n < 7; ++n) {
    ids.push_back(made(mib, wire_core::TIER_RAM, {{"kind", n == 4 ? "scratch" : "model"}}));
  }
  made(2 * mib);
  EXPECT_EQ(tier_of(ids[4]), wire_core::TIER_DISK);
  EXPECT_EQ(tier_of(ids[0]), wire_core::TIER_RAM);
  EXPECT_EQ(rules_that_decided(ids[4]).front(), "evict spill.scratch-first");
  // Nobody is left whom the rule would let go: in the end the built-in rule does.
  made(2 * mib);
  EXPECT_EQ(tier_of(ids[0]), wire_core::TIER_DISK);
  EXPECT_EQ(rules_that_decided(ids[0]).front(), "evict default");
}

TEST_F(Policies, pull_up_what_is_read) {
  use({"lru"});
  start();
  const auto id = made(mib, wire_core::TIER_DISK);
  read(id);
  EXPECT_TRUE(eventually([&] { return tier_of(id) == wire_core::TIER_RAM; }));
  EXPECT_EQ(rules_that_decided(id).front(), "promote promote.lru");
}

TEST_F(Policies, keep_a_durable_copy_of_what_is_written_to_memory) {
  use({"durable-first"});
  start();
  const auto id = made(mib);
  EXPECT_EQ(tier_of(id), wire_core::TIER_RAM);
  const auto copies = [&] {
    wire_admin::ExplainRequest request;
    *request.mutable_id() = id;
    return wire_->ask(wire_->admin, &wire_services::PayloadAdminService::Stub::Explain, request)
        .copies_size();
  };
  EXPECT_TRUE(eventually([&] { return copies() == 2; }));
  // Leaving costs nothing then.
  for (int n = 0; n < 8; ++n) made(mib);
  EXPECT_EQ(tier_of(id), wire_core::TIER_DISK);
}

// POLICY-5
TEST_F(Policies, let_a_payload_live_longer) {
  write("a.lua",
        "policy.retain { name = 'keep', rule = function(facts)\n"
        "  if facts.payload.labels.keep then return {keep_ms = 60000, tier = 'disk'} end end }");
  start();
  wire_catalog::AllocatePayloadRequest request;
  request.set_size_bytes(1'000);
  request.set_preferred_tier(wire_core::TIER_RAM);
  request.set_ttl_ms(1'500);
  wire_core::PayloadDescriptor goes;
  expect_ok(wire_->allocate(request, &goes));
  expect_ok(wire_->commit(goes.payload_id()));
  (*request.mutable_labels())["keep"] = "yes";
  wire_core::PayloadDescriptor stays;
  expect_ok(wire_->allocate(request, &stays));
  expect_ok(wire_->commit(stays.payload_id()));
  EXPECT_TRUE(eventually([&] {
    return answer_of(wire_->resolve(goes.payload_id())) == "NOT_FOUND PAYLOAD_NOT_FOUND";
  }));
  EXPECT_EQ(tier_of(stays.payload_id()), wire_core::TIER_DISK);
}

// ---- new files ----

TEST_F(Policies, are_loaded_anew_on_demand_by_a_signal_and_when_a_file_changes) {
  const auto to = [](const std::string& tier) {
    return "policy.place { name = 'all', rule = function() return '" + tier + "' end }";
  };
  host_.options().more = "[policy]\ndirectory = \"" + scripts().string() + "\"\nlook_ms = 0\n";
  host_.write_config();
  write("a.lua", to("disk"));
  start();
  EXPECT_EQ(tier_of(made(1'000)), wire_core::TIER_DISK);
  write("a.lua", to("shm"));
  EXPECT_EQ(tier_of(made(1'000)), wire_core::TIER_DISK) << "nobody has asked for it";
  expect_ok(reload());
  EXPECT_EQ(tier_of(made(1'000)), wire_core::TIER_RAM);
  write("a.lua", to("disk"));
  host_.send(SIGHUP);
  EXPECT_TRUE(eventually([&] { return tier_of(made(1'000)) == wire_core::TIER_DISK; }));

  ASSERT_EQ(host_.terminate()->code, 0);
  host_.options().more = "[policy]\ndirectory = \"" + scripts().string() + "\"\nlook_ms = 20\n";
  host_.write_config();
  start();
  write("a.lua", to("shm"));
  EXPECT_TRUE(eventually([&] { return tier_of(made(1'000)) == wire_core::TIER_RAM; }));
}

// POLICY-6
TEST_F(Policies, that_are_wrong_leave_the_old_ones_and_say_where) {
  host_.options().more = "[policy]\ndirectory = \"" + scripts().string() + "\"\nlook_ms = 0\n";
  host_.write_config();
  write("a.lua", "policy.place { name = 'all', rule = function() return 'disk' end }");
  start();
  write("a.lua", "\n\nthis is no Lua");
  const grpc::Status refused = reload();
  EXPECT_EQ(answer_of(refused), "INVALID_ARGUMENT POLICY_INVALID");
  EXPECT_NE(refused.error_message().find("a.lua:3:"), std::string::npos) << refused.error_message();
  EXPECT_EQ(tier_of(made(1'000)), wire_core::TIER_DISK);
  EXPECT_NE(policies().last_error().find("a.lua:3:"), std::string::npos);
  // An example that does not hold is a mistake, too.
  write("a.lua",
        "policy.place { name = 'all', rule = function() return 'disk' end }\n"
        "policy.example { hook = 'place', facts = {tiers = {{name = 'disk'}}}, expect = 'shm' }");
  EXPECT_EQ(answer_of(reload()), "INVALID_ARGUMENT POLICY_INVALID");
  // A host does not start with what it could not use.
  ASSERT_EQ(host_.terminate()->code, 0);
  host_.start();
  const auto exit = host_.wait_exit(milliseconds(20'000));
  ASSERT_TRUE(exit.has_value());
  EXPECT_NE(exit->code, 0);
  EXPECT_NE(host_.log().find("a.lua:2:"), std::string::npos) << host_.log();
}

// POLICY-7
TEST_F(Policies, that_fail_three_times_are_suspended_and_the_built_in_rules_go_on) {
  write("a.lua",
        "policy.place { name = 'broken', rule = function(facts)\n"
        "  while true do end end }");
  start();
  for (int n = 0; n < 5; ++n) EXPECT_EQ(tier_of(made(1'000)), wire_core::TIER_RAM);
  const auto shown = policies();
  ASSERT_EQ(shown.rules_size(), 1);
  EXPECT_TRUE(shown.rules(0).suspended());
  EXPECT_EQ(shown.rules(0).failed(), 3u);
  EXPECT_EQ(shown.rules(0).where(), "a.lua:1");
  EXPECT_NE(shown.rules(0).last_error().find("too many steps"), std::string::npos)
      << shown.rules(0).last_error();
  expect_ok(reload());
  EXPECT_FALSE(policies().rules(0).suspended());
}

// The operator's tool, over the same host.
TEST_F(Policies, are_shown_and_loaded_anew_by_payloadctl) {
  const auto run = [&](const std::string& verb) {
    return run_program({(build_directory() / "bin/payloadctl").string(), "--address",
                        host_.address(), "policy", verb});
  };
  write("a.lua", "policy.place { name = 'all', rule = function() return 'disk' end }");
  start();
  made(1'000);
  const Finished shown = run("show");
  EXPECT_EQ(shown.exit.code, 0) << shown.output;
  EXPECT_NE(shown.output.find("place  all   a.lua:1  IN_USE  1      1         0"),
            std::string::npos)
      << shown.output;
  write("b.lua", "policy.place { name = 'more', rule = function() end }");
  const Finished reloaded = run("reload");
  EXPECT_EQ(reloaded.exit.code, 0) << reloaded.output;
  EXPECT_NE(reloaded.output.find("b.lua:1"), std::string::npos) << reloaded.output;
  write("b.lua", "\nthis is no Lua");
  const Finished refused = run("reload");
  EXPECT_EQ(refused.exit.code, 1) << refused.output;
  EXPECT_NE(refused.output.find("b.lua:2:"), std::string::npos) << refused.output;
}

}  // namespace
}  // namespace pm::integration
