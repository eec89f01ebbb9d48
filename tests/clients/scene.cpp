#include "scene.h"

#include <time.h>

#include <cerrno>

#include "leftovers.h"

namespace pm::clients {

using integration::Fate;
using integration::HostOptions;
using integration::Known;
using integration::Stored;

namespace {

constexpr std::uint64_t slab_bytes = 4 << 20;

HostOptions host_options(std::uint64_t grace_ms) {
  HostOptions options;
  options.shm_capacity_bytes = 10 << 20;
  options.slab_bytes = slab_bytes;
  options.orphan_grace_ms = grace_ms;
  options.quarantine_ms = 200;
  options.limits = "uncommitted_ms_max = " + std::to_string(uncommitted_ms_max) + "\n";
  options.more_tiers = true;
  return options;
}

}  // namespace

void sleep_until(std::uint64_t monotonic_ns) {
  const timespec until{static_cast<time_t>(monotonic_ns / 1'000'000'000),
                       static_cast<long>(monotonic_ns % 1'000'000'000)};
  while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
  }
}

Scene::Scene(std::uint32_t seed, std::uint64_t grace_ms)
    : host_(host_options(grace_ms)), random_(seed), number_(seed % 1'000'000) {}

bool Scene::begin(const integration::Environment& environment) {
  if (!host_.start_ready(environment)) return false;
  names_ = integration::own_names(host_);
  client_ = host_.client();
  for (int n = 0; n < 2; ++n) {
    put(client::Tier::ram, client::Layout::slab);
    put(client::Tier::ram, client::Layout::segment);
    put(client::Tier::disk, client::Layout::segment);
  }
  return violations_.empty();
}

void Scene::put(client::Tier tier, client::Layout layout) {
  client::CreateOptions options;
  options.tier = tier;
  options.layout = layout;
  options.no_evict = true;
  const auto stored = integration::put(*client_, 1 + random(64 << 10), random_(), options);
  if (!stored.ok()) return fail("put: " + stored.status().to_string());
  own_.push_back({stored->descriptor.id, stored->digest, stored->descriptor.version,
                  Fate::committed, stored->descriptor.tier});
}

ClientProcesses Scene::start(const std::vector<Pose>& poses) {
  ClientProcesses clients;
  for (const Pose pose : poses) {
    Part part{host_.address(), {}, {}, next_number(), pose, {}};
    if (shared_id_) part.readable.push_back(*shared_id_);
    for (int n = 0; n < 2; ++n) part.readable.push_back(own_[random(own_.size())].id);
    clients.push_back(std::make_unique<ClientProcess>(host_.directory(), std::move(part)));
  }
  for (const auto& client : clients) {
    if (!client->wait_posed()) {
      fail(std::string("a client does not come to its pose: ") + name_of(client->pose()) + ": " +
           client->story().last + " " + client->output());
    }
  }
  return clients;
}

// ---- the shared one ----

void Scene::share_one() {
  put(random(2) == 0 ? client::Tier::ram : client::Tier::disk,
      random(2) == 0 ? client::Layout::slab : client::Layout::segment);
  if (!violations_.empty()) return;
  client::LeaseOptions options;
  options.duration_ms = 100'000;
  auto held = integration::HeldLease::take(*client_, own_.back(), options);
  if (!held.ok()) return fail("lease: " + held.status().to_string());
  shared_id_ = own_.back().id;
  shared_.emplace(*std::move(held));
}

void Scene::erase_shared() {
  const Status erased = client_->erase(*shared_id_, true);
  if (!erased.ok()) fail("delete by force: " + erased.to_string());
  own_.back().fate = Fate::deleted;
}

void Scene::check_shared() {
  if (shared_) shared_->check(violations_);
}

void Scene::end_shared() {
  check_shared();
  shared_.reset();
  shared_id_.reset();
}

// ---- what holds ----

void Scene::take_over(const Story& story) {
  for (const std::string& complaint : story.complaints) fail(complaint);
  for (const Known& known : story.payloads) others_.push_back(known);
}

void Scene::audit() {
  if (!integration::audit_payloads(*client_, own_, violations_) ||
      !integration::audit_payloads(*client_, others_, violations_)) {
    fail("the host went away");
  }
  std::erase_if(own_, [](const Known& known) { return known.fate == Fate::deleted; });
  auto ids = integration::committed_ids(own_);
  ids.merge(integration::committed_ids(others_));
  if (!integration::audit_list(*client_, ids, violations_)) fail("the host went away");
  for (const client::PayloadId& id : integration::committed_ids(others_)) {
    const Status erased = client_->erase(id);
    if (!erased.ok()) fail("delete of a dead client's payload: " + erased.to_string());
  }
  others_.clear();
}

void Scene::fill_all_room(const std::function<void()>& meanwhile) {
  std::vector<Stored> fillers;
  // What is leaving could come: nobody is to wait for it.
  constexpr std::uint64_t deadline_ms = 300;
  client::Client impatient = host_.client(deadline_ms);
  const auto fill_up = [&](client::Tier tier, client::Layout layout, std::size_t count) {
    client::CreateOptions options;
    options.tier = tier;
    options.layout = layout;
    options.no_evict = true;
    while (fillers.size() < count) {
      auto stored = integration::put(impatient, 64 << 10, random_(), options);
      if (!stored.ok()) {
        const Code code = stored.status().code();
        if (code != Code::resource_exhausted && code != Code::deadline_exceeded) {
          fail("put: " + stored.status().to_string());
        }
        return;
      }
      fillers.push_back(*std::move(stored));
    }
  };
  fill_up(client::Tier::ram, client::Layout::slab, SIZE_MAX);
  fill_up(client::Tier::disk, client::Layout::segment, fillers.size() + 16);
  meanwhile();
  for (const Stored& filler : fillers) {
    const auto digest = integration::digest_of(*client_, filler.descriptor.id);
    if (!digest.ok()) {
      fail("I3: " + digest.status().to_string());
    } else if (*digest != filler.digest) {
      fail("I6: bytes of " + filler.descriptor.location.name + " at " +
           std::to_string(filler.descriptor.location.offset_bytes) + " were overwritten");
    }
    const Status erased = client_->erase(filler.descriptor.id);
    if (!erased.ok()) fail("delete: " + erased.to_string());
  }
}

void Scene::audit_leases(std::uint64_t ours, std::uint64_t by_ns) {
  sleep_until(by_ns);
  const auto stats = client_->stats();
  if (!stats.ok()) return fail("stats: " + stats.status().to_string());
  if (stats->leases_active != ours) {
    fail(std::to_string(stats->leases_active) + " leases are there a second after the last end, " +
         std::to_string(ours) + " of them ours");
  }
}

void Scene::audit_room(std::uint64_t by_ns) {
  const std::uint64_t now_ns = monotonic_ns();
  const std::uint64_t left_ns = by_ns > now_ns ? by_ns - now_ns : 0;
  integration::audit_room(host_, *client_, violations_,
                          std::chrono::milliseconds(left_ns / 1'000'000));
}

void Scene::end() {
  end_shared();
  for (const client::PayloadId& id : integration::committed_ids(own_)) {
    const Status erased = client_->erase(id);
    if (!erased.ok()) fail("delete: " + erased.to_string());
  }
  const std::string left = integration::leftovers(host_, *client_);
  if (!left.empty()) fail("I4: after everything was deleted: " + left);
  integration::audit_names(host_, names_, violations_);
  const auto exit = host_.terminate();
  if (!exit || exit->code != 0) fail("the host does not stop well");
}

}  // namespace pm::clients
