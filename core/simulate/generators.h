#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "core/simulate/trace.h"

// Traces made up from a seed. They are the same on every machine: the numbers come from
// std::mt19937_64, whose outputs the standard fixes, and everything behind it is arithmetic of
// integers, since neither the standard's distributions nor its logarithms are the same everywhere.
// Accesses are reads, 1 ms apart.

namespace pm::simulate {

// Draws a rank from 0 to n - 1, of which k comes with a weight of 1 / (k + 1)^s: a search in the
// table of the sums of weights.
class ZipfSampler {
 public:
  // At most 2^22 objects; s from 0 (all alike) to 8, in steps of 2^-20.
  ZipfSampler(std::size_t objects, double s);
  std::uint64_t draw(std::mt19937_64& random) const;

 private:
  std::vector<std::uint64_t> sums_;
};

struct ZipfTrace {
  std::uint64_t seed = 1;
  std::size_t objects = 100'000;
  double s = 0.9;
  std::size_t accesses = 1'000'000;
  std::uint64_t size_bytes = 4096;
};

// The id is the rank: 0 is the object that is read most.
std::vector<Access> make_zipf(const ZipfTrace& wanted);

// After each `accesses_between` accesses of Zipf comes a scan: `scan_objects` reads of objects that
// are read at no other time, as a backup or a first pass over new data does. No cache can have
// them, and who lets them in loses what was worth keeping. Both count among the accesses.
struct ScanTrace {
  ZipfTrace zipf;
  std::size_t scan_objects = 10'000;
  std::size_t accesses_between = 100'000;
};
std::vector<Access> make_scans(const ScanTrace& wanted);

// Object after object, over and over.
struct LoopTrace {
  std::size_t objects = 15'000;
  std::size_t accesses = 1'000'000;
  std::uint64_t size_bytes = 4096;
};
std::vector<Access> make_loop(const LoopTrace& wanted);

// Zipf over objects each of which has a size of its own, whatever its rank: 2^x bytes, where x is
// nearly normal (the sum of twelve uniform numbers), so sizes are nearly log-normal. About two
// thirds lie within `spread` octaves of the median, and none beyond six times that.
struct SizedTrace {
  ZipfTrace zipf;  // Its size is the median.
  double spread = 2.0;
};
std::vector<Access> make_sized(const SizedTrace& wanted);

// The sum of the sizes of all objects, each once, as first seen.
std::uint64_t footprint_bytes(const std::vector<Access>& trace);

}  // namespace pm::simulate
