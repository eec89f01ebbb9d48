#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "content.h"
#include "watcher.h"

// Watch: changes as they happen, after reconnects, and what it refuses.

namespace pm::integration {
namespace {

class Watch : public testing::TestWithParam<const char*> {
 protected:
  Watch() : host_(host_options()) {}

  void SetUp() override {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    wire_ = std::make_unique<Wire>(host_);
  }

  static HostOptions host_options() {
    HostOptions options;
    options.repository = GetParam();
    options.shm_capacity_bytes = 1 << 20;
    return options;
  }

  static wire_catalog::WatchRequest request_of(const std::string& token) {
    wire_catalog::WatchRequest request;
    request.set_resume_token(token);
    return request;
  }

  std::string spill(const wire_core::PayloadID& id, int tier) {
    wire_catalog::SpillRequest request;
    *request.add_ids() = id;
    request.set_target_tier(static_cast<wire_core::Tier>(tier));
    return answer_of(wire_->spill(request));
  }

  // Lets so many changes pass that no watcher is told: moves that are refused.
  void pass_changes(int count) {
    const auto on_disk = wire_->make(wire_core::TIER_DISK);
    wire_catalog::SpillRequest request;
    for (int n = 0; n < 256; ++n) *request.add_ids() = on_disk;
    request.set_target_tier(wire_core::TIER_RAM);
    for (int passed = 0; passed < count; passed += 256) {
      wire_catalog::SpillResponse response;
      ASSERT_TRUE(wire_
                      ->call(wire_->catalog, &wire_services::PayloadCatalogService::Stub::Spill,
                             request, &response)
                      .ok());
    }
  }

  HostProcess host_;
  std::unique_ptr<Wire> wire_;
};

// WATCH-1
TEST_P(Watch, tells_each_change_once_and_in_order) {
  const auto before = wire_->make(wire_core::TIER_RAM);
  wire_catalog::WatchRequest request;
  for (int kind = wire_catalog::CHANGE_KIND_ALLOCATED; kind <= wire_catalog::CHANGE_KIND_UPDATED;
       ++kind) {
    request.add_kinds(static_cast<wire_catalog::ChangeKind>(kind));
  }
  const Watcher watcher(*wire_, request);
  EXPECT_EQ(watcher.wait_text(1), "SYNC");
  const auto id = wire_->make(wire_core::TIER_RAM);
  EXPECT_EQ(spill(id, 3), "OK");
  wire_runtime::AcquireReadLeaseRequest lease;
  *lease.mutable_id() = id;
  lease.set_min_tier(wire_core::TIER_RAM);
  wire_runtime::AcquireReadLeaseResponse held;
  EXPECT_EQ(answer_of(wire_->lease(lease, &held)), "OK");
  EXPECT_EQ(answer_of(wire_->release(held.lease_id())), "OK");
  EXPECT_EQ(answer_of(wire_->erase(id)), "OK");
  EXPECT_EQ(spill(before, 5), "OK");
  EXPECT_EQ(watcher.wait_text(8),
            "SYNC, ALLOCATED 2, COMMITTED 2, MOVED 2>3, MOVED 3>2, LEASED 2, DELETED 2>0, "
            "DELETED 2>0");
  std::uint64_t version = 0;
  for (const auto& event : watcher.wait(7)) {
    if (event.id().value() != id.value()) continue;
    EXPECT_GE(event.version(), version);
    version = event.version();
    EXPECT_EQ(event.size_bytes(), 5'000u);
    EXPECT_GT(event.time().seconds(), 1'700'000'000);
  }
  EXPECT_EQ(version, 4u);
}

// WATCH-1
TEST_P(Watch, tells_of_evictions_expiries_and_what_was_given_up) {
  const Watcher watcher(*wire_);
  ASSERT_EQ(watcher.wait_text(1), "SYNC");
  wire_catalog::AllocatePayloadRequest request;
  request.set_size_bytes(600'000);
  request.set_preferred_tier(wire_core::TIER_RAM);
  wire_core::PayloadDescriptor first;
  ASSERT_EQ(answer_of(wire_->allocate(request, &first)), "OK");
  ASSERT_EQ(answer_of(wire_->commit(first.payload_id())), "OK");
  request.set_ttl_ms(300);
  wire_core::PayloadDescriptor second;
  ASSERT_EQ(answer_of(wire_->allocate(request, &second)), "OK") << "the first leaves for it";
  EXPECT_EQ(watcher.wait_text(6),
            "SYNC, ALLOCATED 2, COMMITTED 2, EVICTED 2>3, ALLOCATED 2, DELETED 2>0")
      << "an allocation whose time ended is deleted";
  request.set_size_bytes(5'000);
  ASSERT_EQ(answer_of(wire_->allocate(request, &second)), "OK");
  ASSERT_EQ(answer_of(wire_->commit(second.payload_id())), "OK");
  EXPECT_EQ(watcher.wait(9).back().kind(), wire_catalog::CHANGE_KIND_EXPIRED);
}

// WATCH-2
TEST_P(Watch, tells_only_what_was_asked_for) {
  const auto id = wire_->make(wire_core::TIER_RAM);
  wire_catalog::WatchRequest request;
  *request.mutable_id() = id;
  const Watcher of_one(*wire_, request);
  request.clear_id();
  request.add_kinds(wire_catalog::CHANGE_KIND_LEASED);
  request.add_kinds(wire_catalog::CHANGE_KIND_DELETED);
  const Watcher of_kinds(*wire_, request);
  ASSERT_EQ(of_one.wait_text(1), "SYNC");
  ASSERT_EQ(of_kinds.wait_text(1), "SYNC");
  const auto other = wire_->make(wire_core::TIER_RAM);
  wire_runtime::AcquireReadLeaseRequest lease;
  *lease.mutable_id() = id;
  EXPECT_EQ(answer_of(wire_->lease(lease)), "OK");
  EXPECT_EQ(answer_of(wire_->erase(other)), "OK");
  EXPECT_EQ(answer_of(wire_->erase(id, true)), "OK");
  EXPECT_EQ(of_one.wait_text(2), "SYNC, DELETED 2>0") << "leases only on demand";
  EXPECT_EQ(of_kinds.wait_text(4), "SYNC, LEASED 2, DELETED 2>0, DELETED 2>0");
}

// WATCH-3
TEST_P(Watch, a_repeat_is_told_once) {
  const Watcher watcher(*wire_);
  ASSERT_EQ(watcher.wait_text(1), "SYNC");
  wire_catalog::AllocatePayloadRequest request;
  request.set_size_bytes(5'000);
  request.set_preferred_tier(wire_core::TIER_RAM);
  request.set_request_id("once");
  wire_core::PayloadDescriptor descriptor;
  for (int n = 0; n < 3; ++n) {
    ASSERT_EQ(answer_of(wire_->allocate(request, &descriptor)), "OK");
    ASSERT_EQ(answer_of(wire_->commit(descriptor.payload_id(), "commit once")), "OK");
  }
  ASSERT_EQ(answer_of(wire_->erase(descriptor.payload_id())), "OK");
  EXPECT_EQ(watcher.wait_text(4), "SYNC, ALLOCATED 2, COMMITTED 2, DELETED 2>0");
}

// ---- who follows a list ----

// What a client knows that listed and watched.
class Follower {
 public:
  using State = std::map<std::string, std::pair<std::uint64_t, int>>;  // id -> version, tier

  explicit Follower(Wire& wire) : wire_(wire), watcher_(std::make_unique<Watcher>(wire)) {
    EXPECT_EQ(watcher_->wait_text(1).substr(0, 4), "SYNC");
    state_ = list();
  }

  State list() {
    State state;
    wire_catalog::ListPayloadsRequest request;
    request.set_page_size(7);
    while (true) {
      wire_catalog::ListPayloadsResponse page;
      EXPECT_EQ(answer_of(wire_.list(request, &page)), "OK");
      for (const auto& row : page.payloads()) {
        state[row.id().value()] = {row.version(), row.tier()};
      }
      if (page.next_page_token().empty()) return state;
      request.set_page_token(page.next_page_token());
    }
  }

  void reconnect() {
    watcher_->stop();
    take_in();
    wire_catalog::WatchRequest request;
    request.set_resume_token(watcher_->token());
    watcher_ = std::make_unique<Watcher>(wire_, request);
    taken_ = 0;
    ++reconnects_;
  }

  const State& take_in() {
    const auto events = watcher_->wait(taken_);
    for (; taken_ < events.size(); ++taken_) {
      const auto& event = events[taken_];
      if (event.kind() == wire_catalog::CHANGE_KIND_SYNC) continue;
      EXPECT_TRUE(seen_.insert(event.resume_token()).second) << "told twice";
      const bool ends = event.kind() == wire_catalog::CHANGE_KIND_DELETED ||
                        event.kind() == wire_catalog::CHANGE_KIND_EXPIRED ||
                        (event.kind() == wire_catalog::CHANGE_KIND_EVICTED && event.tier() == 0);
      if (ends) {
        state_.erase(event.id().value());
        continue;
      }
      auto& known = state_[event.id().value()];
      if (event.version() > known.first) known = {event.version(), event.tier()};
    }
    return state_;
  }
  std::size_t events() const { return seen_.size(); }

 private:
  Wire& wire_;
  std::unique_ptr<Watcher> watcher_;
  std::size_t taken_ = 0;
  int reconnects_ = 0;
  std::set<std::string> seen_;
  State state_;
};

// One client that does anything, with room for a fifth of it in memory.
void write(const HostProcess& host, unsigned seed, const std::atomic<bool>& stop) {
  client::Client client = host.client();
  std::mt19937 random(seed);
  std::vector<client::PayloadId> mine;
  while (!stop) {
    const auto pick = [&](std::size_t bound) { return random() % bound; };
    if (mine.size() < 20 || pick(4) == 0) {
      const auto stored = put(client, 1 + pick(40'000), pick(1'000),
                              {.tier = pick(3) == 0 ? client::Tier::disk : client::Tier::ram,
                               .ttl_ms = pick(4) == 0 ? 200u : 0u});
      if (stored.ok()) mine.push_back(stored->descriptor.id);
      continue;
    }
    const std::size_t place = pick(mine.size());
    const client::PayloadId id = mine[place];
    switch (pick(4)) {
      case 0: (void)client.promote(id, client::Tier::ram); break;
      case 1: (void)client.spill(std::span(&id, 1), {.to = client::Tier::disk}); break;
      case 2: (void)client.lease(id, {.duration_ms = 20}); break;
      default:
        (void)client.erase(id, true);
        mine[place] = mine.back();
        mine.pop_back();
    }
  }
}

// WATCH-4
TEST_P(Watch, who_lists_and_watches_has_exactly_the_state_also_across_reconnects) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (unsigned n = 0; n < 4; ++n) {
    writers.emplace_back([&, n] { write(host_, n + 1, stop); });
  }
  sleep_ms(300);
  Follower follower(*wire_);
  for (int round = 0; round < 8; ++round) {
    sleep_ms(250);
    follower.reconnect();
  }
  stop = true;
  for (std::thread& writer : writers) writer.join();
  EXPECT_TRUE(eventually([&] { return follower.take_in() == follower.list(); }))
      << follower.take_in().size() << " followed, " << follower.list().size() << " listed";
  EXPECT_GT(follower.events(), 200u);
  EXPECT_GT(follower.list().size(), 10u);
}

// WATCH-5
TEST_P(Watch, what_was_told_survives_a_kill) {
  if (host_.options().repository != "sqlite") GTEST_SKIP() << "nothing of memory survives";
  wire_catalog::WatchRequest request;
  request.add_kinds(wire_catalog::CHANGE_KIND_COMMITTED);
  const Watcher watcher(*wire_, request);
  ASSERT_EQ(watcher.wait_text(1), "SYNC");
  std::vector<std::thread> writers;
  for (int n = 0; n < 4; ++n) {
    writers.emplace_back([&] {
      client::Client client = host_.client(2'000);
      while (put(client, 500, 1).ok()) {
      }
    });
  }
  watcher.wait(200);
  host_.kill();
  for (std::thread& writer : writers) writer.join();
  const auto told = watcher.wait(SIZE_MAX);
  EXPECT_GE(told.size(), 200u);
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  Wire later(host_);
  for (const auto& event : told) {
    if (event.kind() == wire_catalog::CHANGE_KIND_SYNC) continue;
    ASSERT_EQ(answer_of(later.resolve(event.id())), "OK");
  }
}

// ---- tokens ----

// WATCH-6
TEST_P(Watch, a_token_of_another_life_is_too_old) {
  std::string token;
  {
    const Watcher watcher(*wire_);
    ASSERT_EQ(watcher.wait_text(1), "SYNC");
    token = watcher.token();
  }
  EXPECT_EQ(Watcher(*wire_, request_of(token)).wait_text(1), "SYNC");
  host_.kill();
  // What memory knew of the disk is gone; another instance does not take it over.
  if (host_.options().repository == "memory") std::filesystem::remove_all(host_.disk_root());
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  Wire later(host_);
  EXPECT_EQ(Watcher(later, request_of(token)).answer(), "OUT_OF_RANGE WATCH_TOO_OLD");
  EXPECT_EQ(Watcher(later).wait_text(1), "SYNC") << "and it watches anew";
}

// WATCH-6
TEST_P(Watch, a_token_older_than_what_is_remembered_is_too_old) {
  std::string token;
  {
    const Watcher watcher(*wire_);
    ASSERT_EQ(watcher.wait_text(1), "SYNC");
    token = watcher.token();
  }
  const auto id = wire_->make(wire_core::TIER_RAM);
  pass_changes(30'000);
  EXPECT_EQ(Watcher(*wire_, request_of(token)).wait_text(3).substr(0, 30),
            "SYNC, ALLOCATED 2, COMMITTED 2");
  pass_changes(36'000);
  EXPECT_EQ(Watcher(*wire_, request_of(token)).answer(), "OUT_OF_RANGE WATCH_TOO_OLD");
}

// WATCH-7
TEST_P(Watch, garbage_is_no_token) {
  std::string token;
  {
    const Watcher watcher(*wire_);
    ASSERT_EQ(watcher.wait_text(1), "SYNC");
    token = watcher.token();
  }
  std::string flipped = token;
  flipped[10] = static_cast<char>(flipped[10] ^ 1);
  for (const std::string& garbage : {std::string("garbage"), token + "x", token.substr(1), flipped,
                                     std::string(token.size(), '\0'), std::string(100'000, 'x')}) {
    EXPECT_EQ(Watcher(*wire_, request_of(garbage)).answer(),
              "INVALID_ARGUMENT RESUME_TOKEN_INVALID");
  }
  wire_catalog::WatchRequest request;
  request.mutable_id()->set_value("short");
  EXPECT_EQ(Watcher(*wire_, request).answer(), "INVALID_ARGUMENT PAYLOAD_ID_MALFORMED");
  request.Clear();
  request.add_kinds(static_cast<wire_catalog::ChangeKind>(99));
  EXPECT_EQ(Watcher(*wire_, request).answer(), "INVALID_ARGUMENT CHANGE_KIND_UNKNOWN");
}

// ---- slow, quiet and many ----

// WATCH-8
TEST_P(Watch, one_that_does_not_read_is_too_old_and_holds_nobody_up) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  // A transport that takes little ahead of its reader.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 4096);
  const auto channel =
      grpc::CreateCustomChannel(host_.address(), grpc::InsecureChannelCredentials(), arguments);
  const auto stub = wire_services::PayloadCatalogService::NewStub(channel);
  const auto slow = stub->Watch(&context, wire_catalog::WatchRequest());
  wire_catalog::WatchResponse event;
  ASSERT_TRUE(slow->Read(&event));
  const Watcher other(*wire_);
  ASSERT_EQ(other.wait_text(1), "SYNC");
  std::vector<std::thread> writers;
  for (int n = 0; n < 4; ++n) {
    writers.emplace_back([&] {
      for (int round = 0; round < 1'000; ++round) {
        wire_->erase(wire_->make(wire_core::TIER_RAM, false));
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(other.wait(8'001).size(), 8'001u);
  pass_changes(66'000);
  std::size_t read = 1;
  while (slow->Read(&event)) ++read;
  EXPECT_EQ(answer_of(slow->Finish()), "OUT_OF_RANGE WATCH_TOO_OLD");
  EXPECT_LT(read, 8'001u);
}

// WATCH-9
TEST_P(Watch, a_quiet_one_never_grows_too_old) {
  const auto id = wire_->make(wire_core::TIER_RAM);
  wire_catalog::WatchRequest request;
  *request.mutable_id() = id;
  Watcher watcher(*wire_, request);
  ASSERT_EQ(watcher.wait_text(1), "SYNC");
  const std::string first = watcher.token();
  pass_changes(100'000);
  EXPECT_EQ(answer_of(wire_->erase(id)), "OK");
  const bool ended = eventually(
      [&] { return watcher.wait(1).back().kind() == wire_catalog::CHANGE_KIND_DELETED; });
  EXPECT_TRUE(ended) << watcher.wait_text(1);
  const auto events = watcher.wait(1);
  ASSERT_GE(events.size(), 3u) << "its token was not brought further";
  EXPECT_LE(events.size(), 6u);
  watcher.stop();
  EXPECT_EQ(Watcher(*wire_, request_of(first)).answer(), "OUT_OF_RANGE WATCH_TOO_OLD");
  EXPECT_EQ(Watcher(*wire_, request_of(events[events.size() - 2].resume_token())).wait_text(2),
            "SYNC, DELETED 2>0");
}

// WATCH-10
TEST_P(Watch, idle_ones_add_no_thread) {
  const auto threads = [&] {
    return std::distance(
        std::filesystem::directory_iterator("/proc/" + std::to_string(host_.pid()) + "/task"),
        std::filesystem::directory_iterator());
  };
  const auto id = wire_->make(wire_core::TIER_RAM);
  {
    const Watcher warm(*wire_);
    warm.wait(1);
  }
  const auto before = threads();
  constexpr int few = 8;  // Of the transport's own.
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<wire_catalog::WatchResponse>>> readers;
  for (int n = 0; n < 1'000; ++n) {
    wire_catalog::WatchRequest request;
    if (n % 2 == 0) *request.mutable_id() = id;
    readers.push_back(wire_->catalog->Watch(
        contexts.emplace_back(std::make_unique<grpc::ClientContext>()).get(), request));
  }
  wire_catalog::WatchResponse event;
  for (const auto& reader : readers) ASSERT_TRUE(reader->Read(&event));
  EXPECT_LE(threads(), before + few);
  EXPECT_EQ(answer_of(wire_->erase(id)), "OK");
  for (const auto& reader : readers) {
    ASSERT_TRUE(reader->Read(&event));
    EXPECT_EQ(event.kind(), wire_catalog::CHANGE_KIND_DELETED);
  }
  EXPECT_LE(threads(), before + few);
  for (const auto& context : contexts) context->TryCancel();
  for (const auto& reader : readers) {
    while (reader->Read(&event)) {
    }
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
}

TEST_P(Watch, ends_when_the_host_stops) {
  Watcher watcher(*wire_);
  ASSERT_EQ(watcher.wait_text(1), "SYNC");
  const auto exit = host_.terminate();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 0);
  EXPECT_EQ(watcher.answer(), "UNAVAILABLE SHUTTING_DOWN");
}

INSTANTIATE_TEST_SUITE_P(repositories, Watch, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
