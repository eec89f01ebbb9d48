#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/catalog/catalog.h"

// Runs command lists through the catalog: time and the tiers' answers are the test's.

namespace pm::catalog::test {

inline constexpr TierIndex shm = 0;
inline constexpr TierIndex disk = 1;
inline constexpr TierIndex nowhere = 2;
inline constexpr std::uint64_t second_ns = 1'000'000'000;
inline constexpr std::uint64_t kib = 1024;

inline std::vector<TierFacts> three_tiers(std::uint64_t shm_bytes = 64 * kib,
                                          std::uint64_t disk_bytes = UINT64_MAX) {
  const std::uint8_t keeps = traits_keeps_bytes | traits_survives_process;
  return {
      {keeps, 20, shm_bytes, 4 * kib, disk},
      {static_cast<std::uint8_t>(keeps | traits_survives_power), 30, disk_bytes, 4 * kib, no_tier},
      {0, 50, UINT64_MAX, 1, no_tier}};
}

inline Id make_id(std::uint64_t number) {
  Id id;
  for (std::size_t index = 0; index < 8; ++index) {
    id.bytes[15 - index] = static_cast<std::uint8_t>(number >> (8 * index));
  }
  return id;
}

// A catalog with a clock, whose effects wait in a queue until the test does them.
class Machine {
 public:
  explicit Machine(std::vector<TierFacts> tiers = three_tiers(), Limits limits = {},
                   std::uint64_t life = 1)
      : catalog(std::make_unique<Catalog>(limits, std::move(tiers), life)), epoch(life) {}

  void apply(const Command& command) {
    Changes changes;
    catalog->apply(command, now, changes);
    for (Reply& reply : changes.replies) {
      const Ticket ticket = reply.ticket;
      replies[ticket] = std::move(reply);
    }
    for (Effect& effect : changes.effects) effects.push_back(std::move(effect));
    for (Record& record : changes.records) records.push_back(std::move(record));
    for (const Event& event : changes.events) events.push_back(event);
    for (const Question& question : changes.questions) questions.push_back(question);
    last_records = changes.records.size();
    last_power = changes.power;
  }

  // Applies a client's command and gives its reply, if it has come.
  template <typename ClientCommand>
  std::optional<Reply> call(ClientCommand command) {
    command.ticket = ++ticket;
    apply(command);
    return reply_to(ticket);
  }
  std::optional<Reply> reply_to(Ticket wanted) const {
    const auto found = replies.find(wanted);
    return found == replies.end() ? std::nullopt : std::optional(found->second);
  }

  // Does the oldest effect as a tier in good health would, or with the outcome given.
  void do_effect(const Outcome& outcome = {}) {
    const Effect effect = std::move(effects.front());
    effects.pop_front();
    if (const auto* allocation = std::get_if<AllocateEffect>(&effect)) {
      apply(Allocated{allocation->operation, outcome, {}});
    } else if (const auto* seal = std::get_if<SealEffect>(&effect)) {
      apply(sealed_as_demanded(*seal, outcome));
    } else if (const auto* move = std::get_if<MoveEffect>(&effect)) {
      Moved moved{move->operation, outcome, {}, {}, false};
      moved.checksum.kind = ChecksumKind::xxh3_128;
      apply(moved);
    } else if (const auto* publish = std::get_if<PublishEffect>(&effect)) {
      Publish answer;
      answer.place.payload = publish->object.payload;
      answer.place.generation = publish->object.generation;
      answer.place.length = publish->object.length;
      apply(answer);
    } else {
      apply(Removed{std::get<RemoveEffect>(effect).object.generation, outcome});
    }
  }
  // The bytes have the checksum demanded, and are as long as said.
  static Sealed sealed_as_demanded(const SealEffect& seal, const Outcome& outcome = {}) {
    Sealed report{.operation = seal.operation, .outcome = outcome};
    if (!outcome.ok()) return report;
    report.checksum = seal.checksum.checksum;
    if (seal.length != seal.object.length) report.length = seal.length;
    return report;
  }
  void do_effects() {
    while (!effects.empty()) do_effect();
  }
  void pass(std::uint64_t ns) {
    now.mono_ns += ns;
    now.wall_ns += static_cast<std::int64_t>(ns);
    apply(Tick{});
  }

  // ---- shortcuts that do their effects ----

  Reply allocate(std::uint64_t number, std::uint64_t size, TierIndex tier = shm,
                 std::uint64_t ttl_ns = 0, Retention retention = {}) {
    Allocate command;
    command.id = make_id(number);
    command.size_bytes = size;
    command.tier = tier;
    command.ttl_ns = ttl_ns;
    command.retention = retention;
    return finish(command);
  }
  Reply commit(std::uint64_t number) {
    Commit command;
    command.id = make_id(number);
    return finish(command);
  }
  Reply put(std::uint64_t number, std::uint64_t size, TierIndex tier = shm,
            std::uint64_t ttl_ns = 0, Retention retention = {}) {
    const Reply reply = allocate(number, size, tier, ttl_ns, retention);
    if (reply.reason != Reason::none) return reply;
    return commit(number);
  }
  Reply erase(std::uint64_t number, bool force = false) {
    Delete command;
    command.id = make_id(number);
    command.force = force;
    return finish(command);
  }
  Reply spill(std::uint64_t number, TierIndex tier = no_tier) {
    Spill command;
    command.id = make_id(number);
    command.tier = tier;
    return finish(command);
  }
  Reply promote(std::uint64_t number, TierIndex tier = shm, bool drop_source = false) {
    Promote command;
    command.id = make_id(number);
    command.tier = tier;
    command.drop_source = drop_source;
    return finish(command);
  }
  Reply lease(std::uint64_t number, std::uint64_t lease_number, std::uint64_t duration_ns = 0,
              TierIndex min_tier = no_tier, bool best_effort = false) {
    AcquireLease command;
    command.id = make_id(number);
    command.lease = make_id(lease_number);
    command.duration_ns = duration_ns;
    command.min_tier = min_tier;
    command.best_effort = best_effort;
    return finish(command);
  }
  Reply label(std::uint64_t number, Labels set, std::vector<std::string> remove = {}) {
    UpdateLabels command;
    command.id = make_id(number);
    command.set = std::move(set);
    command.remove = std::move(remove);
    return finish(command);
  }
  void release(std::uint64_t lease_number) {
    ReleaseLease command;
    command.lease = make_id(lease_number);
    call(command);
  }
  template <typename ClientCommand>
  Reply finish(ClientCommand command) {
    call(std::move(command));
    const Ticket mine = ticket;
    do_effects();
    const auto reply = reply_to(mine);
    EXPECT_TRUE(reply.has_value()) << "no reply";
    return reply.value_or(Reply{});
  }

  View see(std::uint64_t number) const {
    View view;
    std::uint64_t lsn = 0;
    EXPECT_EQ(catalog->resolve(make_id(number), now, view, lsn), Reason::none);
    return view;
  }
  Reason look(std::uint64_t number) const {
    View view;
    std::uint64_t lsn = 0;
    return catalog->resolve(make_id(number), now, view, lsn);
  }
  std::uint64_t charged(TierIndex tier) const {
    return catalog->counts().tiers[tier].charged_bytes;
  }

  // A new life from what was recorded, as the ledger would do it.
  Machine restart(std::vector<TierFacts> tiers = three_tiers(), Limits limits = {}) const {
    Machine next(std::move(tiers), limits, epoch + 1);
    next.now = now;
    std::map<std::vector<std::uint8_t>, PayloadRecord> payloads;
    std::map<std::vector<std::uint8_t>, RequestRecord> requests;
    for (const Record& record : records) {
      if (const auto* payload = std::get_if<PayloadRecord>(&record)) {
        const std::vector<std::uint8_t> key(payload->id.bytes.begin(), payload->id.bytes.end());
        payloads.erase(key);
        if (!payload->erased) payloads.emplace(key, *payload);
      } else if (const auto* request = std::get_if<RequestRecord>(&record)) {
        const std::vector<std::uint8_t> key(request->key.bytes.begin(), request->key.bytes.end());
        requests.erase(key);
        if (!request->erased) requests.emplace(key, *request);
      } else if (const auto* tier = std::get_if<TierRecord>(&record)) {
        next.catalog->restore(*tier);
      }
    }
    for (const auto& [key, payload] : payloads) next.catalog->restore(payload);
    for (const auto& [key, request] : requests) next.catalog->restore(request);
    next.catalog->end_restore();
    return next;
  }

  Clocks now{1'000 * second_ns, 1'700'000'000LL * 1'000'000'000};
  std::unique_ptr<Catalog> catalog;
  std::uint64_t epoch;
  std::map<Ticket, Reply> replies;
  std::deque<Effect> effects;
  std::vector<Record> records;
  std::vector<Event> events;
  std::deque<Question> questions;
  std::size_t last_records = 0;
  bool last_power = false;
  Ticket ticket = 0;
};

}  // namespace pm::catalog::test
