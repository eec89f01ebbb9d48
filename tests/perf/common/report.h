#pragma once

#include <functional>
#include <pm/cpp/result.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// How figures are taken and told: in rounds, ours and the reference in turns, one JSON object a
// line.

namespace pm::perf {

// What cannot be measured because something broke. main_of() reports it.
class Failure : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws Failure unless all is well.
void must(bool condition, const std::string& words);
void must(const Status& status, const std::string& doing);
template <typename Value>
Value must(Result<Value> result, const std::string& doing) {
  must(result.status(), doing);
  return *std::move(result);
}

// Runs `body`, and gives what main() returns: 0, or 1 with words on stderr when something broke.
int main_of(const char* program, const std::function<void()>& body);

// PM_PERF_QUICK=1: shorter, for trying out; its figures are rough.
bool quick();
int rounds();            // 5; 3 when quick.
double round_seconds();  // 1; 0.3 when quick.

double now_seconds();  // CLOCK_MONOTONIC
double median(std::vector<double> values);
double percentile(std::vector<double> values, double share);  // 0 <= share <= 1

struct Aim {
  enum Direction { at_least, at_most } direction;
  double bound;
};

struct Figure {
  std::string name;
  double value = 0;
  std::string unit;
  std::string reference_name;
  double reference = 0;
  double ratio = 0;
  Aim aim{};
};
void print(const Figure& figure);

// The samples of interleaved rounds. Neighbours in time are compared with each other: the ratio
// told is the median of each round's, as the machine may be slower in one round than in the next.
class Rounds {
 public:
  void add(double ours, double reference) {
    ours_.push_back(ours);
    reference_.push_back(reference);
  }
  // Runs both in turns, the first one alternating; each gives its sample.
  template <typename Ours, typename Reference>
  void run(int count, Ours&& ours, Reference&& reference) {
    for (int round = 0; round < count; ++round) {
      double first = 0;
      if (round % 2 == 0) first = ours();
      const double other = reference();
      if (round % 2 != 0) first = ours();
      add(first, other);
    }
  }
  Figure figure(std::string name, std::string unit, std::string reference_name, Aim aim) const;

 private:
  std::vector<double> ours_;
  std::vector<double> reference_;
};

}  // namespace pm::perf
