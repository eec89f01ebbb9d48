#pragma once

#include <set>
#include <string>

#include "workload.h"

// What a host may show after a cut, by what its clients were told before.

namespace pm::power {

struct Expectation {
  bool may_be_absent = false;
  bool may_be_lost = false;
  bool may_be_read = false;
  std::set<std::string> metadata;  // "" stands for none.
};

// All that was answered before this number was durable in the store when the cut came: a commit on
// disk that began later was answered before the cut, and a sync covers whatever came before it.
std::uint64_t settled_before(const std::vector<ClientLog>& logs, std::uint64_t cut);

Expectation expect(const Known& known, std::uint64_t cut, std::uint64_t settled);

// What is wrong with the entries of a stream, in words; empty: nothing. `items`: absent when there
// is no such stream.
std::string judge(const KnownStream& stream, std::uint64_t cut, std::uint64_t settled,
                  const std::vector<std::string>* items);

}  // namespace pm::power
