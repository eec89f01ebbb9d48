#include <algorithm>

#include "random_list.h"

// What is asked next: mostly what makes sense now, so that at least half of it succeeds.

namespace pm::catalog::naive {

namespace {

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t second_ns = 1'000'000'000;

Id id_of(std::uint8_t family, std::uint64_t number) {
  Id id;
  id.bytes[0] = family;
  for (std::size_t at = 0; at < 8; ++at) {
    id.bytes[15 - at] = static_cast<std::uint8_t>(number >> (8 * at));
  }
  return id;
}
constexpr std::uint8_t payload_family = 1;
constexpr std::uint8_t lease_family = 2;
constexpr std::uint8_t request_family = 3;

}  // namespace

// ---- choosing ----

// One of those, if there are any; sometimes any.
template <typename Predicate>
Id RandomList::some_payload(Predicate predicate) {
  if (!one_in(12)) {
    std::vector<Id> fitting;
    for (const auto& [key, held] : model_.payloads()) {
      if (model_.is_live(held, now_) && predicate(held)) fitting.push_back(held.id);
    }
    if (!fitting.empty()) return fitting[pick(fitting.size())];
  }
  return id_of(payload_family, 1 + pick(ids_ + 1));
}

Id RandomList::some_committed() {
  return some_payload([](const Held& held) { return held.phase == Phase::committed; });
}

Id RandomList::some_lease() {
  if (!model_.leases().empty() && !one_in(8)) {
    return model_.leases()[pick(model_.leases().size())].id;
  }
  return id_of(lease_family, pick(lease_ids_ + 2));
}

StreamName RandomList::some_stream() {
  if (!model_.streams().empty() && !one_in(8)) {
    auto at = model_.streams().begin();
    std::advance(at, static_cast<std::ptrdiff_t>(pick(model_.streams().size())));
    return at->first;
  }
  return {"", std::string(1, static_cast<char>('a' + pick(5)))};
}

// Rarely one that keeps nothing, or does not exist.
TierIndex RandomList::some_tier(std::uint64_t count) {
  if (one_in(40)) return 3;
  if (one_in(40)) return 7;
  return static_cast<TierIndex>(pick(count));
}

ChecksumDemand RandomList::some_demand() {
  ChecksumDemand demand;
  demand.checksum.kind = static_cast<ChecksumKind>(pick(4));
  demand.has_value = demand.checksum.kind != ChecksumKind::none && one_in(2);
  if (demand.has_value) demand.checksum.bytes[0] = 7;
  return demand;
}

Labels RandomList::many_labels(std::size_t count) const {
  Labels labels;
  for (std::size_t at = 0; at < count; ++at) {
    labels.push_back({"many" + std::to_string(100 + at), "x"});
  }
  return labels;
}

std::uint64_t RandomList::some_deadline() {
  return one_in(2) ? 0 : now_.mono_ns + pick(8 * second_ns);
}

// Gives it a ticket and, sometimes, a request id.
template <typename ClientCommand>
void RandomList::request(ClientCommand command) {
  command.ticket = ++ticket_;
  if constexpr (requires { command.request; }) {
    if (one_in(4)) {
      command.request = {true, id_of(request_family, ++request_ids_), request_ids_};
      asked_.emplace_back(command);
    }
  }
  apply(command);
}

// An earlier request again, as it was or under its id another one.
void RandomList::repeat() {
  if (asked_.empty()) return;
  Command command = asked_[asked_.size() - 1 - pick(std::min<std::size_t>(asked_.size(), 8))];
  const bool is_changed = one_in(3);
  bool applies = true;
  std::visit(
      [&](auto& alternative) {
        if constexpr (requires { alternative.request; }) {
          alternative.ticket = ++ticket_;
          if (is_changed) ++alternative.request.digest;
        }
        // Ids are drawn anew for each allocation: what is not a repeat has no id of another.
        if constexpr (requires { alternative.ttl_ns; }) {
          applies = model_.remembers(alternative.request.key);
        }
      },
      command);
  if (std::holds_alternative<CreateStream>(command)) sweep_streams();
  if (applies) apply(command);
}

void RandomList::cancel() {
  std::vector<Ticket> waiting;
  for (const auto& [generation, work] : model_.works()) {
    for (const Caller& caller : work.callers) waiting.push_back(caller.ticket);
  }
  const bool any = waiting.empty() || one_in(6);
  apply(Cancel{any ? 1 + pick(ticket_ + 1) : waiting[pick(waiting.size())]});
}

void RandomList::pass(std::uint64_t ns, bool ticks) {
  now_.mono_ns += ns;
  now_.wall_ns += static_cast<std::int64_t>(ns);
  if (ticks) apply(Tick{});
}

// ---- commands ----

void RandomList::step() {
  const std::uint64_t kind = pick(100);
  if (kind < 38) return change_payloads(kind);
  if (kind < 64) return hold(kind);
  if (kind < 78) return describe(kind);
  if (kind < 89) return follow(kind);
  other(kind);
}

void RandomList::change_payloads(std::uint64_t kind) {
  if (kind < 11) return allocate();
  if (kind < 19) return commit_or_import(false);
  if (kind < 22) return commit_or_import(true);
  if (kind < 29) return promote();
  if (kind < 36) return spill();
  Delete command;
  command.force = one_in(3);
  command.only_uncommitted = one_in(3);
  // Often one that is on its way, and then somebody needs much of its room.
  const bool moves = !command.only_uncommitted && one_in(2);
  command.id = some_payload([&](const Held& held) {
    if (moves) return held.phase == Phase::committed && held.work != 0;
    return !command.only_uncommitted || held.phase == Phase::allocated;
  });
  request(command);
  if (moves && difference_.empty()) allocate(true);
}

void RandomList::allocate(bool is_large) {
  if (ids_ == ids_max) return commit_or_import(false);
  Allocate command;
  command.id = id_of(payload_family, ++ids_);
  command.size_bytes = one_in(40) ? 0 : 1 + pick(one_in(20) ? 120 * kib : 20 * kib);
  command.tier = some_tier(2);
  if (is_large) command.size_bytes += 30 * kib;
  command.only_if_free = one_in(6);
  command.deadline_ns = some_deadline();
  if (one_in(3)) command.ttl_ns = (1 + pick(60)) * second_ns + pick(second_ns);
  command.retention.priority = static_cast<Priority>(1 + pick(4));
  if (one_in(2)) command.retention.priority = Priority::normal;
  command.retention.no_evict = one_in(12);
  command.retention.require_durable = one_in(6);
  if (one_in(4)) command.retention.spill_target = static_cast<TierIndex>(pick(4));
  if (one_in(6)) command.retention.min_residency = static_cast<TierIndex>(pick(3));
  if (one_in(4)) {
    command.labels = std::make_shared<const Labels>(
        one_in(6) ? many_labels(65) : Labels{{"a", std::to_string(pick(2))}, {"b", ""}});
  }
  request(command);
}

void RandomList::commit_or_import(bool import) {
  const Id id = some_payload([&](const Held& held) {
    return held.phase == Phase::allocated && held.work == 0 &&
           (!import || held.copies[0].tier == 1);
  });
  if (!import) {
    Commit command;
    command.id = id;
    command.checksum = some_demand();
    return request(command);
  }
  Import command;
  command.id = id;
  const auto found = model_.payloads().find(id.bytes);
  if (found != model_.payloads().end() && one_in(2)) {
    command.size_bytes = 1 + pick(found->second.size_bytes + found->second.size_bytes / 8);
  }
  command.checksum = some_demand();
  request(command);
}

void RandomList::promote() {
  Promote command;
  command.id = some_committed();
  command.tier = some_tier(2);
  command.best_effort = one_in(4);
  command.drop_source = one_in(4);
  command.only_up = one_in(6);
  command.deadline_ns = some_deadline();
  request(command);
}

void RandomList::spill() {
  Spill command;
  command.id = some_payload([](const Held& held) {
    return held.phase == Phase::committed && held.work == 0 && !held.pinned;
  });
  command.tier = one_in(3) ? no_tier : some_tier(3);
  command.best_effort = one_in(4);
  command.wait_for_leases = one_in(2);
  command.deadline_ns = some_deadline();
  request(command);
}

void RandomList::hold(std::uint64_t kind) {
  if (kind < 47) return lease();
  if (kind < 50) {
    RenewLease command;
    command.lease = some_lease();
    command.duration_ns = one_in(4) ? 0 : (1 + pick(90)) * second_ns;
    return request(command);
  }
  if (kind < 55) {
    ReleaseLease command;
    command.lease = some_lease();
    return request(command);
  }
  if (kind < 58) {
    Pin command;
    command.id = some_payload([](const Held& held) { return held.phase != Phase::lost; });
    if (one_in(2)) command.duration_ns = (1 + pick(20)) * second_ns + pick(second_ns);
    return request(command);
  }
  if (kind < 60) {
    Unpin command;
    command.id = some_payload([](const Held& held) { return held.pinned; });
    return request(command);
  }
  change_labels();
}

void RandomList::lease() {
  AcquireLease command;
  command.id = some_committed();
  command.lease = id_of(lease_family, ++lease_ids_);
  if (one_in(3)) command.min_tier = some_tier(2);
  command.best_effort = one_in(3);
  command.duration_ns = one_in(4) ? 0 : (1 + pick(20)) * second_ns + pick(second_ns);
  if (one_in(2)) command.holder = std::string(1, static_cast<char>('a' + pick(3)));
  if (one_in(6)) {
    command.range_offset_bytes = pick(16 * kib);
    command.range_length_bytes = pick(4 * kib);
  }
  command.deadline_ns = some_deadline();
  request(command);
}

void RandomList::change_labels() {
  UpdateLabels command;
  command.id = some_payload([](const Held& held) { return held.phase != Phase::lost; });
  if (one_in(16)) {
    command.set = many_labels(64);
  } else if (one_in(2)) {
    command.set = {{"a", std::to_string(pick(3))}};
    if (one_in(2)) command.set.push_back({"c", "1"});
    command.remove = {"b", "many101"};
  } else {
    command.remove = {"a", "b", "c"};
  }
  request(command);
}

void RandomList::describe(std::uint64_t kind) {
  if (kind < 68) return update_metadata();
  if (kind < 72) {
    AppendMetadataEvent command;
    command.id = some_committed();
    command.event = std::make_shared<const MetadataEvent>();
    return request(command);
  }
  if (!looks_.empty() && one_in(2)) {
    // Now it builds on what it saw.
    const std::size_t at = pick(looks_.size());
    Look look = looks_[at];
    looks_.erase(looks_.begin() + static_cast<std::ptrdiff_t>(at));
    std::visit(
        [&](auto& command) {
          if constexpr (requires { command.ticket; }) command.ticket = ++ticket_;
        },
        look.command);
    return apply(look.command, look.seen);
  }
  add_lineage();
}

void RandomList::update_metadata() {
  UpdateMetadata command;
  command.id = some_committed();
  command.metadata = std::make_shared<const Metadata>();
  if (!one_in(3)) return request(command);
  command.is_derived = true;
  command.seen_lsn = catalog_->describe(command.id, now_).seen_lsn;
  looks_.push_back({command, serial_});
}

void RandomList::add_lineage() {
  AddLineage command;
  command.child = some_committed();
  LineageEdges edges;
  for (std::uint64_t count = 1 + pick(3); count > 0; --count) {
    const Id parent = some_committed();
    if (!(parent == command.child)) edges.push_back({parent, parent, "", "", ""});
  }
  const LineageNeeds needs = catalog_->lineage_needs(command.child, edges, now_);
  command.edges = std::make_shared<const LineageEdges>(std::move(edges));
  command.knows_edges = needs.edges || one_in(4);
  command.knows_no_cycle = needs.search || one_in(4);
  command.seen_lsn = needs.seen_lsn;
  if (one_in(2)) {
    command.ticket = ++ticket_;
    return apply(command, serial_);
  }
  looks_.push_back({command, serial_});
}

void RandomList::follow(std::uint64_t kind) {
  if (kind < 80) return create_stream();
  if (kind < 84) return append();
  if (kind < 88) return commit_offset();
  DeleteStream command;
  command.name = some_stream();
  if (one_in(2)) request(command);
}

void RandomList::create_stream() {
  CreateStream command;
  command.name = {"", std::string(1, static_cast<char>('a' + pick(5)))};
  if (one_in(2)) command.entries_max = 1 + pick(20);
  if (one_in(2)) command.age_max_s = 1 + pick(30);
  sweep_streams();
  request(command);
}

// Streams that were deleted count until their rows are gone, which the model does not know.
void RandomList::sweep_streams() {
  while (difference_.empty() && catalog_->streams().sweeping()) pass(10'000'000, true);
}

void RandomList::append() {
  if (model_.streams().empty() && !one_in(8)) return create_stream();
  AppendToStream command;
  command.name = some_stream();
  StreamItems items;
  const std::uint64_t count = one_in(10) ? 1 + pick(100) : 1 + pick(3);
  const Id payload = some_committed();
  for (std::uint64_t at = 0; at < count; ++at) {
    items.push_back({one_in(8) ? some_committed() : payload, no_time_ns, 0, ""});
  }
  command.items = std::make_shared<const StreamItems>(std::move(items));
  request(command);
}

void RandomList::commit_offset() {
  if (model_.streams().empty() && !one_in(8)) return create_stream();
  CommitOffset command;
  command.name = some_stream();
  command.group = std::string(1, static_cast<char>('g' + pick(3)));
  const auto found = model_.streams().find(command.name);
  const std::uint64_t end = found != model_.streams().end() ? found->second.times_ns.size() : 0;
  command.offset = one_in(12) ? end + 1 + pick(3) : pick(end + 1);
  command.allow_rewind = one_in(3);
  request(command);
}

// Some copy is read, or has been: of a payload with several copies more often than there are such.
void RandomList::check_copy() {
  if (!checks_.empty() && !one_in(4)) {
    const std::size_t at = pick(checks_.size());
    CopyChecked report = checks_[at];
    checks_.erase(checks_.begin() + static_cast<std::ptrdiff_t>(at));
    report.ticket = one_in(4) ? 0 : ++ticket_;
    return apply(report);
  }
  const auto several = [](const Held& held) { return held.copies.size() > 1; };
  const auto any = [](const Held& held) { return !held.copies.empty(); };
  const Id id = one_in(2) ? some_payload(several) : some_payload(any);
  const auto found = model_.payloads().find(id.bytes);
  if (found == model_.payloads().end() || found->second.copies.empty()) return;
  const Held& held = found->second;
  CopyChecked report;
  report.id = held.id;
  report.generation = held.copies[pick(held.copies.size())].generation;
  if (one_in(10)) report.generation += 1 + pick(8);  // One that went, or never was.
  // Rarely the last one is bad, so that not all is lost.
  const bool is_good = held.copies.size() > 1 ? one_in(2) : !one_in(6);
  report.verdict = is_good ? CopyChecked::Verdict::good : CopyChecked::Verdict::bad;
  if (one_in(8)) report.verdict = CopyChecked::Verdict::unknown;
  if (one_in(8)) report.verdict = CopyChecked::Verdict::unreadable;
  report.checksum = held.checksum;
  if (held.checksum.kind == ChecksumKind::none || one_in(8)) {
    report.checksum.kind = ChecksumKind::xxh3_128;
    report.checksum.bytes[0] = static_cast<std::uint8_t>(pick(250));
  }
  checks_.push_back(report);
  apply(CheckCopy{++ticket_, report.id, report.generation});
}

// A tier gets sick, or, rather, well again; what is told late is no news.
bool RandomList::change_health() {
  for (TierIndex tier = 0; tier < 3; ++tier) {
    if (!model_.tiers()[tier].degraded || !one_in(3)) continue;
    apply(TierHealth{tier, false, "", ++health_number_});
    return true;
  }
  if (!one_in(40)) return false;
  const auto tier = static_cast<TierIndex>(pick(3));
  if (one_in(60)) {
    apply(TierHealth{tier, false, "", 0, true});
  } else {
    apply(TierHealth{tier, true, "fault", one_in(8) ? health_number_ / 2 : ++health_number_});
  }
  return true;
}

void RandomList::other(std::uint64_t kind) {
  if (kind < 91 && one_in(4)) return check_copy();
  if (change_health()) return;
  if (kind < 91) return repeat();
  if (kind < 93) return cancel();
  if (kind < 96) return pass(pick(2 * second_ns), true);
  if (kind == 96) return pass(pick(second_ns), false);
  if (kind == 97) {
    // Wall time is set, forwards or backwards; or much of both goes by.
    if (one_in(3)) return pass(pick(90 * second_ns), one_in(2));
    now_.wall_ns +=
        static_cast<std::int64_t>(pick(40 * second_ns)) - static_cast<std::int64_t>(20 * second_ns);
    return apply(Tick{});
  }
  if (kind == 98 && !objects_.empty()) {
    auto at = objects_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(pick(objects_.size())));
    return apply(Found{at->second});
  }
  if (one_in(3)) return apply(IndexSizes{});
  if (!one_in(2)) return apply(Mounted{1, "medium"});
  stopping_ = true;
  apply(Shutdown{});
}

}  // namespace pm::catalog::naive
