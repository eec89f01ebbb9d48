#include "core/simulate/generators.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace pm::simulate {

namespace {

// Logarithms count in steps of 2^-32, and mantissas from 1 to 2 in steps of 2^-31.
constexpr int log_bits = 32;
constexpr int mantissa_bits = 31;
constexpr int parameter_bits = 20;
constexpr int weight_bits = 40;  // Of the weight of rank 0.

// The binary logarithm of x > 0, bit by bit: squaring doubles it (D. E. Knuth, The Art of Computer
// Programming, volume 1, exercise 1.2.2-25).
std::int64_t log2_of(std::uint64_t x) {
  const int whole = static_cast<int>(std::bit_width(x)) - 1;
  std::uint64_t mantissa =
      whole >= mantissa_bits ? x >> (whole - mantissa_bits) : x << (mantissa_bits - whole);
  std::uint64_t fraction = 0;
  for (int bit = 0; bit < log_bits; ++bit) {
    mantissa = (mantissa * mantissa) >> mantissa_bits;
    fraction <<= 1;
    if (mantissa >> (mantissa_bits + 1) != 0) {
      mantissa >>= 1;
      fraction |= 1;
    }
  }
  return (static_cast<std::int64_t>(whole) << log_bits) + static_cast<std::int64_t>(fraction);
}

std::uint64_t square_root(std::uint64_t x) {
  std::uint64_t root = 0;
  for (std::uint64_t bit = 1ULL << 31; bit != 0; bit >>= 1) {
    if ((root + bit) * (root + bit) <= x) root += bit;
  }
  return root;
}

// 2^(1/2), 2^(1/4), 2^(1/8) ... as mantissas.
const std::array<std::uint64_t, log_bits>& roots_of_two() {
  static const std::array<std::uint64_t, log_bits> roots = [] {
    std::array<std::uint64_t, log_bits> made{};
    std::uint64_t last = 2ULL << mantissa_bits;
    for (std::uint64_t& root : made) root = last = square_root(last << mantissa_bits);
    return made;
  }();
  return roots;
}

// 2^(log + scale), rounded down; at most 2^63.
std::uint64_t power_of_two(std::int64_t log, int scale) {
  const auto whole = static_cast<int>(log >> log_bits);
  const auto fraction = static_cast<std::uint64_t>(log) & ((1ULL << log_bits) - 1);
  std::uint64_t mantissa = 1ULL << mantissa_bits;
  for (int bit = 0; bit < log_bits; ++bit) {
    if ((fraction >> (log_bits - 1 - bit) & 1) == 0) continue;
    mantissa = (mantissa * roots_of_two()[static_cast<std::size_t>(bit)]) >> mantissa_bits;
  }
  const int shift = whole + scale - mantissa_bits;
  if (shift >= 0) return mantissa << std::min(shift, mantissa_bits);
  return -shift >= 64 ? 0 : mantissa >> -shift;
}

// A parameter of the caller's in steps of 2^-20. Exact in every IEEE 754 arithmetic.
std::int64_t fixed(double parameter) {
  return static_cast<std::int64_t>(std::floor(parameter * (1 << parameter_bits) + 0.5));
}

// Every number below `end` is as likely as any other: those that would make the first ones likelier
// are drawn again.
std::uint64_t draw_below(std::uint64_t end, std::mt19937_64& random) {
  const std::uint64_t surplus = (UINT64_MAX % end + 1) % end;
  for (;;) {
    const std::uint64_t number = random();
    if (number <= UINT64_MAX - surplus) return number % end;
  }
}

// Nearly normal, of variance 1, in steps of 2^-32.
std::int64_t draw_normal(std::mt19937_64& random) {
  std::int64_t sum = -(std::int64_t{6} << log_bits);
  for (int pair = 0; pair < 6; ++pair) {
    const std::uint64_t both = random();
    sum += static_cast<std::int64_t>(both >> 32) + static_cast<std::int64_t>(both & UINT32_MAX);
  }
  return sum;
}

}  // namespace

ZipfSampler::ZipfSampler(std::size_t objects, double s) : sums_(std::max<std::size_t>(objects, 1)) {
  const std::int64_t exponent = fixed(s);
  std::uint64_t sum = 0;
  for (std::size_t rank = 0; rank < sums_.size(); ++rank) {
    const std::int64_t log = (log2_of(rank + 1) * exponent) >> parameter_bits;
    sum += std::max<std::uint64_t>(power_of_two(-log, weight_bits), 1);
    sums_[rank] = sum;
  }
}

std::uint64_t ZipfSampler::draw(std::mt19937_64& random) const {
  const std::uint64_t number = draw_below(sums_.back(), random);
  const auto found = std::upper_bound(sums_.begin(), sums_.end(), number);
  return static_cast<std::uint64_t>(found - sums_.begin());
}

std::vector<Access> make_zipf(const ZipfTrace& wanted) {
  const ZipfSampler sampler(wanted.objects, wanted.s);
  std::mt19937_64 random(wanted.seed);
  std::vector<Access> trace(wanted.accesses);
  for (std::size_t at = 0; at < trace.size(); ++at) {
    trace[at] = {at, sampler.draw(random), wanted.size_bytes, Op::read};
  }
  return trace;
}

std::vector<Access> make_scans(const ScanTrace& wanted) {
  const ZipfSampler sampler(wanted.zipf.objects, wanted.zipf.s);
  std::mt19937_64 random(wanted.zipf.seed);
  std::vector<Access> trace(wanted.zipf.accesses);
  const std::size_t period = wanted.accesses_between + wanted.scan_objects;
  std::uint64_t unseen = wanted.zipf.objects;
  for (std::size_t at = 0; at < trace.size(); ++at) {
    const bool scans = at % period >= wanted.accesses_between;
    const std::uint64_t id = scans ? unseen++ : sampler.draw(random);
    trace[at] = {at, id, wanted.zipf.size_bytes, Op::read};
  }
  return trace;
}

std::vector<Access> make_loop(const LoopTrace& wanted) {
  std::vector<Access> trace(wanted.accesses);
  for (std::size_t at = 0; at < trace.size(); ++at) {
    trace[at] = {at, at % wanted.objects, wanted.size_bytes, Op::read};
  }
  return trace;
}

std::vector<Access> make_sized(const SizedTrace& wanted) {
  std::vector<Access> trace = make_zipf(wanted.zipf);
  // Of its own seed, so that the accesses are those of the same trace with equal sizes.
  std::mt19937_64 random(~wanted.zipf.seed);
  const std::int64_t median = log2_of(std::max<std::uint64_t>(wanted.zipf.size_bytes, 1));
  const std::int64_t spread = fixed(wanted.spread);
  std::vector<std::uint64_t> sizes(wanted.zipf.objects);
  for (std::uint64_t& bytes : sizes) {
    const std::int64_t log = median + ((draw_normal(random) * spread) >> parameter_bits);
    bytes = std::max<std::uint64_t>(power_of_two(log, 0), 1);
  }
  for (Access& access : trace) access.size_bytes = sizes[access.id];
  return trace;
}

std::uint64_t footprint_bytes(const std::vector<Access>& trace) {
  std::vector<bool> seen;
  std::uint64_t sum = 0;
  for (const Access& access : trace) {
    if (access.id >= seen.size()) seen.resize(access.id + 1 + access.id / 2);
    if (!seen[access.id]) sum += access.size_bytes;
    seen[access.id] = true;
  }
  return sum;
}

}  // namespace pm::simulate
