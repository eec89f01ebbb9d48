#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "harness.h"

// Random commands, outcomes and time; after each step what the catalog says of itself is compared
// with a recount from its own answers and from the objects that its effects made.

namespace pm::catalog::test {
namespace {

class RandomRun {
 public:
  // With `circles`, payloads name spill targets of their own, also faster ones.
  RandomRun(std::uint64_t seed, bool circles)
      : random_(seed), circles_(circles), machine_(tiers(), limits()) {}

  void run(int steps) {
    for (int step = 0; step < steps; ++step) {
      act();
      check();
      if (testing::Test::HasFatalFailure()) return;
    }
    settle();
  }

 private:
  static std::vector<TierFacts> tiers() {
    std::vector<TierFacts> facts = three_tiers(96 * kib, 160 * kib);
    facts[disk].spill_to = nowhere;
    facts[disk].takes_uploads = true;
    return facts;
  }
  static Limits limits() {
    Limits limits;
    limits.wait_max_ns = 5 * second_ns;
    limits.uncommitted_max_ns = 20 * second_ns;
    limits.orphan_grace_ns = 3 * second_ns;
    return limits;
  }

  std::uint64_t pick(std::uint64_t bound) { return random_() % bound; }

  void act() {
    const std::uint64_t kind = pick(16);
    if (kind < 7 || kind == 15) {
      change_a_payload(kind);
    } else {
      hold_or_pass(kind);
    }
    change_labels();
    for (std::uint64_t count = pick(3); count > 0 && !machine_.effects.empty(); --count) {
      do_some_effect();
    }
  }

  void change_labels() {
    if (pick(12) == 0) {
      UpdateLabels command;
      command.id = some_id();
      command.set = some_labels();
      if (pick(2) == 0) command.remove = {"x", "y"};
      for (const Label& label : command.set) {
        if (label.key == "x" || label.key == "y") command.remove.clear();
      }
      machine_.call(command);
    }
    if (pick(200) == 0) machine_.apply(IndexSizes{});
  }

  void change_a_payload(std::uint64_t kind) {
    switch (kind) {
      case 0:
      case 1: {
        Allocate command;
        command.id = make_id(next_++);
        command.size_bytes = 1 + pick(24 * kib);
        command.tier = static_cast<TierIndex>(pick(2));
        if (pick(3) == 0) command.ttl_ns = (1 + pick(20)) * second_ns;
        command.retention.priority = static_cast<Priority>(1 + pick(4));
        command.retention.require_durable = pick(5) == 0;
        if (pick(3) == 0) command.labels = std::make_shared<const Labels>(some_labels());
        if (circles_ && pick(3) == 0) {
          command.retention.spill_target = static_cast<TierIndex>(pick(3));
        }
        machine_.call(command);
        break;
      }
      case 2:
      case 3: {
        Commit command;
        command.id = some_id();
        command.checksum = some_demand();
        machine_.call(command);
        break;
      }
      case 15: {
        Import command;
        command.id = some_id();
        command.size_bytes = pick(2) == 0 ? 0 : 1 + pick(24 * kib);
        command.checksum = some_demand();
        machine_.call(command);
        break;
      }
      case 4: {
        Delete command;
        command.id = some_id();
        command.force = pick(2) == 0;
        command.only_uncommitted = pick(4) == 0;
        machine_.call(command);
        break;
      }
      case 5: {
        Promote command;
        command.id = some_id();
        command.tier = static_cast<TierIndex>(pick(2));
        command.drop_source = pick(3) == 0;
        command.best_effort = pick(3) == 0;
        command.only_up = command.best_effort && pick(2) == 0;
        machine_.call(command);
        break;
      }
      case 6: {
        Spill command;
        command.id = some_id();
        command.tier = pick(4) == 0 ? no_tier : static_cast<TierIndex>(pick(3));
        command.wait_for_leases = pick(2) == 0;
        command.best_effort = pick(3) == 0;
        machine_.call(command);
        break;
      }
      default: break;
    }
  }

  // Leases, pins, time and those who go away.
  void hold_or_pass(std::uint64_t kind) {
    switch (kind) {
      case 7: {
        AcquireLease command;
        command.id = some_id();
        command.lease = make_id(1'000'000 + leases_++);
        command.min_tier = pick(3) == 0 ? shm : no_tier;
        command.duration_ns = (1 + pick(10)) * second_ns;
        if (pick(2) == 0) command.holder = std::string(1, static_cast<char>('a' + pick(3)));
        machine_.call(command);
        break;
      }
      case 12: {
        RenewLease command;
        command.lease = make_id(1'000'000 + pick(leases_ + 1));
        command.duration_ns = (1 + pick(10)) * second_ns;
        machine_.call(command);
        break;
      }
      case 13: {
        Pin command;
        command.id = some_id();
        if (pick(2) == 0) command.duration_ns = (1 + pick(10)) * second_ns;
        machine_.call(command);
        break;
      }
      case 14: {
        Unpin command;
        command.id = some_id();
        machine_.call(command);
        break;
      }
      case 8: {
        ReleaseLease command;
        command.lease = make_id(1'000'000 + pick(leases_ + 1));
        machine_.call(command);
        break;
      }
      case 9: machine_.pass(pick(2 * second_ns)); break;
      case 10: machine_.apply(Cancel{1 + pick(machine_.ticket + 1)}); break;
      default: break;
    }
  }

  Labels some_labels() {
    Labels labels;
    for (const char* key : {"a", "b", "c"}) {
      if (pick(3) == 0) labels.push_back({key, std::to_string(pick(3))});
    }
    if (pick(4) == 0) labels.push_back({pick(2) == 0 ? "x" : "y", ""});
    return labels;
  }

  ChecksumDemand some_demand() {
    ChecksumDemand demand;
    demand.checksum.kind = static_cast<ChecksumKind>(pick(4));
    demand.has_value = demand.checksum.kind != ChecksumKind::none && pick(2) == 0;
    for (std::size_t index = 0; index < demand.checksum.length(); ++index) {
      demand.checksum.bytes[index] = static_cast<std::uint8_t>(random_());
    }
    return demand;
  }

  Id some_id() { return make_id(next_ > 12 ? next_ - 1 - pick(12) : 1 + pick(next_)); }

  // Effects end in any order, one in eight of them badly.
  void do_some_effect() {
    std::swap(machine_.effects.front(), machine_.effects[pick(machine_.effects.size())]);
    static constexpr std::int32_t codes[] = {8, 9, 13, 14};
    const bool fails = pick(8) == 0;
    const Outcome outcome = fails ? Outcome{codes[pick(4)], "fault"} : Outcome{};
    const Effect effect = machine_.effects.front();
    if (!fails) note(effect);
    const auto* seal = std::get_if<SealEffect>(&effect);
    if (seal != nullptr && fails && seal->checksum.has_value && pick(2) == 0) {
      machine_.effects.pop_front();
      machine_.apply(Sealed{.operation = seal->operation, .outcome = {}, .checksum_differs = true});
      return;
    }
    machine_.do_effect(outcome);
  }

  // Keeps the set of objects that exist on each tier, as the tiers would.
  void note(const Effect& effect) {
    if (const auto* allocation = std::get_if<AllocateEffect>(&effect)) {
      ASSERT_TRUE(objects_.emplace(allocation->object.generation, allocation->object).second);
    } else if (const auto* move = std::get_if<MoveEffect>(&effect)) {
      ASSERT_TRUE(objects_.contains(move->source.generation)) << "reads a copy that is not there";
      ASSERT_TRUE(objects_.emplace(move->target.generation, move->target).second);
    } else if (const auto* removal = std::get_if<RemoveEffect>(&effect)) {
      ASSERT_EQ(objects_.erase(removal->object.generation), 1u) << "removes what is not there";
    } else {
      const auto& seal = std::get<SealEffect>(effect);
      ASSERT_TRUE(objects_.contains(seal.object.generation));
      objects_[seal.object.generation].length = seal.length;
    }
  }

  void check() {
    const Counts counts = machine_.catalog->counts();
    const std::vector<TierFacts> facts = tiers();
    std::vector<std::uint64_t> held(facts.size());
    for (const auto& [generation, object] : objects_) {
      held[object.tier] += (object.length + 4 * kib - 1) / (4 * kib) * (4 * kib);
    }
    for (std::size_t tier = 0; tier < facts.size(); ++tier) {
      ASSERT_LE(counts.tiers[tier].charged_bytes, facts[tier].capacity_bytes);
      ASSERT_GE(counts.tiers[tier].charged_bytes, held[tier]) << "a byte is not accounted for";
    }
    std::vector<View> views;
    std::uint64_t lsn = 0;
    machine_.catalog->list(UINT64_MAX, no_tier, 100'000, views, lsn);
    std::vector<std::uint64_t> payloads(facts.size());
    std::uint64_t pinned = 0;
    for (const View& view : views) {
      if (view.additions.pinned) ++pinned;
      std::vector<LeaseView> leases;
      OrderedIndex::Entry at{0, no_slot};
      machine_.catalog->list_leases(view.id, 1'000'000, at, machine_.now, leases);
      if (view.expires_at_ns == 0) {
        ASSERT_EQ(leases.size(), view.leases);
      }
      if (view.phase == Phase::lost) continue;
      ++payloads[view.tier];
      ASSERT_TRUE(objects_.contains(view.generation)) << "a descriptor without bytes";
      ASSERT_EQ(objects_.at(view.generation).tier, view.tier);
      ASSERT_EQ(objects_.at(view.generation).length, view.size_bytes);
    }
    ASSERT_EQ(counts.pinned, pinned);
    for (std::size_t tier = 0; tier < facts.size(); ++tier) {
      ASSERT_EQ(counts.tiers[tier].payloads, payloads[tier]);
    }
    check_events(views, counts);
    check_lists(views);
  }

  std::vector<std::uint64_t> walk(const ListWalk& walk) const {
    std::vector<Listed> found;
    machine_.catalog->walk(walk, std::nullopt, 100'000, found);
    std::vector<std::uint64_t> orders;
    for (const Listed& listed : found) orders.push_back(listed.view.order);
    return orders;
  }

  // What the indexes of labels and sizes hold, against all payloads, newest first.
  void check_lists(std::vector<View>& views) const {
    std::map<std::pair<std::string, std::string>, std::vector<std::uint64_t>> labelled;
    std::map<std::string, std::vector<std::uint64_t>> keyed;
    for (const View& view : views) {
      if (view.additions.labels == nullptr) continue;
      for (const Label& label : *view.additions.labels) {
        labelled[{label.key, label.value}].push_back(view.order);
        keyed[label.key].push_back(view.order);
      }
    }
    for (const char* key : {"a", "b", "c", "x", "y"}) {
      ASSERT_EQ(walk({ListOrder::newest_first, no_tier, LabelTerm{key, {}}}), keyed[key]);
      for (const char* value : {"0", "1", "2", ""}) {
        const LabelTerm term{key, value};
        ASSERT_EQ(machine_.catalog->count_labelled(term), (labelled[{key, value}].size()));
        ASSERT_EQ(walk({ListOrder::newest_first, no_tier, term}), (labelled[{key, value}]));
      }
    }
    if (!machine_.catalog->is_sorted_by_size()) return;
    std::sort(views.begin(), views.end(), [](const View& a, const View& b) {
      return std::pair(a.size_bytes, a.order) < std::pair(b.size_bytes, b.order);
    });
    std::vector<std::uint64_t> by_size;
    for (const View& view : views) by_size.push_back(view.order);
    ASSERT_EQ(walk({ListOrder::smallest_first, no_tier, {}}), by_size);
  }

  // Who follows the events knows what is listed.
  void check_events(const std::vector<View>& views, const Counts& counts) {
    for (; followed_ < machine_.events.size(); ++followed_) {
      const Event& event = machine_.events[followed_];
      if (event.kind == EventKind::leased || event.kind == EventKind::refused) continue;
      const bool ends = event.kind == EventKind::deleted || event.kind == EventKind::expired ||
                        (event.kind == EventKind::evicted && event.tier == no_tier);
      if (ends) {
        ASSERT_EQ(followers_.erase(event.id.bytes), 1u) << "the end of what was not there";
        continue;
      }
      const bool is_new = !followers_.contains(event.id.bytes);
      ASSERT_EQ(is_new, event.kind == EventKind::allocated);
      Followed& followed = followers_[event.id.bytes];
      ASSERT_EQ(followed.tier, event.from == no_tier ? followed.tier : event.from);
      const bool committed = followed.committed || event.kind == EventKind::committed;
      followed = {event.revision, event.size_bytes, event.tier, committed};
    }
    ASSERT_EQ(followers_.size(), views.size());
    std::uint64_t uncommitted = 0;
    for (const View& view : views) {
      const Followed& followed = followers_.at(view.id.bytes);
      ASSERT_EQ(followed.revision, view.revision);
      ASSERT_EQ(followed.size_bytes, view.size_bytes);
      ASSERT_EQ(followed.tier, view.tier);
      ASSERT_EQ(followed.committed, view.phase != Phase::allocated);
      if (!followed.committed) ++uncommitted;
    }
    ASSERT_EQ(counts.uncommitted, uncommitted);
  }

  // When everything has ended, everything is accounted for and nothing is left behind.
  void settle() {
    for (int round = 0; round < 200; ++round) {
      while (!machine_.effects.empty()) {
        note(machine_.effects.front());
        machine_.do_effect();
      }
      machine_.pass(second_ns);
    }
    EXPECT_EQ(machine_.catalog->counts().operations, 0u);
    EXPECT_EQ(machine_.catalog->counts().leases, 0u);
    std::vector<View> views;
    std::uint64_t lsn = 0;
    machine_.catalog->list(UINT64_MAX, no_tier, 100'000, views, lsn);
    for (const View& view : views) {
      Delete command;
      command.id = view.id;
      machine_.call(command);
    }
    while (!machine_.effects.empty()) {
      note(machine_.effects.front());
      machine_.do_effect();
    }
    EXPECT_TRUE(objects_.empty());
    for (const TierCounts& tier : machine_.catalog->counts().tiers) {
      EXPECT_EQ(tier.charged_bytes, 0u);
      EXPECT_EQ(tier.copies, 0u);
    }
    for (Ticket ticket = 1; ticket <= machine_.ticket; ++ticket) {
      ASSERT_TRUE(machine_.reply_to(ticket).has_value()) << "nobody answered " << ticket;
    }
  }

  std::mt19937_64 random_;
  const bool circles_;
  Machine machine_;
  std::uint64_t next_ = 1;
  std::uint64_t leases_ = 0;
  std::map<std::uint64_t, Object> objects_;

  struct Followed {
    std::uint64_t revision = 0;
    std::uint64_t size_bytes = 0;
    TierIndex tier = no_tier;
    bool committed = false;
  };
  std::map<std::array<std::uint8_t, 16>, Followed> followers_;
  std::size_t followed_ = 0;
};

TEST(catalog, keeps_its_accounts_over_random_histories) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomRun(seed, false).run(600);
    if (HasFailure()) return;
  }
}

TEST(catalog, keeps_its_accounts_when_spill_targets_point_in_circles) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomRun(seed, true).run(600);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace pm::catalog::test
