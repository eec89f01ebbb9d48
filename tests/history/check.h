#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "operation.h"

// Everything that a history is held against.

namespace pm::history {

// A broken promise.
struct Finding {
  std::string rule;     // "linearizable", or the invariant's name, see below.
  std::string subject;  // The payload or stream.
  std::string words;    // What is wrong, and the operations that show it.
};

struct Verdict {
  std::vector<Finding> findings;
  std::uint64_t operations = 0;
  std::uint64_t subjects = 0;
  std::uint64_t unknown = 0;
  std::uint64_t tried = 0;  // Configurations of the search.
  std::string to_text() const;
};

// `history` in any order. Looks for an order of each payload's and each stream's operations that
// the contract allows, and checks
//   deleted_stays_deleted       after an acknowledged delete the payload is seen by nobody (I5)
//   leased_bytes_stay           what is read under a lease is what was committed (I6)
//   revision_grows              who asks later never sees a lower revision (I7), nor one revision
//                               in two places
//   repeats_are_answered_alike  one request id, one answer (I8)
//   offsets_are_used_once       acknowledged appends are neighbours, and nobody else's are there
//   entries_stay                an entry that was acknowledged or read stays what it was
Verdict check(History history);

// Those alone.
void check_invariants(const History& history, std::vector<Finding>& findings);
void check_streams(const History& history, std::vector<Finding>& findings);

}  // namespace pm::history
