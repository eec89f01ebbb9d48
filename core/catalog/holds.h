#pragma once

#include <cstdint>
#include <string>

#include "ids.h"

namespace pm::catalog {

// A copy that clients on this machine may hold without a command, and where its bytes are.
struct HeldPlace {
  Id payload;
  std::uint64_t generation = 0;
  std::uint64_t length = 0;
  std::uint64_t revision = 0;       // Of the payload.
  std::uint32_t tier = 0;           // The contract's number.
  std::string slab;                 // The name of the shared memory, for shm_open(3),
  std::uint32_t slab_number = 0;    // the tier's number of it,
  std::uint64_t mapping_bytes = 0;  // its length,
  std::uint64_t offset_bytes = 0;   // and where in it the bytes begin.
};

// Leases that clients take without a command, as the catalog sees them: it says which copies may be
// held, and asks before it lets one go. Everything is answered at once, without I/O.
//
// A copy is published at most once at a time. Each watch() and close() of a copy is followed by one
// Unheld, a command, unless withdraw() or close() of the same copy comes between.
class Holds {
 public:
  virtual ~Holds() = default;

  // Somebody can hold, and there is room to publish more.
  virtual bool has_room() const = 0;

  // False: there is no room.
  virtual bool publish(const HeldPlace& place) = 0;

  // The payload's revision has changed, and nothing else.
  virtual void revise(std::uint64_t generation, std::uint64_t revision) = 0;

  // True: nobody holds the copy, and it is not published any more. False: somebody does; it stays
  // as it is.
  virtual bool withdraw(std::uint64_t generation) = 0;

  // To be told when nobody holds it. It may be held by others meanwhile.
  virtual void watch(std::uint64_t generation) = 0;

  // Nobody begins to hold it from now on. It ends to be published when nobody holds it.
  virtual void close(std::uint64_t generation) = 0;
};

}  // namespace pm::catalog
