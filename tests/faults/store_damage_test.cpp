#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "answers.h"
#include "content.h"
#include "damage.h"
#include "documents.h"
#include "host_process.h"

// A SQLite file, or its write-ahead log, that is not what the host left. The host either refuses to
// start, in words and with an exit code of its own, or everything acknowledged is there. Files of
// payloads are never removed because of it.

namespace pm::faults {
namespace {

using namespace pm::integration;
namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr int exit_damaged = 5;  // pm-host: what is stored is damaged.
constexpr int payloads_count = 40;

class StoreDamage : public testing::Test {
 protected:
  StoreDamage() : host_(host_options()) {}

  static HostOptions host_options() {
    HostOptions options;
    options.orphan_grace_ms = 1;
    options.quarantine_ms = 1;
    return options;
  }

  // Puts, moves and deletes; some rows have labels, some documents.
  void fill_store() {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    client::Client client = host_.client();
    Wire wire(host_);
    Documents documents(wire);
    for (unsigned n = 0; n < payloads_count; ++n) {
      client::CreateOptions options{.tier = client::Tier::disk,
                                    .request_id = "request " + std::to_string(n)};
      if (n % 2 == 0) options.labels = {{"key", "value"}};
      const auto stored = put(client, 500 + n * 10, n, options);
      ASSERT_TRUE(stored.ok()) << stored.status().to_string();
      if (n % 8 == 7) {
        ASSERT_TRUE(client.erase(stored->descriptor.id).ok());
        continue;
      }
      kept_.push_back(*stored);
      const std::string bytes(reinterpret_cast<const char*>(stored->descriptor.id.bytes.data()),
                              16);
      documents_[bytes] = std::string(n * 100, 'm');
      ASSERT_EQ(answer_of(documents.update(update_of(id_of(bytes), documents_[bytes], "schema"))),
                "OK");
    }
    ASSERT_FALSE(documents_.empty());
  }

  fs::path store() const { return host_.state_directory() / "catalog.sqlite"; }

  void save(const fs::path& to) {
    fs::create_directories(to);
    for (const auto& entry : fs::directory_iterator(host_.state_directory())) {
      if (entry.is_regular_file()) fs::copy(entry.path(), to / entry.path().filename());
    }
  }
  void restore(const fs::path& from) {
    for (const auto& entry : fs::directory_iterator(host_.state_directory())) {
      if (entry.is_regular_file()) fs::remove(entry.path());
    }
    for (const auto& entry : fs::directory_iterator(from)) {
      fs::copy(entry.path(), host_.state_directory() / entry.path().filename());
    }
  }

  // Everything that was acknowledged, each in its bytes. What is wrong, in words.
  std::string look() {
    client::Client client = host_.client(10'000);
    std::size_t listed = 0;
    const Status status = client.list_each({}, [&](const client::Summary&) {
      ++listed;
      return true;
    });
    if (!status.ok()) return "the list: " + status.to_string();
    if (listed != kept_.size()) return std::to_string(listed) + " payloads are listed";
    for (const Stored& stored : kept_) {
      const auto digest = digest_of(client, stored.descriptor.id);
      if (!digest) return digest.status().to_string();
      if (*digest != stored.digest) return "wrong bytes";
    }
    return look_at_documents();
  }

  // They are read when somebody asks: each is what was written, or DATA_LOSS, and then nothing is
  // served any more.
  std::string look_at_documents() {
    Wire wire(host_);
    Documents documents(wire);
    for (const auto& [id, data] : documents_) {
      wire_catalog::GetPayloadMetadataResponse found;
      const std::string answer = answer_of(documents.get(id_of(id), &found));
      if (answer == "DATA_LOSS STORAGE_ERROR") {
        ++documents_refused_;
        return {};
      }
      if (answer != "OK") return "metadata: " + answer;
      if (found.metadata().data() != data) return "other metadata";
    }
    return {};
  }

  // One start over what has been damaged.
  void start_and_look(const std::string& what) {
    SCOPED_TRACE(what);
    host_.start();
    std::optional<Exit> exit;
    const bool answers = eventually(
        [&] {
          exit = host_.wait_exit(milliseconds(1));
          return exit || host_.log().find("ready: version") != std::string::npos;
        },
        milliseconds(20'000));
    EXPECT_TRUE(answers) << "neither ready nor ended: " << host_.log();
    if (exit) {
      ++refused_;
      const std::string log = host_.log();
      EXPECT_EQ(exit->code, exit_damaged) << "signal " << exit->signal << ": " << log;
      EXPECT_NE(log.find("cannot start: DATA_LOSS"), std::string::npos) << log;
      EXPECT_NE(log.find("restore it from a copy"), std::string::npos) << log;
    } else {
      ++served_;
      EXPECT_EQ(look(), "") << host_.log();
      host_.kill();
    }
    EXPECT_EQ(host_.files(), files_) << "files of payloads were removed";
  }

  HostProcess host_;
  std::vector<Stored> kept_;
  std::map<std::string, std::string> documents_;  // By id.
  std::set<std::string> files_;
  int served_ = 0;
  int refused_ = 0;
  int documents_refused_ = 0;
};

TEST_F(StoreDamage, is_noticed_or_harmless) {
  Campaign campaign("store_damage", 300);
  ASSERT_NO_FATAL_FAILURE(fill_store());
  const fs::path killed = host_.directory() / "killed";
  const fs::path stopped = host_.directory() / "stopped";
  // The log has all: it is 4000 pages long before it is emptied.
  host_.kill();
  save(killed);
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  ASSERT_EQ(host_.terminate()->code, 0);
  save(stopped);
  files_ = host_.files();
  ASSERT_EQ(files_.size(), kept_.size());

  int faults = 0;
  for (int tries = 0; faults < campaign.count() && !HasFailure(); ++tries) {
    ASSERT_LT(tries, campaign.count() * 4) << "most damage is none";
    const bool in_log = campaign.chance(40);
    restore(in_log ? killed : stopped);
    const fs::path file = in_log ? store().string() + "-wal" : store().string();
    const auto damage = static_cast<Damage>(campaign.draw(5));
    if (damage == Damage::remove && !in_log) continue;  // An empty store, as on the first day.
    const std::string did = damage_file(file, damage, campaign);
    if (did.empty()) continue;
    ++faults;
    start_and_look(file.filename().string() + ": " + name_of(damage) + ", " + did + "; seed " +
                   std::to_string(campaign.seed()));
  }
  campaign.tell(faults, std::to_string(refused_) + " starts refused, " + std::to_string(served_) +
                            " with all there (" + std::to_string(documents_refused_) +
                            " of them without documents)");
  restore(stopped);
  start_and_look("as it was");
}

}  // namespace
}  // namespace pm::faults
