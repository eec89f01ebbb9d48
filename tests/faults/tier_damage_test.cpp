#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "content.h"
#include "damage.h"
#include "host_process.h"
#include "leftovers.h"

// Files of the disk tier that are not what was written, found by a running host or by the next one.
// Of payloads whose checksum is known nobody gets other bytes by a move; the rest is unharmed.

namespace pm::faults {
namespace {

using namespace pm::integration;
namespace fs = std::filesystem;

constexpr int payloads_count = 24;
constexpr std::uint64_t bytes_max = 40'000;

class TierDamage : public testing::Test {
 protected:
  TierDamage() : campaign_("tier_damage", 300), host_(host_options()) {}

  static HostOptions host_options() {
    HostOptions options;
    options.orphan_grace_ms = 1;
    options.quarantine_ms = 1;
    return options;
  }

  // On disk, with a checksum: computed at the commit, or when the host moved them down.
  void fill_disk(client::Client& client) {
    kept_.clear();
    for (int n = 0; n < payloads_count; ++n) {
      const bool moved = n % 2 == 0;
      const std::uint64_t size = n % 4 < 2 ? 8'192 : 1 + campaign_.draw(bytes_max);
      const auto stored = put(client, size, campaign_.draw(UINT64_MAX), {});
      ASSERT_TRUE(stored.ok()) << stored.status().to_string();
      client::PayloadId id = stored->descriptor.id;
      kept_.push_back(*stored);
      if (moved) {
        const auto spilled = client.spill(std::span(&id, 1), {.to = client::Tier::disk});
        ASSERT_TRUE(spilled.ok() && spilled->front().status.ok());
        continue;
      }
      // The same bytes again, written to disk by the client.
      const auto allocated = client.allocate(size, {.tier = client::Tier::disk});
      ASSERT_TRUE(allocated.ok()) << allocated.status().to_string();
      {
        const auto lease = client.open(id);
        ASSERT_TRUE(lease.ok()) << lease.status().to_string();
        std::FILE* file = std::fopen(allocated->location.name.c_str(), "r+");
        ASSERT_NE(file, nullptr) << allocated->location.name;
        EXPECT_EQ(std::fwrite(lease->bytes().data(), 1, size, file), size);
        std::fclose(file);
      }
      ASSERT_TRUE(client.commit(allocated->id, {}, {client::ChecksumAlgorithm::sha256}).ok());
      ASSERT_TRUE(client.erase(id).ok());
      kept_.back().descriptor.id = allocated->id;
    }
  }

  fs::path file_of(const client::PayloadId& id) const {
    for (const std::string& name : host_.files()) {
      if (name.find(id.to_string()) != std::string::npos) return host_.disk_root() / name;
    }
    return {};
  }

  // Empty: nothing changed. Those that are no longer what they were are marked.
  std::string damage_one(std::vector<bool>& is_damaged) {
    const std::size_t at = campaign_.draw(kept_.size());
    if (is_damaged[at]) return {};
    const fs::path path = file_of(kept_[at].descriptor.id);
    fs::permissions(path, fs::perms::owner_all);
    const auto kind = campaign_.draw(7);
    is_damaged[at] = true;
    std::string did;
    if (kind < 5) {
      did = damage_file(path, static_cast<Damage>(kind), campaign_);
    } else {
      const std::size_t other = campaign_.draw(kept_.size());
      const fs::path from = file_of(kept_[other].descriptor.id);
      if (other != at && !is_damaged[other] && kept_[other].digest != kept_[at].digest) {
        did = kind == 5 ? swap(path, from) : replace(path, from);
        if (kind == 5) is_damaged[other] = true;
      }
    }
    if (did.empty()) is_damaged[at] = false;
    return did;
  }
  static std::string swap(const fs::path& a, const fs::path& b) {
    const fs::path third = a.string() + "-third";
    fs::rename(a, third), fs::rename(b, a), fs::rename(third, b);
    return "swapped with another file";
  }
  static std::string replace(const fs::path& to, const fs::path& from) {
    fs::copy_file(from, to, fs::copy_options::overwrite_existing);
    return "has what another file has";
  }

  // Every payload, by a move into memory.
  void expect_no_other_bytes(client::Client& client, const std::vector<bool>& is_damaged) {
    for (std::size_t n = 0; n < kept_.size(); ++n) {
      const client::PayloadId& id = kept_[n].descriptor.id;
      const auto promoted = client.promote(id, client::Tier::ram, {.drop_source = true});
      // A host that has the file open goes on with what it was, whatever stands under its name.
      if (!promoted.ok()) {
        EXPECT_TRUE(is_damaged[n]) << promoted.status().to_string();
        EXPECT_EQ(promoted.status().code(), Code::data_loss) << promoted.status().to_string();
        ++lost_;
      }
      if (promoted.ok()) {
        EXPECT_EQ(*digest_of(client, id), kept_[n].digest);
      }
      EXPECT_TRUE(client.erase(id).ok());
    }
    EXPECT_EQ(leftovers(host_, client), "");
  }

  Campaign campaign_;
  HostProcess host_;
  std::vector<Stored> kept_;
  int lost_ = 0;
};

TEST_F(TierDamage, bytes_that_are_not_what_their_checksum_says_are_never_moved) {
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  int faults = 0;
  int restarts = 0;
  while (faults < campaign_.count() && !HasFailure()) {
    client::Client client = host_.client();
    ASSERT_NO_FATAL_FAILURE(fill_disk(client));
    const int how = static_cast<int>(campaign_.draw(3));  // The host runs on, is killed, stops.
    if (how == 1) host_.kill();
    if (how == 2) {
      ASSERT_EQ(host_.terminate()->code, 0);
    }
    std::vector<bool> is_damaged(kept_.size());
    std::string all;
    for (int n = 0; n < payloads_count * 2 / 3; ++n) {
      const std::string did = damage_one(is_damaged);
      if (did.empty()) continue;
      ++faults;
      all += did + "; ";
    }
    SCOPED_TRACE(all + "seed " + std::to_string(campaign_.seed()));
    if (how != 0) {
      ++restarts;
      ASSERT_TRUE(host_.start_ready()) << host_.log();
      client = host_.client();
    }
    expect_no_other_bytes(client, is_damaged);
  }
  EXPECT_GT(lost_, faults / 2) << "damage goes unnoticed";
  campaign_.tell(faults, std::to_string(lost_) + " payloads refused as DATA_LOSS, " +
                             std::to_string(restarts) + " restarts");
  if (HasFailure()) std::fprintf(stderr, "%s\n", host_.log().c_str());
}

TEST_F(TierDamage, of_the_file_that_marks_the_root_refuses_the_start_and_touches_nothing) {
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  client::Client client = host_.client();
  ASSERT_NO_FATAL_FAILURE(fill_disk(client));
  ASSERT_EQ(host_.terminate()->code, 0);
  const fs::path marker = host_.disk_root() / "pm-tier-disk.json";
  const fs::path saved = host_.directory() / "marker";
  fs::copy_file(marker, saved);
  const std::set<std::string> files = host_.files();
  int refused = 0;
  const int count = std::max(5, campaign_.count() / 15);
  for (int n = 0; n < count && !HasFailure(); ++n) {
    fs::remove(marker);
    fs::copy_file(saved, marker);
    constexpr Damage kinds[] = {Damage::flip_bit, Damage::flip_bit, Damage::zero_page,
                                Damage::truncate, Damage::remove};
    SCOPED_TRACE(damage_file(marker, kinds[n % 5], campaign_));
    if (host_.start_ready()) {
      EXPECT_EQ(kinds[n % 5], Damage::flip_bit) << "a root is used that is not marked";
      // The name of the medium is another one, and what stands there is right all the same.
      EXPECT_EQ(host_.client().stats()->disk.payloads, kept_.size());
      ASSERT_EQ(host_.terminate()->code, 0);
    } else {
      ++refused;
      EXPECT_NE(host_.log().find("cannot start: "), std::string::npos) << host_.log();
      EXPECT_NE(host_.log().find(host_.disk_root().filename().string()), std::string::npos);
    }
    EXPECT_EQ(host_.files(), files);
  }
  EXPECT_GE(refused, count * 3 / 5);
  campaign_.tell(count, "to the marker: " + std::to_string(refused) + " starts refused");
  fs::remove(marker);
  fs::copy_file(saved, marker);
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  client = host_.client();
  expect_no_other_bytes(client, std::vector<bool>(kept_.size()));
}

}  // namespace
}  // namespace pm::faults
