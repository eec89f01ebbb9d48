#include "report.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace pm::perf {

void must(bool condition, const std::string& words) {
  if (!condition) throw Failure(words);
}

void must(const Status& status, const std::string& doing) {
  if (!status.ok()) throw Failure(doing + ": " + status.to_string());
}

int main_of(const char* program, const std::function<void()>& body) {
  try {
    body();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return 1;
  }
}

bool quick() {
  static const char* const value = std::getenv("PM_PERF_QUICK");
  return value != nullptr && std::strcmp(value, "1") == 0;
}

int rounds() { return quick() ? 3 : 5; }

double round_seconds() { return quick() ? 0.3 : 1; }

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) { return percentile(std::move(values), 0.5); }

double percentile(std::vector<double> values, double share) {
  must(!values.empty(), "no samples");
  const auto at = static_cast<std::size_t>(static_cast<double>(values.size() - 1) * share + 0.5);
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

void print(const Figure& figure) {
  const bool least = figure.aim.direction == Aim::at_least;
  const bool meets = least ? figure.ratio >= figure.aim.bound : figure.ratio <= figure.aim.bound;
  std::printf(
      "{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"reference\": {\"name\": \"%s\", "
      "\"value\": %.6g}, \"ratio\": %.3f, \"aim\": \"%s %g\", \"meets_aim\": %s}\n",
      figure.name.c_str(), figure.value, figure.unit.c_str(), figure.reference_name.c_str(),
      figure.reference, figure.ratio, least ? ">=" : "<=", figure.aim.bound,
      meets ? "true" : "false");
  std::fflush(stdout);
}

Figure Rounds::figure(std::string name, std::string unit, std::string reference_name,
                      Aim aim) const {
  std::vector<double> ratios;
  for (std::size_t round = 0; round < ours_.size(); ++round) {
    ratios.push_back(ours_[round] / reference_[round]);
  }
  return {std::move(name),
          median(ours_),
          std::move(unit),
          std::move(reference_name),
          median(reference_),
          median(ratios),
          aim};
}

}  // namespace pm::perf
