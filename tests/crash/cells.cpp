#include "cells.h"

namespace pm::crash {

namespace {

// Two points between which a step lies, each "NAME" or "NAME:N".
struct Points {
  const char* before;
  const char* after;
};

struct Step {
  Operation operation;
  const char* name;
  Points shm;
  Points disk;
  Points of_void;
};

constexpr Points by_test{"", ""};
// A command is taken into the catalog.
constexpr Points command{"ledger.before_command", "ledger.after_command"};
constexpr Points second_command{"ledger.before_command:2", "ledger.after_command:2"};
constexpr Points row{"journal.before_apply", "journal.after_apply"};
constexpr Points reply{"ledger.before_reply", "ledger.after_reply"};
constexpr Points removal{"mover.before_remove", "mover.after_remove"};
constexpr Points second_removal{"mover.before_remove:2", "mover.after_remove:2"};
constexpr Points tier_allocate{"mover.before_allocate", "mover.after_allocate"};
constexpr Points tier_seal{"mover.before_seal", "mover.after_seal"};
constexpr Points checksum{"mover.before_checksum", "mover.after_checksum"};
constexpr Points target_reserve{"mover.before_move", "mover.after_reserve"};
constexpr Points half{"mover.before_half", "mover.after_half"};
constexpr Points copied{"mover.before_copied", "mover.after_copy"};
constexpr Points sync{"disk.before_sync", "disk.after_sync"};
constexpr Points rename_{"disk.before_rename", "disk.after_rename"};
constexpr Points adoption{"recovery.before_adopt", "recovery.after_adopt"};

// What a step is where our design has no such step, or not on that tier:
//  - Allocations are not journaled (docs/decisions/0001). `logged`: the command is taken; `row`:
//  the
//    catalog learns that the tier has made the copy.
//  - shm syncs nothing. `synced` of a commit: the command is taken; of a move: the copy is sealed.
//  - Spill to void copies nothing: a payload with copies on shm and disk is deleted. `reserve`: the
//    command is taken; `half_copied`: the second of two payloads in one call is; `copied`: the
//    caller is answered; `synced`: the first of its copies is removed, `freed`: the second one.
//  - Nothing can be promoted to void; a payload of void is promoted from disk to shm.
//  - erase on void: a payload of void is evicted, for room that another allocation needs, and
//    deleted by that; `reply`: that allocation's.
//  - lease on void, `reclaim`: a Spill to void that waits for the lease deletes the payload.
//  - purge: the catalog learns that the tier has removed the copy, and gives its room out.
constexpr Step steps[] = {
    {Operation::allocate, "logged", command, command, command},
    {Operation::allocate, "reserved", tier_allocate, tier_allocate, tier_allocate},
    {Operation::allocate, "row", second_command, second_command, second_command},
    {Operation::allocate, "reply", reply, reply, reply},

    {Operation::write, "half", by_test, by_test, by_test},

    {Operation::commit, "synced", command, sync, sync},
    {Operation::commit, "checksum", checksum, checksum, checksum},
    {Operation::commit, "sealed", tier_seal, rename_, tier_seal},
    {Operation::commit, "row", row, row, row},
    {Operation::commit, "reply", reply, reply, reply},

    {Operation::spill, "reserve", target_reserve, target_reserve, command},
    {Operation::spill, "half_copied", half, half, second_command},
    {Operation::spill, "copied", copied, copied, reply},
    {Operation::spill, "synced", tier_seal, sync, removal},
    {Operation::spill, "row", row, row, row},
    {Operation::spill, "freed", removal, removal, second_removal},

    {Operation::promote, "reserve", target_reserve, target_reserve, target_reserve},
    {Operation::promote, "half_copied", half, half, half},
    {Operation::promote, "copied", copied, copied, copied},
    {Operation::promote, "synced", tier_seal, sync, tier_seal},
    {Operation::promote, "row", row, row, row},
    {Operation::promote, "freed", removal, removal, removal},

    {Operation::erase, "tombstone", row, row, row},
    {Operation::erase, "removed", removal, removal, removal},
    {Operation::erase, "purge", second_command, second_command, second_command},
    {Operation::erase, "reply", reply, reply, reply},

    {Operation::lease, "grant", command, command, command},
    {Operation::lease, "expire", second_command, second_command, second_command},
    {Operation::lease, "reclaim", removal, removal, removal},

    // Of the next start: the copies that the rows name are looked for; what is not there any more
    // is recorded; what no row names is removed.
    {Operation::recovery, "adopted", adoption, adoption, adoption},
    {Operation::recovery, "recorded", row, row, row},
    {Operation::recovery, "orphans", removal, removal, removal},
};
static_assert(sizeof steps / sizeof steps[0] == 32);

const Points& points_on(const Step& step, Medium medium) {
  switch (medium) {
    case Medium::shm: return step.shm;
    case Medium::disk: return step.disk;
    case Medium::void_tier: break;
  }
  return step.of_void;
}

const char* name_of(Operation operation) {
  switch (operation) {
    case Operation::allocate: return "allocate";
    case Operation::write: return "write";
    case Operation::commit: return "commit";
    case Operation::spill: return "spill";
    case Operation::promote: return "promote";
    case Operation::erase: return "delete";
    case Operation::lease: return "lease";
    case Operation::recovery: break;
  }
  return "recovery";
}

const char* name_of(Medium medium) {
  switch (medium) {
    case Medium::shm: return "shm";
    case Medium::disk: return "disk";
    case Medium::void_tier: break;
  }
  return "void";
}

}  // namespace

std::string Cell::name() const {
  return std::string(name_of(operation)) + "." + step +
         (side == Side::before ? ".before." : ".after.") + name_of(medium);
}

std::vector<Cell> all_cells() {
  std::vector<Cell> cells;
  for (const Step& step : steps) {
    for (const Medium medium : {Medium::shm, Medium::disk, Medium::void_tier}) {
      const Points& points = points_on(step, medium);
      cells.push_back({step.operation, step.name, Side::before, medium, points.before});
      cells.push_back({step.operation, step.name, Side::after, medium, points.after});
    }
  }
  return cells;
}

}  // namespace pm::crash
