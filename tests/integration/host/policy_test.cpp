#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "answers.h"
#include "content.h"
#include "host_process.h"
#include "payload/manager/admin/v1/policy.pb.h"
#include "payload/manager/admin/v1/stats.pb.h"

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
  // The host writes down what it decides.
  void keep_journal() {
    host_.options().more += "journal = \"" + journal().string() + "\"\n";
    host_.write_config();
  }
  std::filesystem::path journal() const { return host_.directory() / "decisions.jsonl"; }
  std::string journal_text() const {
    std::ifstream file(journal());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // Of its output, which is JSON; spaces do not matter in it.
  std::string replayed(const std::string& policy, int status = 0) const {
    const Finished ran = run_program({(build_directory() / "bin/payloadctl").string(), "-o", "json",
                                      "policy", "replay", journal().string(), "--policy", policy});
    EXPECT_EQ(ran.exit.code, status) << ran.output;
    return ran.output;
  }
  wire_admin::ExplainResponse explained(const wire_core::PayloadID& id) {
    wire_admin::ExplainRequest request;
    *request.mutable_id() = id;
    return wire_->ask(wire_->admin, &wire_services::PayloadAdminService::Stub::Explain, request);
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

TEST_F(Policies, answer_a_repeat_as_the_request_was_answered) {
  write("a.lua",
        "policy.admit { name = 'one', rule = function(facts)\n"
        "  if facts.client.payloads >= 1 then return false end end }");
  start();
  wire_catalog::AllocatePayloadRequest request;
  request.set_size_bytes(1'000);
  request.set_preferred_tier(wire_core::TIER_RAM);
  request.set_request_id("first");
  wire_core::PayloadDescriptor first;
  wire_core::PayloadDescriptor again;
  expect_ok(wire_->allocate(request, &first));
  expect_ok(wire_->allocate(request, &again));
  EXPECT_EQ(first.payload_id().value(), again.payload_id().value());
  request.set_request_id("second");
  EXPECT_EQ(answer_of(wire_->allocate(request)), "RESOURCE_EXHAUSTED NOT_ADMITTED");
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

TEST_F(Policies, see_how_fast_a_tier_is_written_to) {
  write("a.lua",
        "policy.place { name = 'busy', rule = function(facts)\n"
        "  local tier = facts.payload.labels.busy\n"
        "  if tier and facts.tiers[tier].bytes_per_second > 100000 then return 'disk' end end }");
  start();
  const auto is_busy = [&](const std::string& tier) {
    return tier_of(made(1'000, wire_core::TIER_RAM, {{"busy", tier}})) == wire_core::TIER_DISK;
  };
  EXPECT_FALSE(is_busy("shm"));
  EXPECT_FALSE(is_busy("disk"));
  for (int n = 0; n < 4; ++n) made(mib);
  EXPECT_TRUE(is_busy("shm")) << "clients have filled four MiB of it";
  EXPECT_FALSE(is_busy("disk"));
  for (int n = 0; n < 8; ++n) made(mib);
  EXPECT_TRUE(is_busy("disk")) << "four MiB have left for it";
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

// ---- what was decided ----

TEST_F(Policies, say_in_explain_what_a_rule_was_told) {
  write("a.lua",
        "policy.place { name = 'small', rule = function(facts)\n"
        "  if facts.payload.size_bytes == 1000 then return 'shm' end end }\n"
        "policy.spill { name = 'last', rule = function(facts) return {#facts.candidates} end }\n"
        "policy.promote { name = 'up', rule = function(facts) return facts.target end }");
  start();
  const auto small = made(1'000);
  const auto placed = explained(small);
  ASSERT_EQ(placed.decisions_size(), 2);
  EXPECT_EQ(placed.decisions(0).facts(), "") << "nobody but the client decided to commit it";
  EXPECT_EQ(placed.decisions(1).facts(),
            "size_bytes 1000, shm used_bytes 0 of 8388608, shm waiting_bytes 0, client payloads 0, "
            "client used_bytes 0");
  std::vector<wire_core::PayloadID> ids;
  for (int n = 0; n < 7; ++n) ids.push_back(made(mib));
  made(mib);
  const auto left = explained(ids.back());
  EXPECT_EQ(left.decisions(0).rule(), "spill.last");
  EXPECT_EQ(left.decisions(0).facts().find("candidate 8 of 8, bytes_wanted "), 0u)
      << left.decisions(0).facts();
  EXPECT_NE(left.decisions(0).facts().find(", size_bytes 1048576, frequency 0, reads 0, "),
            std::string::npos);
  read(ids.back());
  EXPECT_TRUE(eventually([&] { return tier_of(ids.back()) == wire_core::TIER_RAM; }));
  const auto up = explained(ids.back()).decisions(0);
  EXPECT_EQ(up.rule(), "promote.up");
  EXPECT_NE(up.facts().find("reads 1, "), std::string::npos) << up.facts();
  EXPECT_NE(up.facts().find(", victim size_bytes "), std::string::npos) << up.facts();
}

TEST_F(Policies, are_tried_on_what_a_host_has_written_down) {
  keep_journal();
  use({"lru"});
  start();
  std::vector<wire_core::PayloadID> ids;
  for (int n = 0; n < 12; ++n) ids.push_back(made(mib));
  for (const auto& id : ids) read(id);
  wire_catalog::DeleteRequest removal;
  *removal.mutable_id() = ids.front();
  google::protobuf::Empty nothing;
  expect_ok(wire_->call(wire_->catalog, &wire_services::PayloadCatalogService::Stub::Delete,
                        removal, &nothing));
  EXPECT_EQ(policies().journal_dropped(), 0u);
  EXPECT_EQ(policies().journal_error(), "");
  ASSERT_EQ(host_.terminate()->code, 0);
  const std::string text = journal_text();
  for (const char* expected :
       {"\"op\":\"begin\"", "\"op\":\"read\"", "\"op\":\"write\"", "\"op\":\"delete\"",
        "\"hook\":\"place\"", "\"hook\":\"spill\",\"rule\":\"lru\"",
        "\"hook\":\"promote\",\"rule\":\"lru\""}) {
    EXPECT_NE(text.find(expected), std::string::npos) << expected;
  }

  // A torn line, as a kill leaves it.
  std::ofstream(journal(), std::ios::app) << "{\"at\":17";
  const std::string same = replayed("lru");
  EXPECT_EQ(same.find("\"hook\":\"spill\",\"decisions\":0"), std::string::npos) << same;
  EXPECT_EQ(same.find("\"hook\":\"promote\",\"decisions\":0"), std::string::npos) << same;
  EXPECT_NE(same.find("\"differences\":[]"), std::string::npos) << same;
  EXPECT_NE(same.find("\"tornLines\":1"), std::string::npos) << same;
  EXPECT_NE(same.find("\"writes\":12,\"deletions\":1"), std::string::npos) << same;

  write("other.lua",
        "policy.promote { name = 'never', rule = function() return false end }\n"
        "policy.place { name = 'low', rule = function() return 'disk' end }");
  const std::string other = replayed(scripts() / "other.lua");
  EXPECT_NE(other.find("\"before\":\"shm\",\"after\":\"it stays\""), std::string::npos) << other;
  EXPECT_NE(other.find("\"before\":\"default\",\"after\":\"disk\""), std::string::npos) << other;
  std::ofstream(journal(), std::ios::app) << "nonsense\n";
  EXPECT_NE(replayed("lru", 1).find("decisions.jsonl:"), std::string::npos);
}

TEST_F(Policies, go_on_when_what_they_decide_cannot_be_written_down) {
  host_.options().more += "journal = \"" + (host_.directory() / "gone/j.jsonl").string() + "\"\n";
  host_.write_config();
  start();
  EXPECT_EQ(tier_of(made(1'000)), wire_core::TIER_RAM);
  EXPECT_TRUE(eventually([&] { return policies().journal_dropped() != 0; }));
  EXPECT_NE(policies().journal_error().find("cannot be opened"), std::string::npos);
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
  const auto stats = [this] {
    return wire_->ask(wire_->admin, &wire_services::PayloadAdminService::Stub::Stats,
                      wire_admin::StatsRequest());
  };
  EXPECT_EQ(stats().policy_rules(), 1u);
  EXPECT_EQ(stats().policy_rules_suspended(), 1u);
  EXPECT_EQ(stats().policy_failures(), 3u);
  ASSERT_EQ(stats().policy_suspended_size(), 1);
  EXPECT_EQ(stats().policy_suspended(0), "place broken (a.lua:1)");
  expect_ok(reload());
  EXPECT_FALSE(policies().rules(0).suspended());
  EXPECT_EQ(stats().policy_rules_suspended(), 0u);
  EXPECT_EQ(stats().policy_failures(), 0u);
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
