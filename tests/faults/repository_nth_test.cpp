#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <thread>

#include "campaign.h"
#include "kill_writer.h"
#include "leftovers.h"

// The n-th call of the repository fails, or the n-th system call of SQLite on its files: when a
// host starts, works or recovers. Whatever the host does then, it says so; and the next one has
// what was acknowledged, and nothing half.

namespace pm::faults {
namespace {

using namespace pm::integration;
using std::chrono::milliseconds;

class RepositoryNth : public testing::Test {
 protected:
  RepositoryNth() : campaign_("repository_nth", 500), host_(host_options()) {
    writers_.push_back(std::make_unique<KillWriter>(campaign_.seed() * 31 + 1));
    writers_.push_back(std::make_unique<KillWriter>(campaign_.seed() * 31 + 2));
  }
  static HostOptions host_options() {
    HostOptions options;
    options.repository_faults = true;
    options.shm_capacity_bytes = 4 << 20;
    options.slab_bytes = 1 << 20;
    options.allocate_wait_ms_max = 1'000;
    // So that checkpoints, which write and sync the main file, come by in each life.
    options.repository_keys = "wal_autocheckpoint_pages = 50\n";
    return options;
  }

  // Which call: of most there are a few in a start, of some many under load.
  int draw_nth(std::uint64_t in_a_start, bool under_load) {
    const std::uint64_t most = under_load && campaign_.chance(50) ? 60 : in_a_start;
    return 1 + static_cast<int>(campaign_.draw(most));
  }
  std::string draw_call_of_plugin() {
    static constexpr const char* operations[] = {"apply", "apply", "apply", "scan", "open"};
    static constexpr const char* statuses[] = {"UNAVAILABLE", "DATA_LOSS", "ABORTED", "INTERNAL",
                                               "INVALID_ARGUMENT"};
    const std::string operation = operations[campaign_.draw(std::size(operations))];
    const int nth = operation == "open" ? 1 : draw_nth(4, operation == "apply");
    std::string toml = "[[fault]]\nkind = 'error'\noperation = '" + operation +
                       "'\nnth = " + std::to_string(nth) + "\nstatus = '" +
                       statuses[campaign_.draw(std::size(statuses))] + "'\n";
    if (campaign_.chance(30)) toml += "repeat = 'sticky'\n";
    if (operation == "apply" && campaign_.chance(40)) toml += "after = true\n";
    return toml;
  }
  std::string draw_call_of_system() {
    struct Call {
      const char* name;
      const char* file;
      std::uint64_t in_a_start;
      bool under_load;
    };
    static constexpr Call calls[] = {
        {"write", "catalog.sqlite-wal", 4, true}, {"write", "catalog.sqlite-wal", 4, true},
        {"sync", "catalog.sqlite-wal", 2, true},  {"read", "catalog.sqlite-wal", 20, false},
        {"write", "catalog.sqlite", 4, true},     {"sync", "catalog.sqlite", 2, true},
        {"read", "catalog.sqlite", 10, false},    {"truncate", "catalog.sqlite", 1, false}};
    static constexpr int errors[] = {EIO, ENOSPC, 0};
    const Call& call = calls[campaign_.draw(std::size(calls))];
    int error = errors[campaign_.draw(std::size(errors))];
    if (std::string(call.name) != "write" && error == 0) error = EIO;
    return std::string(call.name) + ":" +
           std::to_string(draw_nth(call.in_a_start, call.under_load)) + ":" +
           std::to_string(error) + ":" + (campaign_.chance(30) ? "sticky" : "once") + ":" +
           call.file;
  }

  // The host under load, until it ends or has had its time.
  std::optional<Exit> load(int run_ms) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (auto& writer : writers_) {
      threads.emplace_back([this, &stop, &writer] {
        client::Client client = host_.client(20'000);
        writer->work(client, stop);
      });
    }
    auto exit = host_.wait_exit(milliseconds(run_ms));
    stop = true;
    // Told before the call comes back: the end may still come.
    if (!exit && has_failed_sync()) exit = host_.wait_exit(milliseconds(5'000));
    host_.kill();
    for (std::thread& thread : threads) thread.join();
    return exit;
  }

  bool has_failed_sync() const { return host_.log().find("io-fault: sync") != std::string::npos; }

  // A life with a fault in it; true: it took effect.
  bool live(const Environment& environment) {
    host_.start(environment);
    std::optional<Exit> exit;
    const bool answers = eventually(
        [&] {
          exit = host_.wait_exit(milliseconds(1));
          return exit || host_.log().find("ready: version") != std::string::npos;
        },
        milliseconds(20'000));
    EXPECT_TRUE(answers) << "neither ready nor ended";
    const bool is_ready = answers && !exit;
    if (is_ready) exit = load(80);
    host_.kill();
    const std::string log = host_.log();
    if (exit) {
      EXPECT_EQ(exit->signal, 0) << "a fault of the repository crashed the host";
      EXPECT_NE(exit->code, 0);
      EXPECT_NE(log.find(is_ready ? "fatal, the host ends at once" : "cannot start"),
                std::string::npos);
      is_ready ? ++ended_ : ++refused_;
    } else {
      ++lived_;
    }
    EXPECT_TRUE(!has_failed_sync() || exit) << "a host goes on whose repository could not sync";
    return log.find("io-fault: ") != std::string::npos ||
           log.find("takes effect") != std::string::npos;
  }

  void audit() {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    client::Client client = host_.client();
    std::set<client::PayloadId> known;
    for (auto& writer : writers_) {
      EXPECT_TRUE(writer->audit(client)) << "the host went away";
      for (const Known& payload : writer->payloads()) known.insert(payload.id);
      for (const std::string& violation : writer->violations()) ADD_FAILURE() << violation;
    }
    std::set<client::PayloadId> listed;
    EXPECT_TRUE(client
                    .list_each({},
                               [&](const client::Summary& summary) {
                                 listed.insert(summary.id);
                                 return true;
                               })
                    .ok());
    EXPECT_EQ(listed, known) << "the list is not what was committed";
  }

  Campaign campaign_;
  HostProcess host_;
  std::vector<std::unique_ptr<KillWriter>> writers_;
  int refused_ = 0;
  int ended_ = 0;
  int lived_ = 0;
};

TEST_F(RepositoryNth, call_that_fails_loses_nothing_that_was_acknowledged) {
  const Environment preloaded = {{"LD_PRELOAD", std::getenv("PM_IO_FAULT_LIBRARY")}};
  int faults = 0;
  for (int tries = 0; faults < campaign_.count() && !HasFailure(); ++tries) {
    ASSERT_LT(tries, 20 + campaign_.count() * 5) << "hardly a fault takes effect";
    Environment environment = preloaded;
    std::string what;
    if (campaign_.chance(40)) {
      host_.set_repository_faults(what = draw_call_of_plugin());
    } else {
      environment.emplace_back("PM_IO_FAULT", what = draw_call_of_system());
    }
    SCOPED_TRACE(what + "; seed " + std::to_string(campaign_.seed()));
    faults += live(environment) ? 1 : 0;
    const std::string log = host_.log();
    host_.set_repository_faults("");
    // A start may fail in the middle of another one's recovery; the last one must not.
    ASSERT_NO_FATAL_FAILURE(audit());
    if (HasFailure()) std::fprintf(stderr, "%s\n", log.c_str());
    host_.kill();
  }
  ASSERT_NO_FATAL_FAILURE(audit());
  client::Client client = host_.client();
  for (const auto& writer : writers_) {
    for (const Known& known : writer->payloads()) EXPECT_TRUE(client.erase(known.id).ok());
  }
  EXPECT_EQ(leftovers(host_, client), "");
  campaign_.tell(faults, std::to_string(refused_) + " starts refused, " + std::to_string(ended_) +
                             " hosts ended at work, " + std::to_string(lived_) + " went on");
}

}  // namespace
}  // namespace pm::faults
