#include "load.h"

#include <chrono>
#include <utility>

namespace pm::soak {

using integration::Fate;
using integration::Known;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t population_max = 40;
constexpr std::uint64_t size_bytes_max = 32 << 10;

}  // namespace

void Worker::run(const std::atomic<bool>& stop, double calls_per_s) {
  client::Client client = host_.client(10'000);
  const auto begin = Clock::now();
  const std::uint64_t before = calls_;
  while (!stop) {
    const auto dice = random_() % 100;
    if (known_.empty() || (dice < 40 && known_.size() < population_max)) {
      put(client);
    } else {
      Known& known = known_[random_() % known_.size()];
      if (known.fate == Fate::committed) {
        if (dice < 75) {
          read(client, known);
        } else if (dice < 85) {
          move(client, known);
        } else {
          erase(client, known);
        }
      } else if (known_.size() >= population_max) {
        std::erase_if(known_, [](const Known& old) { return old.fate == Fate::deleted; });
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
    if (calls_per_s == 0) continue;
    const double due_s = static_cast<double>(calls_ - before) / calls_per_s;
    std::this_thread::sleep_until(
        begin + std::chrono::microseconds(static_cast<std::int64_t>(due_s * 1e6)));
  }
}

bool Worker::took(const Status& status) {
  ++calls_;
  if (!status.ok()) {
    ++refusals_;
    // The host may be on its way up again.
    if (status.code() == Code::unavailable) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  return status.ok();
}

void Worker::put(client::Client& client) {
  client::CreateOptions options;
  options.tier = random_() % 8 == 0 ? client::Tier::disk : client::Tier::ram;
  options.layout = random_() % 2 == 0 ? client::Layout::slab : client::Layout::segment;
  const auto begin = Clock::now();
  auto payload = client.create(1 + random_() % size_bytes_max, options);
  if (!took(payload.status())) return;
  integration::fill(payload->bytes(), random_());
  known_.push_back({payload->id(), integration::sha256(payload->bytes()), 0, Fate::unknown});
  const auto committed = payload->commit();
  // It stays unknown also when it is refused: an answer may have been lost before.
  if (!took(committed.status())) return;
  latencies_ms_.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  known_.back().fate = Fate::committed;
  integration::see(known_.back(), *committed, "commit", violations_);
}

void Worker::read(client::Client& client, const Known& known) {
  const auto digest = integration::digest_of(client, known.id);
  if (took(digest.status()) && *digest != known.digest) {
    violations_.push_back("I1: the bytes differ under load (payload " + known.id.to_string() + ")");
  }
}

void Worker::move(client::Client& client, Known& known) {
  if (random_() % 2 == 0) {
    const auto moved = client.promote(known.id, client::Tier::ram);
    if (took(moved.status())) integration::see(known, *moved, "promote", violations_);
    return;
  }
  const auto outcomes =
      client.spill(std::span(&known.id, 1), {.to = client::Tier::disk, .wait_for_leases = true});
  if (took(outcomes.status()) && outcomes->front().descriptor) {
    integration::see(known, *outcomes->front().descriptor, "spill", violations_);
  }
}

void Worker::erase(client::Client& client, Known& known) {
  known.fate = Fate::unknown;
  if (took(client.erase(known.id))) known.fate = Fate::deleted;
}

Load::Load(const integration::HostProcess& host, unsigned workers, unsigned seed) {
  for (unsigned n = 0; n < workers; ++n) {
    workers_.push_back(std::make_unique<Worker>(host, seed * 31 + n + 1));
  }
}

void Load::run(double calls_per_s) {
  stop_ = false;
  for (auto& worker : workers_) {
    threads_.emplace_back([this, &worker, calls_per_s] {
      worker->run(stop_, calls_per_s / static_cast<double>(workers_.size()));
    });
  }
}

void Load::rest() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

std::uint64_t Load::calls() const {
  std::uint64_t sum = 0;
  for (const auto& worker : workers_) sum += worker->calls();
  return sum;
}

std::uint64_t Load::refusals() const {
  std::uint64_t sum = 0;
  for (const auto& worker : workers_) sum += worker->refusals();
  return sum;
}

}  // namespace pm::soak
