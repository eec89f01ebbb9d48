#include <algorithm>

#include "catalog.h"
#include "mutant.h"

// Lineage: which payload was made from which. The edges live in the repository. What is kept here
// is how many parents a payload has and whether it has children, which is enough to know when
// nobody has to look: a child without children closes no cycle, and a child without parents has no
// edge that could be added twice.
//
// Everything else is looked up outside, and added here only when what was seen still stands. A
// search for a cycle between the child and its parents is outdated by
// - an edge added since to a payload that had children (cycle_lsn_), and
// - an edge added since to one of the parents (parents_lsn).
// No other edge can matter: it was given to a payload that was nobody's parent, so that a way
// through it would have to end there.

namespace pm::catalog {

namespace {

// One of the payloads is not there or not committed: says which, 0 being the child.
Reply refusal(Reason reason, std::size_t number) {
  Reply reply;
  reply.reason = reason;
  reply.first_number = number;
  return reply;
}

}  // namespace

Reason Catalog::find_family(const Id& child, const LineageEdges& edges, const Clocks& now,
                            std::vector<Slot>& slots, std::size_t& missing) const {
  Slot slot = no_slot;
  missing = 0;
  Reason reason = find_described(child, now, slot);
  slots.push_back(slot);
  for (const LineageEdge& edge : edges) {
    if (reason != Reason::none) return reason;
    ++missing;
    reason = find_described(edge.parent, now, slot);
    slots.push_back(slot);
  }
  return reason;
}

bool Catalog::has_new_parents(Slot slot, std::uint64_t since_lsn) const {
  const Extras* extras = find_extras(slot);
  if (is_planted(Mutant::stale_look_is_believed)) return false;
  return extras != nullptr && extras->parents_lsn > since_lsn;
}

void Catalog::on(const AddLineage& command) {
  Waiter waiter{.ticket = command.ticket};
  if (is_repeat(command.request, command.ticket, waiter.request)) return;
  std::vector<Slot> slots;
  std::size_t missing = 0;
  const Reason reason = find_family(command.child, *command.edges, now_, slots, missing);
  if (reason != Reason::none) {
    Reply reply = refusal(reason, missing);
    if (reason == Reason::payload_not_found) reply.lsn = last_erase_lsn_;
    return answer(waiter, std::move(reply));
  }
  const Slot child = slots[0];
  const std::uint32_t parents = additions_of(child).parents;
  if (parents != 0 && (!command.knows_edges || has_new_parents(child, command.seen_lsn))) {
    return refuse(waiter, Reason::conflict);
  }
  Reply reply;
  reply.lsn = payloads_[child].lsn;
  if (command.edges->empty()) return answer(waiter, std::move(reply));
  if (additions_of(child).has_children) {
    const bool outdated = cycle_lsn_ > command.seen_lsn ||
                          std::any_of(slots.begin() + 1, slots.end(), [&](Slot parent) {
                            return has_new_parents(parent, command.seen_lsn);
                          });
    if (!command.knows_no_cycle || outdated) return refuse(waiter, Reason::conflict);
  }
  if (parents + command.edges->size() > limits_.lineage_parents_max) {
    return refuse(waiter, Reason::lineage_full);
  }
  add_edges(slots, command);
  reply.lsn = changes_->lsn;
  answer(waiter, std::move(reply));
}

void Catalog::add_edges(const std::vector<Slot>& slots, const AddLineage& command) {
  const Slot child = slots[0];
  for (std::size_t number = 1; number < slots.size(); ++number) {
    if (additions_of(slots[number]).has_children) continue;
    add_to(slots[number]).has_children = true;
    record_payload(slots[number]);
  }
  Extras& extras = extras_for(child);
  extras.additions.parents += static_cast<std::uint32_t>(command.edges->size());
  record_payload(child);
  extras.parents_lsn = lineage_lsn_ = changes_->lsn;
  if (extras.additions.has_children) cycle_lsn_ = changes_->lsn;
  changes_->records.emplace_back(LineageRecord{command.child, command.edges});
}

LineageNeeds Catalog::lineage_needs(const Id& child, const LineageEdges& edges,
                                    const Clocks& now) const {
  LineageNeeds needs;
  needs.seen_lsn = lsn_;
  std::vector<Slot> slots;
  std::size_t missing = 0;
  if (find_family(child, edges, now, slots, missing) != Reason::none) return needs;
  needs.edges = additions_of(slots[0]).parents != 0;
  needs.search = additions_of(slots[0]).has_children;
  needs.lsn =
      needs.search ? std::max(lineage_lsn_, payloads_[slots[0]].lsn) : payloads_[slots[0]].lsn;
  return needs;
}

}  // namespace pm::catalog
