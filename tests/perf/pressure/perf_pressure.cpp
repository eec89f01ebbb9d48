// perf_pressure: writers fill shared memory with four times its capacity, as fast as they can; what
// leaves it for the disk, against the same payloads committed to the disk directly. A tenth of the
// capacity is pinned and a tenth leased, and stays. Counted from the first spill to the last write.

#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>
#include <span>
#include <thread>

#include "host_process.h"
#include "payload/manager/catalog/v1/catalog.pb.h"
#include "pm/client/client.h"
#include "report.h"

namespace pm::perf {
namespace {

constexpr int writers = 2;

struct Load {
  std::uint64_t payload_bytes = 0;
  std::uint64_t capacity_bytes = 0;
  std::uint64_t payloads() const { return 4 * capacity_bytes / payload_bytes; }
};

client::Client connect(const HostProcess& host) {
  return must(client::Client::connect(host.address()), "connect");
}

client::PayloadId put(client::Client& client, std::span<const std::byte> source,
                      client::Tier tier) {
  client::CreateOptions options;
  options.tier = tier;
  auto payload = must(client.create(source.size(), options), "create");
  std::memcpy(payload.bytes().data(), source.data(), source.size());
  must(payload.commit().status(), "commit");
  return payload.id();
}

// All writers at once; gives the seconds until the last one has committed.
double write_all(const HostProcess& host, const Load& load, client::Tier tier) {
  const std::vector<std::byte> source(load.payload_bytes, std::byte{42});
  std::atomic<std::uint64_t> left{load.payloads()};
  std::mutex mutex;
  std::string broken;
  const double begin = now_seconds();
  std::vector<std::thread> threads;
  for (int writer = 0; writer < writers; ++writer) {
    threads.emplace_back([&] {
      try {
        client::Client client = connect(host);
        while (true) {
          std::uint64_t taken = left.load();
          while (taken > 0 && !left.compare_exchange_weak(taken, taken - 1)) {
          }
          if (taken == 0) return;
          put(client, source, tier);
        }
      } catch (const std::exception& error) {
        const std::lock_guard lock(mutex);
        broken = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  must(broken.empty(), broken);
  return now_seconds() - begin;
}

// Looks at what is on the disk, from the first payload there until it is told to end.
class DiskWatch {
 public:
  explicit DiskWatch(const HostProcess& host)
      : client_(connect(host)), thread_([this] { run(); }) {}
  ~DiskWatch() {
    ends_ = true;
    if (thread_.joinable()) thread_.join();
  }
  // Bytes a second since the first one.
  double end() {
    ends_ = true;
    thread_.join();
    must(last_bytes_ > first_bytes_, "nothing left the memory");
    return static_cast<double>(last_bytes_ - first_bytes_) / (last_ - first_);
  }

 private:
  void run() {
    while (!ends_) {
      const auto stats = client_.stats();
      if (stats.ok() && stats->disk.bytes > 0) {
        last_ = now_seconds();
        last_bytes_ = stats->disk.bytes;
        if (first_bytes_ == 0) {
          first_ = last_;
          first_bytes_ = last_bytes_;
        }
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  client::Client client_;
  std::atomic<bool> ends_{false};
  double first_ = 0;
  double last_ = 0;
  std::uint64_t first_bytes_ = 0;
  std::uint64_t last_bytes_ = 0;
  std::thread thread_;
};

HostSetup setup_of(const Load& load) {
  HostSetup setup;
  setup.shm_capacity_bytes = load.capacity_bytes;
  setup.high_watermark_percent = 95;
  return setup;
}

struct Held {
  std::vector<client::PayloadId> pinned;
  std::vector<client::ReadLease> leases;
};

Held hold_a_fifth(client::Client& client, const Load& load) {
  const std::vector<std::byte> source(load.payload_bytes, std::byte{42});
  Held held;
  for (std::uint64_t n = 0; n < load.capacity_bytes / load.payload_bytes / 10; ++n) {
    payload::manager::catalog::v1::PinRequest pin;
    const client::PayloadId id = put(client, source, client::Tier::ram);
    pin.mutable_id()->set_value(id.bytes.data(), id.bytes.size());
    must(
        client
            .call("/payload.manager.services.v1.PayloadCatalogService/Pin", pin.SerializeAsString())
            .status(),
        "pin");
    held.pinned.push_back(id);
    const client::PayloadId leased = put(client, source, client::Tier::ram);
    held.leases.push_back(must(client.open(leased, {.duration_ms = 120'000}), "open"));
  }
  return held;
}

double spilled_mib_each_second(const Load& load) {
  const HostProcess host(setup_of(load));
  client::Client client = connect(host);
  const Held held = hold_a_fifth(client, load);
  DiskWatch watch(host);
  write_all(host, load, client::Tier::ram);
  const double rate = watch.end();
  for (const client::PayloadId& id : held.pinned) {
    const auto lease = must(client.lease(id), "lease of what is pinned");
    must(lease.descriptor.tier == client::Tier::ram, "a pinned payload has left");
  }
  for (const client::ReadLease& lease : held.leases) {
    const auto again = must(client.lease(lease.descriptor().id), "lease of what is leased");
    must(again.descriptor.tier == client::Tier::ram, "a leased payload has left");
  }
  const auto stats = must(client.stats(), "stats");
  const std::uint64_t all = load.payloads() + held.pinned.size() + held.leases.size();
  must(stats.ram.payloads + stats.disk.payloads == all && stats.payloads_lost == 0,
       "payloads are missing");
  return rate / (1 << 20);
}

double committed_mib_each_second(const Load& load) {
  const HostProcess host(setup_of(load));
  const double seconds = write_all(host, load, client::Tier::disk);
  return static_cast<double>(load.payloads() * load.payload_bytes) / seconds / (1 << 20);
}

void measure(const std::string& name, const Load& load, double aim) {
  Rounds taken;
  taken.run(
      quick() ? 1 : 3, [&] { return spilled_mib_each_second(load); },
      [&] { return committed_mib_each_second(load); });
  print(taken.figure(name, "MiB/s", "direct commits to the disk", {Aim::at_least, aim}));
}

}  // namespace
}  // namespace pm::perf

int main() {
  using namespace pm::perf;
  return main_of("perf_pressure", [] {
    constexpr std::uint64_t mib = 1 << 20;
    const std::uint64_t capacity = quick() ? 256 * mib : 1024 * mib;
    measure("spill_4MiB", {4 * mib, capacity}, 0.8);
    // Told, without an aim of its own.
    measure("spill_64KiB", {mib / 16, quick() ? 64 * mib : 256 * mib}, 0);
  });
}
