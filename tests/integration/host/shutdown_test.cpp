#include <gtest/gtest.h>
#include <signal.h>
#include <chrono>

#include <atomic>
#include <thread>

#include "content.h"
#include "host_process.h"

// SIGTERM, SIGHUP, and two hosts that want the same state.

namespace pm::integration {
namespace {

using std::chrono::milliseconds;

// SIGTERM must end the host within its drain time and this.
constexpr milliseconds margin{2'000};

class Shutdown : public testing::TestWithParam<const char*> {
 protected:
  static HostOptions options() {
    HostOptions options;
    options.repository = GetParam();
    options.drain_ms_max = 1'500;
    return options;
  }

  // Ends it by SIGTERM; checks the exit code, the time it took, and what is left behind.
  static void stop(HostProcess& host) {
    const auto begin = std::chrono::steady_clock::now();
    const auto exit = host.terminate(milliseconds(host.options().drain_ms_max) + margin);
    const auto took = std::chrono::steady_clock::now() - begin;
    ASSERT_TRUE(exit.has_value()) << "still runs\n" << host.log();
    EXPECT_EQ(exit->code, 0) << "signal " << exit->signal << "\n" << host.log();
    EXPECT_LT(took, milliseconds(host.options().drain_ms_max) + margin);
    EXPECT_NE(host.log().find("stopped"), std::string::npos) << host.log();
    EXPECT_FALSE(std::filesystem::exists(host.socket())) << "the socket is left";
    EXPECT_FALSE(std::filesystem::exists(host.socket().parent_path()))
        << "the runtime directory, which it made, is left";
    for (const std::string& file : host.files()) {
      EXPECT_EQ(file.find(".part"), std::string::npos) << "an unfinished file is left: " << file;
    }
  }
};

TEST_P(Shutdown, an_idle_host_stops_at_once) {
  HostProcess host(options());
  ASSERT_TRUE(host.start_ready()) << host.log();
  client::Client idle = host.client();  // Its connection stays open.
  ASSERT_TRUE(idle.stats().ok());
  const auto begin = std::chrono::steady_clock::now();
  stop(host);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(1'000))
      << "it waited for a client that is in no call";
}

TEST_P(Shutdown, busy_clients_get_answers_or_unavailable_and_the_host_stops) {
  HostProcess host(options());
  ASSERT_TRUE(host.start_ready()) << host.log();
  std::atomic<int> calls{0};
  std::vector<Status> ends(4);
  std::vector<std::thread> threads;
  for (Status& end : ends) {
    threads.emplace_back([&host, &calls, &end] {
      client::Client client = host.client();
      for (unsigned n = 0; end.ok(); ++n) {
        const auto stored = put(client, 4096, n);
        end = stored.ok() ? client.erase(stored->descriptor.id) : stored.status();
        ++calls;
      }
    });
  }
  EXPECT_TRUE(eventually([&] { return calls > 200; }));
  stop(host);
  for (std::thread& thread : threads) thread.join();
  for (const Status& end : ends) {
    EXPECT_TRUE(end.code() == Code::unavailable || end.code() == Code::cancelled)
        << end.to_string();
  }
}

TEST_P(Shutdown, a_client_that_waits_for_room_is_told) {
  HostOptions small = options();
  small.shm_capacity_bytes = 1 << 20;
  HostProcess host(small);
  ASSERT_TRUE(host.start_ready()) << host.log();
  client::Client client = host.client();
  const auto full = put(client, 1 << 20, 1);
  ASSERT_TRUE(full.ok()) << full.status().to_string();
  const auto held = client.lease(full->descriptor.id);  // So it cannot be evicted.
  ASSERT_TRUE(held.ok());
  // Deleted by force it is on its way out, but its room comes only when the lease ends.
  ASSERT_TRUE(client.erase(full->descriptor.id, true).ok());
  Status answer;
  std::thread waiting([&] {
    client::Client other = host.client();
    answer = other.allocate(4096).status();
  });
  sleep_ms(300);
  const auto began = std::chrono::steady_clock::now();
  stop(host);
  const auto took = std::chrono::steady_clock::now() - began;
  waiting.join();
  EXPECT_EQ(answer.code(), Code::unavailable) << answer.to_string();
  EXPECT_LT(took, std::chrono::milliseconds(options().drain_ms_max / 2)) << "waited for the drain";
}

INSTANTIATE_TEST_SUITE_P(repositories, Shutdown, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

class ShutdownOnSqlite : public Shutdown {};

TEST_P(ShutdownOnSqlite, a_long_move_is_finished_or_undone_and_the_bytes_are_there_afterwards) {
  HostOptions large = options();
  large.shm_capacity_bytes = 1 << 30;
  large.drain_ms_max = 500;
  HostProcess host(large);
  ASSERT_TRUE(host.start_ready()) << host.log();
  client::Client client = host.client();
  const auto stored = put(client, 700 << 20, 7);
  ASSERT_TRUE(stored.ok()) << stored.status().to_string();
  std::thread moving([&] {
    client::Client other = host.client();
    (void)other.spill(std::span(&stored->descriptor.id, 1), {.to = client::Tier::disk});
  });
  const bool under_way = eventually([&] {
    const auto seen = client.resolve(stored->descriptor.id);
    return seen.ok() && seen->state == client::State::spilling;
  });
  stop(host);
  moving.join();
  EXPECT_TRUE(under_way) << "the move was not seen; nothing was tested";

  ASSERT_TRUE(host.start_ready()) << host.log();
  client::Client later = host.client();
  const auto digest = digest_of(later, stored->descriptor.id);
  ASSERT_TRUE(digest.ok()) << digest.status().to_string();
  EXPECT_EQ(*digest, stored->digest);
  EXPECT_TRUE(eventually([&] { return host.segments().size() + host.files().size() == 1; }))
      << host.segments().size() << " segments, " << host.files().size() << " files";
}

TEST_P(ShutdownOnSqlite, what_was_committed_is_there_after_a_restart) {
  HostProcess host(options());
  ASSERT_TRUE(host.start_ready()) << host.log();
  client::Client client = host.client();
  const auto in_memory = put(client, 5000, 1);
  const auto on_disk = put(client, 5000, 2, {.tier = client::Tier::disk});
  ASSERT_TRUE(in_memory.ok() && on_disk.ok());
  stop(host);
  EXPECT_EQ(host.segments().size(), 1u);
  EXPECT_EQ(host.files().size(), 1u);
  ASSERT_TRUE(host.start_ready()) << host.log();
  client::Client later = host.client();
  for (const Stored* stored : {&*in_memory, &*on_disk}) {
    const auto digest = digest_of(later, stored->descriptor.id);
    ASSERT_TRUE(digest.ok()) << digest.status().to_string();
    EXPECT_EQ(*digest, stored->digest);
  }
}

TEST_P(ShutdownOnSqlite, a_second_host_on_the_same_state_is_refused) {
  HostProcess host(options());
  ASSERT_TRUE(host.start_ready()) << host.log();
  const Finished second = run_program(
      {(build_directory() / "bin/pm-host").string(), "--config", host.config_file().string()}, "/",
      std::chrono::seconds(30));
  EXPECT_EQ(second.exit.code, 3) << second.output;
  EXPECT_NE(second.output.find("catalog.sqlite"), std::string::npos)
      << "does not say what is taken: " << second.output;
  client::Client client = host.client();
  EXPECT_TRUE(client.stats().ok()) << "the first host was disturbed";
}

TEST_P(ShutdownOnSqlite, hangup_takes_a_good_file_over_and_leaves_a_bad_one) {
  HostProcess host(options());
  ASSERT_TRUE(host.start_ready()) << host.log();
  client::Client client = host.client();

  host.options().more = "[log]\nlevel = \"debug\"\n";
  host.write_config();
  host.send(SIGHUP);
  EXPECT_TRUE(host.wait_log("log.level takes effect", milliseconds(5'000))) << host.log();
  EXPECT_TRUE(client.stats().ok());

  host.options().more = "[log]\nlevel = \"loud\"\n";
  host.write_config();
  host.send(SIGHUP);
  EXPECT_TRUE(host.wait_log("the old one stays", milliseconds(5'000))) << host.log();
  EXPECT_NE(host.log().find("loud"), std::string::npos) << "does not name the bad value";
  EXPECT_TRUE(client.stats().ok());
  stop(host);
}

INSTANTIATE_TEST_SUITE_P(repositories, ShutdownOnSqlite, testing::Values("sqlite"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
