#pragma once

#include <string>
#include <vector>

// The matrix of kills: 32 steps of what a host does, before and after each, on three tiers.

namespace pm::crash {

enum class Operation { allocate, write, commit, spill, promote, erase, lease, recovery };
enum class Side { before, after };
// Where the operation's payload lives or goes to. A payload "of void" is one whose spill_target is
// void: it lives on shm or disk, and is deleted where another would be spilled.
enum class Medium { shm, disk, void_tier };

// One place at which the host dies.
struct Cell {
  Operation operation;
  const char* step;  // Unique within the operation.
  Side side;
  Medium medium;
  // "NAME:N" as PM_CRASH_AT takes it, the passages counted from the beginning of the operation on;
  // without N the first one. Empty: the test kills the host itself.
  std::string point;

  std::string name() const;  // "spill.half_copied.after.disk"
};

// All 192.
std::vector<Cell> all_cells();

}  // namespace pm::crash
