#pragma once

#include <chrono>
#include <cstdint>
#include <random>
#include <string>

// What every test of faults has: a seed, a count, and a last line that tells what was done.

namespace pm::faults {

class Campaign {
 public:
  // `count`: of faults, where PM_FAULTS does not say another one. The seed is PM_SEED, or else
  // another one each time; both are printed.
  Campaign(std::string name, int count);

  int count() const { return count_; }
  unsigned seed() const { return seed_; }
  std::uint64_t draw(std::uint64_t bound) { return random_() % bound; }
  bool chance(unsigned percent) { return draw(100) < percent; }

  // Prints "faults NAME: N faults, WHAT, seed S, T s".
  void tell(int faults, const std::string& what) const;

 private:
  const std::string name_;
  const int count_;
  const unsigned seed_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::mt19937_64 random_;
};

}  // namespace pm::faults
