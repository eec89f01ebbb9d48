#include <gtest/gtest.h>

#include <mutex>
#include <thread>

#include "answers.h"
#include "content.h"
#include "host_process.h"

// Writers who write more than fits, as fast as they can.

namespace pm::integration {
namespace {

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t capacity_bytes = 64 * mib;
constexpr std::uint64_t payload_bytes = mib - 64 * 1024;
constexpr int writers = 4;

class Pressure : public testing::TestWithParam<const char*> {
 protected:
  static HostOptions options() {
    HostOptions options;
    options.shm_capacity_bytes = capacity_bytes;
    options.high_watermark_percent = 95;
    options.allocate_wait_ms_max = 60'000;
    options.more = std::string("[policy]\nuse = [") + GetParam() + "]\n";
    return options;
  }

  // Of each writer a part.
  std::vector<Stored> write_all(HostProcess& host, std::uint64_t count) {
    std::vector<Stored> all;
    std::mutex mutex;
    std::vector<std::thread> threads;
    for (int writer = 0; writer < writers; ++writer) {
      threads.emplace_back([&, writer] {
        client::Client client = host.client(90'000);
        for (std::uint64_t n = 0; n < count / writers; ++n) {
          const auto stored = put(client, payload_bytes, n * writers + writer);
          const std::lock_guard lock(mutex);
          ASSERT_TRUE(stored.ok()) << stored.status().to_string();
          all.push_back(*stored);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    return all;
  }
};

// PLACE-12 and POLICY-2
TEST_P(Pressure, of_four_times_the_capacity_is_borne_without_an_error_or_a_loss) {
  HostProcess host(options());
  ASSERT_TRUE(host.start_ready()) << host.log();
  Wire wire(host);
  client::Client client = host.client();
  std::vector<client::PayloadId> held;
  std::vector<client::ReadLease> leases;
  for (std::uint64_t n = 0; n < capacity_bytes / mib / 10; ++n) {
    const auto pinned = put(client, payload_bytes, 1'000 + n);
    ASSERT_TRUE(pinned.ok());
    wire_catalog::PinRequest pin;
    pin.mutable_id()->set_value(pinned->descriptor.id.bytes.data(), 16);
    google::protobuf::Empty done;
    expect_ok(
        wire.call(wire.catalog, &wire_services::PayloadCatalogService::Stub::Pin, pin, &done));
    held.push_back(pinned->descriptor.id);
    const auto leased = put(client, payload_bytes, 2'000 + n);
    ASSERT_TRUE(leased.ok());
    auto lease = client.open(leased->descriptor.id, {.duration_ms = 100'000});
    ASSERT_TRUE(lease.ok());
    leases.push_back(std::move(*lease));
    held.push_back(leased->descriptor.id);
  }
  const std::vector<Stored> written = write_all(host, 4 * capacity_bytes / mib);
  const auto tier_of = [&](const client::PayloadId& id) {
    wire_core::PayloadDescriptor found;
    expect_ok(wire.resolve(id_of({reinterpret_cast<const char*>(id.bytes.data()), 16}), &found));
    return found.tier();
  };
  for (const client::PayloadId& id : held) {
    EXPECT_EQ(tier_of(id), wire_core::TIER_RAM) << "what was held has left";
  }
  std::size_t on_disk = 0;
  for (const Stored& stored : written) {
    on_disk += tier_of(stored.descriptor.id) == wire_core::TIER_DISK ? 1 : 0;
  }
  EXPECT_GE(on_disk, written.size() / 2);
  for (const Stored& stored : written) {
    const auto digest = digest_of(client, stored.descriptor.id);
    ASSERT_TRUE(digest.ok()) << digest.status().to_string();
    EXPECT_EQ(*digest, stored.digest);
  }
  // Ahead of need: the last ones to come have left some room.
  EXPECT_TRUE(eventually([&] {
    const auto stats = client.stats();
    return stats.ok() && stats->tiers.at(0).bytes_charged <= capacity_bytes / 100 * 95;
  }));
}

INSTANTIATE_TEST_SUITE_P(policies, Pressure, testing::Values("", "\"hot-cold\""),
                         [](const auto& info) {
                           return std::string(*info.param == 0 ? "built_in" : "hot_cold");
                         });

}  // namespace
}  // namespace pm::integration
