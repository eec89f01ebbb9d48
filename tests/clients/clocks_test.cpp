#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <random>

#include "core/catalog/mutant.h"
#include "count.h"
#include "documents.h"
#include "faked_clock.h"
#include "processor_time.h"
#include "story.h"
#include "stream_wire.h"

// The host's wall clock jumps, also backwards and across restarts. Leases and waits count monotonic
// time and do not notice; times to live and pins follow the clock; nothing goes back that must not.

namespace pm::clients {
namespace {

using namespace integration;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Wall = std::chrono::system_clock::time_point;

constexpr std::uint64_t ms_ns = 1'000'000;
constexpr std::uint64_t lease_ms = 400;
constexpr std::uint64_t given_up_ms = 3'000;

// A payload whose life, or pin, ends by the clock.
struct Timed {
  wire_core::PayloadID id;
  Wall ends;
  bool is_pin = false;
  bool ended = false;
};

struct Abandoned {
  wire_core::PayloadID id;
  std::uint64_t since_ns = 0;  // Monotonic.
};

HostOptions host_options() {
  HostOptions options;
  options.orphan_grace_ms = 200;
  options.quarantine_ms = 200;
  options.limits = "uncommitted_ms_max = " + std::to_string(given_up_ms) + "\n";
  return options;
}

class Clocks {
 public:
  Clocks(std::uint32_t seed, Environment more)
      : host_(host_options()), clock_(host_.directory()), random_(seed), more_(std::move(more)) {}

  void run(long jumps) {
    if (!start()) return;
    make("stream", wire_->create(StreamWire::named("s")));
    last_ = wire_->make(wire_core::TIER_DISK);
    for (long jump = 0; jump < jumps && violations_.empty(); ++jump) {
      refresh();
      // Each of the sizes forwards and backwards; every fifth across a restart.
      static constexpr long sizes[] = {1, 30, 3'600, 86'400, 7};
      const long size = sizes[static_cast<std::size_t>(jump / 2) % std::size(sizes)];
      const long step = (jump % 2 == 0) == (random_() % 4 != 0) ? size : -size;
      if (jump % 5 == 4) {
        restart(seconds(step));
      } else {
        jump_running(seconds(step));
      }
      after_jump();
      ++jumps_;
    }
    for (const Abandoned& abandoned : abandoned_) {
      if (violations_.empty()) check_abandoned(abandoned, true);
    }
    const auto exit = host_.terminate();
    if (!exit || exit->code != 0) fail("the host does not stop well");
  }

  long jumps() const { return jumps_; }
  const std::vector<std::string>& violations() const { return violations_; }
  std::string log() const { return host_.log(); }

 private:
  void fail(const std::string& what) {
    violations_.push_back(what + " (at an offset of " + std::to_string(clock_.offset().count()) +
                          " s)");
  }
  void make(const char* what, const grpc::Status& status) {
    if (!status.ok()) fail(std::string(what) + ": " + answer_of(status));
  }

  bool start() {
    Environment environment = clock_.environment();
    environment.insert(environment.end(), more_.begin(), more_.end());
    if (!host_.start_ready(environment)) {
      fail("the host does not start");
      return false;
    }
    wire_ = std::make_unique<StreamWire>(host_);
    documents_ = std::make_unique<Documents>(*wire_);
    return true;
  }

  // New ones for those that have ended.
  void refresh() {
    std::erase_if(timed_, [](const Timed& timed) { return timed.ended; });
    static constexpr long lives_s[] = {10, 120, 10'000, 100'000};
    for (const long life_s : lives_s) {
      if (timed_.size() >= 24) return;
      Timed payload;
      wire_catalog::AllocatePayloadRequest request;
      request.set_size_bytes(100);
      request.set_preferred_tier(random_() % 2 == 0 ? wire_core::TIER_RAM : wire_core::TIER_DISK);
      request.set_ttl_ms(static_cast<std::uint64_t>(life_s) * 1'000);
      wire_core::PayloadDescriptor made;
      make("allocate", wire_->allocate(request, &made));
      payload.id = made.payload_id();
      payload.ends = clock_.now() + seconds(life_s);
      make("commit", wire_->commit(payload.id));
      timed_.push_back(payload);
      Timed pinned{wire_->make(wire_core::TIER_RAM), clock_.now() + seconds(life_s), true, false};
      wire_catalog::PinRequest pin;
      *pin.mutable_id() = pinned.id;
      pin.set_duration_ms(static_cast<std::uint64_t>(life_s) * 1'000);
      google::protobuf::Empty empty;
      make("pin", wire_->call(wire_->catalog, &wire_services::PayloadCatalogService::Stub::Pin, pin,
                              &empty));
      timed_.push_back(pinned);
    }
  }

  void restart(seconds step) {
    if (random_() % 2 == 0) {
      host_.kill();
    } else {
      const auto exit = host_.terminate();
      if (!exit || exit->code != 0) fail("the host does not stop well");
    }
    abandoned_.clear();
    clock_.set_offset(clock_.offset() + step);
    start();
  }

  // With a lease, an allocation that will be committed and one that will not.
  void jump_running(seconds step) {
    const wire_core::PayloadID leased = wire_->make(wire_core::TIER_RAM);
    const wire_core::PayloadID written = wire_->make(wire_core::TIER_RAM, false);
    abandoned_.push_back({wire_->make(wire_core::TIER_DISK, false), monotonic_ns()});
    wire_runtime::AcquireReadLeaseRequest request;
    *request.mutable_id() = leased;
    request.set_min_lease_duration_ms(lease_ms);
    const std::uint64_t before_ns = monotonic_ns();
    make("lease", wire_->lease(request));
    const std::uint64_t after_ns = monotonic_ns();

    clock_.set_offset(clock_.offset() + step);
    make("commit of what was allocated before", wire_->commit(written));
    make("delete", wire_->erase(written));
    std::string answer;
    std::uint64_t freed_ns = 0;
    do {
      sleep_ms(5);
      freed_ns = monotonic_ns();
      answer = answer_of(wire_->erase(leased));
    } while (answer == "ABORTED PAYLOAD_LEASED" && freed_ns < after_ns + 10 * lease_ms * ms_ns);
    if (answer != "OK") return fail("delete after the lease: " + answer);
    if (monotonic_ns() < before_ns + lease_ms * ms_ns) fail("a lease was freed early");
    if (freed_ns > after_ns + (lease_ms + 1'000) * ms_ns) fail("a lease was freed late");
  }

  void after_jump() {
    if (!violations_.empty()) return;
    check_orders();
    const Wall now = clock_.now();
    for (Timed& timed : timed_) check_timed(timed, now);
    std::erase_if(abandoned_,
                  [&](const Abandoned& abandoned) { return check_abandoned(abandoned, false); });
    check_rests();
  }

  // Nobody asks it for anything: what a jump leaves to do is soon done. gRPC's own timers wait by
  // calls to the kernel that the library which fakes the clock does not see, until a time of the
  // real clock; with a clock that is behind they come back at once, for ever.
  void check_rests() {
    constexpr int windows_max = 10;
    const auto used_ms = [this] {
      return processor_ms(host_.pid(), {"grpc_global_tim", "timer_manager"});
    };
    for (int window = 0; window < windows_max; ++window) {
      const std::uint64_t begin_ns = monotonic_ns();
      const std::uint64_t begin_ms = used_ms();
      sleep_ms(100);
      if (used_ms() - begin_ms < (monotonic_ns() - begin_ns) / ms_ns / 4) return;
    }
    fail("the host spins: it has no rest for a second");
  }

  bool is_pinned(const wire_core::PayloadID& id) {
    wire_catalog::ListPayloadsRequest request;
    request.set_page_size(500);
    wire_catalog::ListPayloadsResponse all;
    make("list", wire_->list(request, &all));
    for (const auto& payload : all.payloads()) {
      if (payload.id().value() == id.value()) return payload.pinned();
    }
    return false;
  }

  // The host looks at the clock at least once a second.
  void check_timed(Timed& timed, Wall now) {
    const auto left = timed.ends - now;
    if (left < seconds(4) && left > -seconds(1)) {
      timed.ended = true;  // Too close to tell.
      return;
    }
    const bool ends = left < seconds(0);
    const auto is_there = [&] {
      if (timed.is_pin) return is_pinned(timed.id);
      return answer_of(wire_->resolve(timed.id)) == "OK";
    };
    const auto as_it_should = [&] { return is_there() != ends; };
    const bool right = ends ? eventually(as_it_should, milliseconds(1'500)) : as_it_should();
    if (!right) {
      const auto left_s = std::chrono::duration_cast<seconds>(left).count();
      fail(std::string(timed.is_pin ? "a pin" : "a payload") + " with " + std::to_string(left_s) +
           " s left is " + (ends ? "still there" : "gone"));
    }
    timed.ended = ends;
  }

  // True: it is gone, as it must be from some time on, and not before.
  bool check_abandoned(const Abandoned& abandoned, bool waits) {
    constexpr std::uint64_t late_ns = (given_up_ms + 1'300) * ms_ns;
    const auto age_ns = [&] { return monotonic_ns() - abandoned.since_ns; };
    while (waits && age_ns() < late_ns) sleep_ms(20);
    const std::uint64_t begin_ns = age_ns();
    const bool is_there = answer_of(wire_->resolve(abandoned.id)) == "OK";
    if (is_there && begin_ns > late_ns) fail("an allocation is not given up");
    if (!is_there && age_ns() < given_up_ms * ms_ns) fail("an allocation is given up early");
    return !is_there;
  }

  // What only ever grows.
  void check_orders() {
    const auto made = wire_->make(wire_core::TIER_DISK);
    wire_catalog::ListPayloadsRequest request;
    request.set_page_size(1);
    wire_catalog::ListPayloadsResponse newest;
    make("list", wire_->list(request, &newest));
    if (newest.payloads_size() != 1 || newest.payloads(0).id().value() != made.value()) {
      fail("the newest payload is not the first of the list");
    }
    make("delete", wire_->erase(made));

    wire_core::PayloadDescriptor moved;
    wire_catalog::PromoteRequest up;
    *up.mutable_id() = last_;
    up.set_target_tier(++moves_ % 2 == 1 ? wire_core::TIER_RAM : wire_core::TIER_DISK);
    wire_core::PayloadDescriptor before;
    make("resolve", wire_->resolve(last_, &before));
    make("promote", wire_->promote(up, &moved));
    if (moved.version() < before.version()) fail("a revision goes back");

    wire_catalog::AppendPayloadMetadataEventResponse event;
    make("event", documents_->append(event_of(last_, "x"), &event));
    const auto event_ns = nanoseconds(event.event_time());
    if (event_ns < event_ns_) fail("an event_time goes back");
    event_ns_ = event_ns;

    wire_runtime::AppendResponse appended;
    make("append", wire_->append(StreamWire::named("s"), last_, 1, &appended));
    if (appended.first_offset() != next_offset_++) fail("an offset is not the next one");
    const auto entries = wire_->all(StreamWire::named("s"), appended.first_offset());
    if (entries.entries_size() != 1) return fail("an entry is not there");
    const auto append_ns = nanoseconds(entries.entries(0).append_time());
    if (append_ns < append_ns_) fail("an append_time goes back");
    append_ns_ = append_ns;
  }

  static std::int64_t nanoseconds(const google::protobuf::Timestamp& time) {
    return time.seconds() * 1'000'000'000 + time.nanos();
  }

  HostProcess host_;
  FakedClock clock_;
  std::minstd_rand random_;
  Environment more_;
  std::unique_ptr<StreamWire> wire_;
  std::unique_ptr<Documents> documents_;
  std::vector<Timed> timed_;
  std::vector<Abandoned> abandoned_;
  wire_core::PayloadID last_;
  std::uint64_t moves_ = 0;
  std::uint64_t next_offset_ = 0;
  std::int64_t event_ns_ = 0;
  std::int64_t append_ns_ = 0;
  long jumps_ = 0;
  std::vector<std::string> violations_;
};

// LEASE-7
TEST(clocks, that_jump_end_no_lease_and_turn_back_nothing) {
  const long count = number_from({"PM_CLOCK_JUMPS", "PM_CLOCK_JUMPS_DEFAULT"}, 20);
  const auto seed = static_cast<std::uint32_t>(number_from({"PM_SEED"}, ::getpid()));
  std::printf("PM_SEED=%u PM_CLOCK_JUMPS=%ld\n", seed, count);
  std::fflush(stdout);
  Clocks clocks(seed, {});
  clocks.run(count);
  for (const std::string& violation : clocks.violations()) ADD_FAILURE() << violation;
  std::printf("clocks: %ld jumps, %zu findings\n", clocks.jumps(), clocks.violations().size());
  EXPECT_FALSE(HasFailure()) << "PM_SEED=" << seed << "\n" << clocks.log();
}

class Mistakes : public testing::TestWithParam<std::pair<catalog::Mutant, const char*>> {};

TEST_P(Mistakes, about_time_are_found) {
  const auto mutant = static_cast<int>(GetParam().first);
  Clocks clocks(3, {{"PM_MUTANT", std::to_string(mutant)}});
  clocks.run(4);
  EXPECT_THAT(clocks.violations(), testing::Contains(testing::HasSubstr(GetParam().second)));
}

INSTANTIATE_TEST_SUITE_P(
    mutants, Mistakes,
    testing::Values(std::pair(catalog::Mutant::leases_count_wall_time, "a lease was freed"),
                    std::pair(catalog::Mutant::append_time_goes_back, "append_time goes back")),
    [](const auto& info) { return info.index == 0 ? "lease" : "append_time"; });

}  // namespace
}  // namespace pm::clients
