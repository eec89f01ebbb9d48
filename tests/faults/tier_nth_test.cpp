#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "campaign.h"
#include "leftovers.h"
#include "one_life.h"

// The first call of a tier fails, the second, ... until a payload's whole life runs without a
// fault; then the same with another call, another way to fail, on the other tier. Both tiers stand
// behind tier-fault.

namespace pm::faults {
namespace {

using namespace pm::integration;

constexpr std::uint64_t long_bytes = (5 << 20) + 1;  // Several chunks, in the background.

// One way to fail, without the number of the call.
struct Way {
  client::Tier tier = client::Tier::disk;
  std::string operation;
  std::string kind;
  std::string status;  // Of kind error.
  bool is_sticky = false;
  bool is_after = false;  // Kind error: all has been done.
  OneLife::Options life;

  std::string text(int nth) const {
    std::string toml = "[[fault]]\nkind = '" + kind + "'\noperation = '" + operation +
                       "'\nnth = " + std::to_string(nth) + "\n";
    if (is_sticky) toml += "repeat = 'sticky'\n";
    if (kind == "error") toml += "status = '" + status + "'\n";
    if (is_after) toml += "after = true\n";
    return toml;
  }
  // Bytes that were spoilt are not there any more; nor is there a good copy when a read failed.
  bool may_lose() const {
    return kind == "corrupt" || kind == "short_read" || status == "DATA_LOSS";
  }
};

class TierNth : public testing::Test {
 protected:
  TierNth() : campaign_("tier_nth", 1000), host_(host_options()) {}

  static HostOptions host_options() {
    HostOptions options;
    options.shm_faults = options.disk_faults = true;
    options.shm_capacity_bytes = 64 << 20;
    options.slab_bytes = 8 << 20;
    options.allocate_wait_ms_max = 3'000;
    // A tier that was taken out of service is back soon.
    options.tier_keys = "probe_ms_min = 10\nprobe_ms_max = 50\n";
    return options;
  }

  Way draw_way() {
    static const std::map<std::string, std::vector<std::string>> kinds = {
        {"allocate", {"error", "full"}},
        {"write", {"error", "full", "corrupt"}},
        {"read", {"error", "short_read", "corrupt"}},
        {"seal", {"error"}},
        {"remove", {"error"}},
        {"submit", {"error"}},
        {"locate", {"error"}}};
    static constexpr const char* statuses[] = {"INTERNAL", "UNAVAILABLE", "RESOURCE_EXHAUSTED",
                                               "PERMISSION_DENIED", "CANCELLED"};
    Way way;
    way.tier = campaign_.chance(30) ? client::Tier::ram : client::Tier::disk;
    auto kind = kinds.begin();
    std::advance(kind, campaign_.draw(kinds.size()));
    way.operation = kind->first;
    way.kind = kind->second[campaign_.draw(kind->second.size())];
    // What memory holds is compared with nothing.
    if (way.tier == client::Tier::ram && way.kind == "corrupt") way.kind = "error";
    if (way.kind == "error") way.status = statuses[campaign_.draw(std::size(statuses))];
    // That bytes are gone may be said of a read. Of a seal it is for an operator to heal.
    if (way.operation == "read" && way.kind == "error" && campaign_.chance(30)) {
      way.status = "DATA_LOSS";
    }
    way.is_sticky = campaign_.chance(40);
    // What is sealed and said not to be cannot be committed any more, and is deleted.
    const bool can_be_after =
        way.kind == "error" &&
        (way.operation == "read" || way.operation == "write" || way.operation == "remove");
    way.is_after = can_be_after && campaign_.chance(25);
    way.life.tier = campaign_.chance(50) ? client::Tier::ram : client::Tier::disk;
    // What a client writes to disk has no checksum, unless it asks for one.
    if (way.kind == "corrupt") way.life.tier = client::Tier::ram;
    way.life.size_bytes = campaign_.chance(10) ? long_bytes : 1 + campaign_.draw(200'000);
    way.life.seed = campaign_.draw(UINT64_MAX);
    way.life.drop_source = campaign_.chance(50);
    way.life.layout = campaign_.chance(50) ? client::Layout::slab : client::Layout::segment;
    way.life.reads_below = way.kind != "corrupt" || way.operation != "write";
    return way;
  }

  void set_faults(client::Tier tier, const std::string& toml) {
    if (tier == client::Tier::ram) {
      host_.set_shm_faults(toml);
    } else {
      host_.set_disk_faults(toml);
    }
  }

  // True: the fault took effect.
  bool inject(client::Client& client, const Way& way, int nth) {
    const std::size_t log_begin = host_.log().size();
    OneLife life(client, way.life);
    set_faults(way.tier, way.text(nth));
    life.run();
    // Asked before the schedule is over, as removals may still come.
    const bool took_effect = host_.log().find("takes effect", log_begin) != std::string::npos;
    set_faults(way.tier, "");
    EXPECT_TRUE(wait_healthy(client)) << "a tier stays out of service";
    for (const OneLife::Answer& answer : life.answers()) {
      EXPECT_TRUE(is_right(way, answer)) << answer.step << " answers " << answer.status.to_string();
      refused_ += answer.status.ok() ? 0 : 1;
    }
    life.settle(way.may_lose());
    for (const std::string& violation : life.violations()) ADD_FAILURE() << violation;
    lost_ += life.is_lost() ? 1 : 0;
    return took_effect;
  }

  static bool wait_healthy(client::Client& client) {
    return eventually([&] {
      const auto stats = client.stats();
      const auto is_ok = [](const client::TierStats& tier) { return tier.health == "ok"; };
      return stats.ok() && std::all_of(stats->tiers.begin(), stats->tiers.end(), is_ok);
    });
  }

  // The status of the fault; or that the room for it lacks, that the bytes are gone, or that the
  // tier has failed too often.
  static bool is_right(const Way& way, const OneLife::Answer& answer) {
    const Status& status = answer.status;
    if (status.ok()) return true;
    if (status.reason() == "TIER_DEGRADED") {
      // Reads go on.
      const bool reads = answer.step.starts_with("read") || answer.step == "lease";
      return way.kind == "error" && way.is_sticky && !reads;
    }
    const std::string name(code_name(status.code()));
    if (way.kind == "full") return name == "RESOURCE_EXHAUSTED";
    if (way.kind == "error") return name == way.status || way.status == "DATA_LOSS";
    return name == "DATA_LOSS";
  }

  Campaign campaign_;
  HostProcess host_;
  int refused_ = 0;
  int lost_ = 0;
};

TEST_F(TierNth, call_that_fails_refuses_or_is_made_again_and_nothing_is_lost_or_left) {
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  client::Client client = host_.client();
  std::vector<Stored> kept;
  for (const client::Tier tier : {client::Tier::ram, client::Tier::disk}) {
    kept.push_back(*put(client, 10'000, campaign_.seed(), {.tier = tier}));
  }
  const std::size_t descriptors = host_.open_descriptors();
  int faults = 0;
  int ways = 0;
  while (faults < campaign_.count() && !HasFailure()) {
    const Way way = draw_way();
    ++ways;
    for (int nth = 1; faults < campaign_.count() && !HasFailure(); ++nth) {
      SCOPED_TRACE(way.text(nth) + (way.tier == client::Tier::ram ? "shm" : "disk") + ", made on " +
                   client::tier_name(way.life.tier) + ", " + std::to_string(way.life.size_bytes) +
                   " bytes; seed " + std::to_string(campaign_.seed()));
      ASSERT_LT(nth, 100) << "faults without an end";
      if (!inject(client, way, nth)) break;
      ++faults;
    }
  }
  for (const Stored& stored : kept) {
    EXPECT_EQ(*digest_of(client, stored.descriptor.id), stored.digest);
    EXPECT_TRUE(client.erase(stored.descriptor.id).ok());
  }
  EXPECT_EQ(leftovers(host_, client), "");
  // The tier keeps some files open for the next reader.
  EXPECT_LT(host_.open_descriptors(), descriptors + 40);
  campaign_.tell(faults, std::to_string(ways) + " ways to fail, " + std::to_string(refused_) +
                             " refusals, " + std::to_string(lost_) + " payloads lost by bad bytes");
  if (HasFailure()) std::fprintf(stderr, "%s\n", host_.log().c_str());
  ASSERT_EQ(host_.terminate()->code, 0);
}

}  // namespace
}  // namespace pm::faults
