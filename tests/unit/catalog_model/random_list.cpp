#include "random_list.h"

#include <algorithm>

#include "compare.h"

namespace pm::catalog::naive {

namespace {

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t second_ns = 1'000'000'000;

Rules rules() {
  Rules rules;
  rules.tiers = {{20, 64 * kib, 4 * kib, 1, true, false, false},
                 {30, 96 * kib, 4 * kib, 2, true, true, true},
                 {40, 160 * kib, 8 * kib, no_tier, true, true, false},
                 {50, UINT64_MAX, 1, no_tier, false, false, false}};
  rules.lease_default_ns = 20 * second_ns;
  rules.lease_max_ns = 60 * second_ns;
  rules.payload_bytes_max = 1 << 20;
  rules.wait_max_ns = 10 * second_ns;
  rules.uncommitted_max_ns = 40 * second_ns;
  rules.orphan_grace_ns = 3 * second_ns;
  rules.requests_kept_ns = 120 * second_ns;
  rules.waiters_max = 4;
  rules.metadata_events_max = 3;
  rules.lineage_parents_max = 3;
  rules.streams_max = 3;
  rules.groups_max = 2;
  return rules;
}

Limits limits(const Rules& rules, std::uint64_t quarantine_until_ns) {
  Limits limits;
  limits.lease_default_ns = rules.lease_default_ns;
  limits.lease_max_ns = rules.lease_max_ns;
  limits.payload_bytes_max = rules.payload_bytes_max;
  limits.waiters_max = static_cast<std::uint32_t>(rules.waiters_max);
  limits.wait_max_ns = rules.wait_max_ns;
  limits.uncommitted_max_ns = rules.uncommitted_max_ns;
  limits.orphan_grace_ns = rules.orphan_grace_ns;
  limits.metadata_events_max = static_cast<std::uint32_t>(rules.metadata_events_max);
  limits.lineage_parents_max = static_cast<std::uint32_t>(rules.lineage_parents_max);
  limits.requests_kept_ns = rules.requests_kept_ns;
  limits.quarantine_until_ns = quarantine_until_ns;
  limits.streams.streams_max = static_cast<std::uint32_t>(rules.streams_max);
  limits.streams.groups_max = static_cast<std::uint32_t>(rules.groups_max);
  return limits;
}

std::vector<TierFacts> facts(const Rules& rules) {
  std::vector<TierFacts> facts;
  for (const TierRules& tier : rules.tiers) {
    std::uint8_t traits = 0;
    if (tier.keeps_bytes) traits |= traits_keeps_bytes | traits_survives_process;
    if (tier.survives_power) traits |= traits_survives_power;
    facts.push_back({traits, tier.rank, tier.capacity_bytes, tier.block_bytes, tier.spill_to,
                     tier.takes_uploads});
  }
  return facts;
}

// What a tier wants to remember: told to it again with each effect.
Cookie cookie_of(std::uint64_t generation) {
  Cookie cookie;
  cookie.length = generation % 2 == 0 ? 8 : 24;  // Short and long ones are kept differently.
  for (std::size_t at = 0; at < cookie.length; ++at) {
    cookie.bytes[at] = static_cast<std::uint8_t>(generation >> (at % 8));
  }
  return cookie;
}

bool is_cookie_of(const Cookie& cookie, std::uint64_t generation) {
  const Cookie wanted = cookie_of(generation);
  return cookie.length == wanted.length && cookie.bytes == wanted.bytes;
}

Checksum checksum_of(ChecksumKind kind, std::uint64_t generation) {
  Checksum checksum;
  checksum.kind = kind;
  for (std::size_t at = 0; at < checksum.length(); ++at) {
    checksum.bytes[at] = static_cast<std::uint8_t>(generation + at);
  }
  return checksum;
}

}  // namespace

RandomList::RandomList(std::uint64_t seed, Tally& tally)
    : random_(seed),
      tally_(tally),
      now_{1'000 * second_ns, 1'700'000'000LL * 1'000'000'000},
      catalog_(std::make_unique<Catalog>(limits(rules(), 0), facts(rules()), 1)),
      model_(rules(), 1),
      haste_(pick(4)) {}

std::string RandomList::go(int steps) {
  for (int number = 0; number < steps && difference_.empty(); ++number) {
    step();
    for (std::uint64_t count = pick(2 + haste_); count > 0 && !effects_.empty(); --count) {
      do_some_effect();
    }
    if (number % 8 == 0) compare_lists();
    if (stopping_ ? one_in(6) : one_in(300)) restart();
  }
  compare_lists();
  return difference_;
}

void RandomList::differ(const std::string& what) {
  if (difference_.empty()) {
    difference_ = "command " + std::to_string(serial_) + ": " + what + text(model_);
  }
}

bool RandomList::is_lsn(std::uint64_t lsn, Serial serial) const {
  if (serial == 0) return lsn == 0;
  if (serial == earlier_life) return lsn == restored_lsn;
  const auto found = lsn_of_.find(serial);
  return found != lsn_of_.end() && found->second != 0 && lsn == found->second;
}

void RandomList::apply(const Command& command, Serial seen, std::uint64_t generation) {
  if (!difference_.empty()) return;
  now_.mono_ns += 100 + pick(1'000);
  now_.wall_ns += 100 + static_cast<std::int64_t>(pick(1'000));
  Changes changes;
  catalog_->apply(command, now_, changes);
  Outcomes expected;
  model_.apply(command, ++serial_, seen, generation, now_, expected);
  lsn_of_[serial_] = changes.lsn;
  for (const Record& record : changes.records) repository_.take(record);
  static const char* const names[] = {"Allocate",
                                      "Commit",
                                      "Delete",
                                      "Pin",
                                      "Unpin",
                                      "Promote",
                                      "Spill",
                                      "AcquireLease",
                                      "RenewLease",
                                      "ReleaseLease",
                                      "UpdateLabels",
                                      "Cancel",
                                      "Allocated",
                                      "Sealed",
                                      "Moved",
                                      "Removed",
                                      "Found",
                                      "CopyGone",
                                      "Mounted",
                                      "IndexSizes",
                                      "Tick",
                                      "Shutdown",
                                      "Import",
                                      "CreateStream",
                                      "DeleteStream",
                                      "AppendToStream",
                                      "CommitOffset",
                                      "UpdateMetadata",
                                      "AppendMetadataEvent",
                                      "AddLineage",
                                      "CheckCopy",
                                      "CopyChecked",
                                      "TierHealth",
                                      "PolicyInUse",
                                      "Evict",
                                      "Retain",
                                      "EndSession",
                                      "Publish",
                                      "Unheld",
                                      "NoteReads"};
  static_assert(std::size(names) == std::variant_size_v<Command>);
  ++tally_.kinds[names[command.index()]];
  for (const Reply& reply : changes.replies) {
    ++tally_.answers;
    ++tally_.reasons[reply.reason];
    if (reply.reason == Reason::none) ++tally_.successes;
  }
  latest_wall_ns_ = std::max(latest_wall_ns_, now_.wall_ns);
  compare_answers(changes, expected);
  compare_state();
  if (!difference_.empty()) difference_ += std::string("  after ") + names[command.index()];
  for (Effect& effect : changes.effects) effects_.push_back(std::move(effect));
}

void RandomList::compare_answers(Changes& changes, Outcomes& expected) {
  const auto by_ticket = [](const Reply& a, const Reply& b) { return a.ticket < b.ticket; };
  std::sort(changes.replies.begin(), changes.replies.end(), by_ticket);
  std::sort(expected.replies.begin(), expected.replies.end(), by_ticket);
  bool lsns = true;
  for (std::size_t at = 0; at < changes.replies.size() && at < expected.replies.size(); ++at) {
    lsns = lsns && is_lsn(changes.replies[at].lsn, expected.replies[at].lsn);
  }
  if (!all_same(changes.replies, expected.replies) || !lsns) {
    differ("replies\n" + text_of_all(changes.replies) + "and not\n" +
           text_of_all(expected.replies));
  }
  sort(changes.effects);
  sort(expected.effects);
  if (!all_same(changes.effects, expected.effects)) {
    differ("effects\n" + text_of_all(changes.effects) + "and not\n" +
           text_of_all(expected.effects));
    return;
  }
  for (std::size_t at = 0; at < changes.effects.size(); ++at) {
    const auto* removal = std::get_if<RemoveEffect>(&changes.effects[at]);
    if (removal == nullptr) continue;
    const Serial serial = std::get<RemoveEffect>(expected.effects[at]).lsn;
    if (serial != 0 && !is_lsn(removal->lsn, serial)) differ("removes before it is durable\n");
  }
  // Those of one payload keep their order.
  const auto by_id = [](const Event& a, const Event& b) { return a.id.bytes < b.id.bytes; };
  std::stable_sort(changes.events.begin(), changes.events.end(), by_id);
  std::stable_sort(expected.events.begin(), expected.events.end(), by_id);
  if (!all_same(changes.events, expected.events)) {
    differ("events\n" + text_of_all(changes.events) + "and not\n" + text_of_all(expected.events));
  }
}

void RandomList::compare_state() {
  const Counts counts = catalog_->counts();
  std::uint64_t lost = 0;
  std::uint64_t uncommitted = 0;
  std::uint64_t pinned = 0;
  for (const auto& [key, held] : model_.payloads()) {
    View view;
    View wanted;
    std::uint64_t lsn = 0;
    const Id id{key};
    const Reason reason = catalog_->resolve(id, now_, view, lsn);
    if (reason != model_.resolve(id, now_, wanted) || !same(view, wanted)) {
      differ("resolve: reason " + std::to_string(static_cast<int>(reason)) + " " + text(view) +
             " and not " + text(wanted) + "\n");
    }
    const bool is_known = reason != Reason::payload_not_found;
    if (is_known && !is_lsn(lsn, held.written)) differ("resolve: the LSN\n");
    lost += held.phase == Phase::lost;
    uncommitted += held.phase == Phase::allocated;
    pinned += held.pinned;
  }
  for (std::size_t at = 0; at < counts.tiers.size(); ++at) {
    const auto tier = static_cast<TierIndex>(at);
    const TierCounts& its = counts.tiers[at];
    if (its.charged_bytes != model_.used_bytes(tier) || its.copies != model_.copies_on(tier) ||
        its.failed != model_.tiers()[at].failed || its.bad_copies != model_.bad_copies_on(tier) ||
        its.bad_copies_found != model_.tiers()[at].bad_found ||
        its.degraded != model_.tiers()[at].degraded) {
      differ("tier " + std::to_string(at) + ": " + std::to_string(its.charged_bytes) +
             " bytes in " + std::to_string(its.copies) + " copies and not " +
             std::to_string(model_.used_bytes(tier)) + " in " +
             std::to_string(model_.copies_on(tier)) + ", bad " + std::to_string(its.bad_copies) +
             " and not " + std::to_string(model_.bad_copies_on(tier)) + "\n");
    }
  }
  const auto compare = [&](const char* what, std::uint64_t count, std::uint64_t wanted) {
    if (count == wanted) return;
    differ(std::to_string(count) + " " + what + " and not " + std::to_string(wanted) + "\n");
  };
  compare("lost", counts.lost, lost);
  compare("uncommitted", counts.uncommitted, uncommitted);
  compare("pinned", counts.pinned, pinned);
  compare("leases", counts.leases, model_.leases().size());
  compare("operations", counts.operations, model_.works().size());
  compare("streams", counts.streams, model_.streams().size());
}

void RandomList::compare_lists() {
  if (!difference_.empty()) return;
  for (const TierIndex tier : {no_tier, TierIndex{0}, TierIndex{1}, TierIndex{2}}) {
    std::vector<View> views;
    std::uint64_t lsn = 0;
    catalog_->list(UINT64_MAX, tier, 1'000, views, lsn);
    std::vector<Key> listed;
    for (const View& view : views) listed.push_back(view.id.bytes);
    if (listed != model_.newest_first(tier)) differ("the list of a tier\n");
  }
  std::map<std::pair<std::string, std::string>, std::vector<Key>> labelled;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> sizes;
  for (const Key& key : model_.newest_first(no_tier)) {
    const Held& held = model_.payloads().at(key);
    for (const auto& label : held.labels) labelled[label].push_back(key);
    sizes.emplace_back(held.size_bytes, held.order);
    std::vector<LeaseView> leases;
    OrderedIndex::Entry at{0, no_slot};
    catalog_->list_leases(Id{key}, 1'000, at, now_, leases);
    const std::size_t wanted = model_.is_live(held, now_) ? model_.leases_of(held) : 0;
    if (leases.size() != wanted) differ("the leases of a payload\n");
  }
  for (const auto& [label, keys] : labelled) {
    std::vector<Listed> found;
    const ListWalk walk{ListOrder::newest_first, no_tier, LabelTerm{label.first, label.second}};
    catalog_->walk(walk, std::nullopt, 1'000, found);
    std::vector<Key> listed;
    for (const Listed& each : found) listed.push_back(each.view.id.bytes);
    if (listed != keys) differ("the list of a label\n");
  }
  if (catalog_->is_sorted_by_size()) {
    std::sort(sizes.begin(), sizes.end());
    std::vector<Listed> found;
    catalog_->walk({ListOrder::smallest_first, no_tier, {}}, std::nullopt, 1'000, found);
    std::vector<std::pair<std::uint64_t, std::uint64_t>> listed;
    for (const Listed& each : found) listed.emplace_back(each.view.size_bytes, each.view.order);
    if (listed != sizes) differ("the list by size\n");
  }
  compare_streams();
}

void RandomList::compare_streams() {
  latest_wall_ns_ = std::max(latest_wall_ns_, now_.wall_ns);
  for (const auto& [name, stream] : model_.streams()) {
    StreamHead head;
    if (!catalog_->streams().find(name, now_, head)) return differ("a stream is missing\n");
    // What had grown too old need not come back when the clock was set back.
    const std::size_t visible_max = stream.visible(now_.wall_ns).size();
    const std::size_t visible_min = stream.visible(latest_wall_ns_).size();
    std::uint64_t first = head.first_offset;
    while (first < head.next_offset && stream.times_ns[first] < head.keep_from_ns) ++first;
    if (head.next_offset != stream.times_ns.size() || head.groups != stream.groups.size() ||
        head.next_offset - first > visible_max || head.next_offset - first < visible_min) {
      differ("stream " + name.name + ": " + std::to_string(first) + ".." +
             std::to_string(head.next_offset) + " is visible, and not " +
             std::to_string(visible_min) + " to " + std::to_string(visible_max) + " of " +
             std::to_string(stream.times_ns.size()) + "; " + std::to_string(head.groups) +
             " groups and not " + std::to_string(stream.groups.size()) + "\n");
    }
    for (const auto& [group, held] : stream.groups) {
      const auto committed = catalog_->streams().committed(name, group);
      if (!committed.any || committed.offset != held.offset) differ("a committed offset\n");
    }
  }
}

// ---- what the tiers do ----

Outcome RandomList::some_outcome() {
  if (!one_in(8)) return {};
  static constexpr std::int32_t codes[] = {1, 5, 8, 8, 9, 13, 14};
  if (one_in(24)) return {15, "fault"};
  return {codes[pick(std::size(codes))], "fault"};
}

void RandomList::do_some_effect() {
  const std::size_t at = pick(effects_.size());
  const Effect effect = effects_[at];
  effects_.erase(effects_.begin() + static_cast<std::ptrdiff_t>(at));
  const Outcome outcome = some_outcome();
  if (const auto* allocation = std::get_if<AllocateEffect>(&effect)) {
    finish_allocation(*allocation, outcome);
  } else if (const auto* seal = std::get_if<SealEffect>(&effect)) {
    finish_seal(*seal, outcome);
  } else if (const auto* move = std::get_if<MoveEffect>(&effect)) {
    finish_move(*move, outcome);
  } else {
    finish_removal(std::get<RemoveEffect>(effect), outcome);
  }
}

void RandomList::finish_allocation(const AllocateEffect& effect, const Outcome& outcome) {
  const std::uint64_t generation = effect.object.generation;
  constexpr std::int32_t resource_exhausted = 8;
  Allocated report{effect.operation, outcome, cookie_of(generation)};
  report.object_remains = !outcome.ok() && outcome.code != resource_exhausted && one_in(3);
  if (outcome.ok() || report.object_remains) objects_[generation] = effect.object;
  apply(report, 0, generation);
}

void RandomList::finish_seal(const SealEffect& effect, const Outcome& outcome) {
  const std::uint64_t generation = effect.object.generation;
  if (!objects_.contains(generation)) differ("seals what is not there\n");
  if (!is_cookie_of(effect.object.cookie, generation)) differ("a seal with a wrong cookie\n");
  Sealed report{.operation = effect.operation, .outcome = outcome};
  if (outcome.ok() && effect.checksum.has_value && one_in(4)) {
    report.checksum_differs = true;
  } else if (outcome.ok()) {
    report.checksum = effect.checksum.checksum;
    if (!effect.checksum.has_value) {
      report.checksum = checksum_of(effect.checksum.checksum.kind, generation);
    }
  }
  // An upload can be found to be shorter, also when sealing it goes wrong then.
  if (effect.length != effect.object.length && (outcome.ok() || one_in(2))) {
    report.length = effect.length;
    objects_[generation].length = effect.length;
  }
  apply(report, 0, generation);
}

void RandomList::finish_move(const MoveEffect& effect, const Outcome& outcome) {
  const std::uint64_t generation = effect.target.generation;
  if (!objects_.contains(effect.source.generation)) differ("reads what is not there\n");
  if (!is_cookie_of(effect.source.cookie, effect.source.generation)) {
    differ("a move from a wrong cookie\n");
  }
  Moved report{effect.operation, outcome, cookie_of(generation), {}};
  if (outcome.ok()) {
    objects_[generation] = effect.target;
    report.checksum = effect.checksum;
    if (effect.checksum.kind == ChecksumKind::none) {
      report.checksum = checksum_of(ChecksumKind::xxh3_128, generation);
    }
  } else {
    report.source_is_bad = one_in(3);
    report.target_remains = one_in(3);
    if (report.target_remains) objects_[generation] = effect.target;
  }
  apply(report, 0, generation);
}

void RandomList::finish_removal(const RemoveEffect& effect, const Outcome& outcome) {
  const std::uint64_t generation = effect.object.generation;
  Removed report{generation, outcome};
  if (!objects_.contains(generation)) {
    report.outcome = {5, "not found"};
  } else if (outcome.ok() || outcome.code == 5) {
    objects_.erase(generation);
  }
  apply(report);
}

// ---- restart ----

// What was under way may have been done or not; what nobody knows is found.
void RandomList::restart() {
  if (!difference_.empty()) return;
  ++tally_.restarts;
  for (const Effect& effect : effects_) {
    if (!one_in(2) || std::holds_alternative<SealEffect>(effect)) continue;
    if (std::holds_alternative<RemoveEffect>(effect)) {
      objects_.erase(object_of(effect).generation);
    } else {
      objects_[object_of(effect).generation] = object_of(effect);
    }
  }
  effects_.clear();
  looks_.clear();
  checks_.clear();
  lsn_of_.clear();
  stopping_ = false;
  now_.mono_ns += pick(20 * second_ns);
  now_.wall_ns += static_cast<std::int64_t>(pick(20 * second_ns));
  const std::uint64_t quarantine_until_ns = now_.mono_ns + pick(10) * second_ns;
  model_ = model_.restart(++life_, quarantine_until_ns);
  catalog_ = std::make_unique<Catalog>(limits(rules(), quarantine_until_ns), facts(rules()), life_);
  repository_.restore_into(*catalog_);
  compare_state();
  compare_lists();
  for (const TierIndex tier : {TierIndex{1}, TierIndex{2}}) apply(Mounted{tier, "medium"});
  std::vector<Object> found;
  for (const auto& [generation, object] : objects_) {
    found.push_back(object);
    found.back().cookie = cookie_of(generation);
  }
  for (const Object& object : found) {
    if (one_in(8)) {
      objects_.erase(object.generation);
      apply(CopyGone{object.payload, object.generation});
    } else if (!one_in(6)) {
      apply(Found{object});
    }
  }
}

}  // namespace pm::catalog::naive
