#include <unistd.h>

#include <filesystem>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>

#include "payload/manager/runtime/v1/lease.pb.h"
#include "pose.h"
#include "story.h"

namespace pm::clients {

namespace {

using integration::fill;
using integration::sha256;

constexpr client::Tier fast{100};
constexpr std::uint64_t fast_bytes = 4 << 20;

// What is refused here was not to be refused: the test sees the complaint.
template <typename T>
T need(const StoryWriter& story, Result<T> result, const char* what) {
  if (!result.ok()) {
    story.line(std::string("complaint ") + what + ": " + result.status().to_string());
    throw std::runtime_error(what);
  }
  return *std::move(result);
}

class Player {
 public:
  explicit Player(const Part& part)
      : part_(part),
        story_(part.story),
        client_(need(story_, client::Client::connect(part.address), "connect")),
        random_(part.seed) {}

  void play() {
    switch (part_.pose) {
      case Pose::leases: return lease_and_read();
      case Pose::allocates: return allocate();
      case Pose::writes: return write();
      case Pose::waits: return wait_for_room();
      case Pose::works: return work();
      default: return be_late();
    }
  }

 private:
  std::uint64_t random(std::uint64_t below) { return random_() % below; }

  client::ReadLease take_lease(const client::PayloadId& id, std::uint64_t duration_ms) {
    client::LeaseOptions options;
    options.duration_ms = duration_ms;
    options.holder = "client-" + std::to_string(part_.seed);
    auto lease = need(story_, client_.open(id, options), "lease");
    story_.leased(lease.lease());
    return lease;
  }

  client::WritablePayload take_room(client::Tier tier, client::Layout layout) {
    client::CreateOptions options;
    options.tier = tier;
    options.layout = layout;
    auto payload = need(story_, client_.create(1 + random(64 << 10), options), "create");
    story_.allocated(payload.descriptor());
    return payload;
  }

  // A block of the slab, a segment, a file.
  std::vector<client::WritablePayload> take_three() {
    std::vector<client::WritablePayload> three;
    three.push_back(take_room(client::Tier::ram, client::Layout::slab));
    three.push_back(take_room(client::Tier::ram, client::Layout::segment));
    three.push_back(take_room(client::Tier::disk, client::Layout::segment));
    return three;
  }

  [[noreturn]] void lease_and_read() {
    std::vector<client::ReadLease> leases;
    for (const client::PayloadId& id : part_.readable) {
      leases.push_back(take_lease(id, 300 + random(lease_ms_max - 300)));
    }
    const auto digest = sha256(leases.front().bytes());
    const std::uint64_t ends_ns =
        monotonic_ns() + leases.front().lease().duration_ms * 1'000'000 - 50'000'000;
    story_.posed();
    for (;;) {
      const bool same = sha256(leases.front().bytes()) == digest;
      if (!same && monotonic_ns() < ends_ns) story_.line("complaint leased bytes changed");
      ::usleep(1'000);
    }
  }

  [[noreturn]] void allocate() {
    client::CreateOptions options;
    for (int n = 0; n < 4; ++n) {
      options.layout = n % 2 == 0 ? client::Layout::slab : client::Layout::segment;
      options.tier = n == 3 ? client::Tier::disk : client::Tier::ram;
      const auto made = need(story_, client_.allocate(1 + random(64 << 10), options), "allocate");
      story_.allocated(made);
    }
    put(true);  // The next one is granted with the commit, and nobody will use it.
    story_.posed();
    for (;;) ::pause();
  }

  [[noreturn]] void write() {
    auto payloads = take_three();
    // Who goes on writing into a slab when the allocation was given up and its grace has passed
    // writes into somebody else's block. What has a name of its own is nobody else's, ever.
    const std::uint64_t ends_ns = monotonic_ns() + uncommitted_ms_max * 1'000'000;
    story_.posed();
    for (;;) {
      if (monotonic_ns() < ends_ns) fill(payloads[0].bytes(), random_());
      fill(payloads[1].bytes(), random_());
      fill(payloads[2].bytes(), random_());
      ::usleep(500);  // There are many of them.
    }
  }

  [[noreturn]] void wait_for_room() {
    story_.posed();
    client::CreateOptions options;
    options.tier = fast;
    // All of it: it is given when all others have left.
    const auto room = client_.allocate(fast_bytes, options);
    if (room.ok()) story_.allocated(*room);
    story_.line("does nothing any more");
    for (;;) ::pause();
  }

  // ---- work ----

  std::optional<client::PayloadId> put(bool ahead) {
    client::CreateOptions options;
    options.tier = random(4) == 0 ? client::Tier::disk : client::Tier::ram;
    options.layout = random(2) == 0 ? client::Layout::slab : client::Layout::segment;
    options.ahead = ahead;
    auto payload = need(story_, client_.create(1 + random(64 << 10), options), "create");
    story_.allocated(payload.descriptor());
    fill(payload.bytes(), random_());
    const client::PayloadId id = payload.id();
    story_.commits(id, sha256(payload.bytes()));
    const auto committed = payload.commit();
    if (!committed.ok()) {
      // Its time had come while it waited for a processor.
      if (committed.status().code() != Code::not_found) need(story_, committed, "commit");
      story_.gone(id);
      return std::nullopt;
    }
    story_.committed(*committed);
    return id;
  }

  [[noreturn]] void work() {
    std::vector<client::PayloadId> own;
    story_.posed();
    for (;;) {
      if (const auto id = put(random(4) == 0)) own.push_back(*id);
      if (own.empty()) continue;
      const std::size_t at = random(own.size());
      auto lease = take_lease(own[at], 300);
      if (random(2) == 0) need(story_, Result<bool>(released(lease)), "release");
      if (random(2) == 0) static_cast<void>(client_.promote(own[at], client::Tier::ram));
      if (own.size() < 4) continue;
      story_.erases(own[at]);
      const Status erased = client_.erase(own[at], true);
      if (!erased.ok() && erased.code() != Code::aborted) {
        story_.line("complaint erase: " + erased.to_string());
      }
      if (erased.ok()) story_.gone(own[at]);
      own.erase(own.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }

  Result<bool> released(client::ReadLease& lease) {
    PM_TRY(lease.release());
    return true;
  }

  // ---- late ----

  Status renew(const client::LeaseId& id) {
    payload::manager::runtime::v1::RenewLeaseRequest request;
    request.mutable_lease_id()->set_value(id.bytes.data(), id.bytes.size());
    request.set_min_lease_duration_ms(60'000);
    return client_
        .call("/payload.manager.services.v1.PayloadDataService/RenewLease",
              request.SerializeAsString())
        .status();
  }

  void be_late() {
    auto lease = take_lease(part_.readable.front(), lease_ms_max);
    auto other = take_lease(part_.readable.back(), lease_ms_max);
    auto payloads = take_three();
    for (client::WritablePayload& payload : payloads) fill(payload.bytes(), 1);
    story_.posed();
    while (!std::filesystem::exists(part_.go)) ::usleep(2'000);

    const std::size_t first = part_.pose == Pose::later ? 1 : 0;
    for (std::size_t at = first; at < payloads.size(); ++at) {
      fill(payloads[at].bytes(), random_());
    }
    story_.answered("write", {});
    story_.answered("renew", renew(lease.lease().id));
    story_.answered("release", lease.release());
    story_.answered("renew-other", renew(other.lease().id));
    for (std::size_t at = 0; at < payloads.size(); ++at) {
      const Status late = payloads[at].commit().status();
      story_.answered("commit-" + std::to_string(at), late);
    }
  }

  const Part& part_;
  StoryWriter story_;
  client::Client client_;
  std::minstd_rand random_;
};

}  // namespace

void play(const Part& part) { Player(part).play(); }

}  // namespace pm::clients
