// perf_scale: what calls cost with a million payloads against what they cost with a thousand, in
// this process; the time and the CPU time of allocate, commit, a lease of a random payload, and a
// page of 100 at a random place of the list.

#include <cstdio>

#include "filled_engine.h"
#include "report.h"

namespace pm::perf {
namespace {

void measure(const std::string& repository, double aim) {
  const std::size_t many = quick() ? 100'000 : 1'000'000;
  const std::string size = quick() ? "100k" : "1m";
  FilledEngine small(repository, 1000);
  FilledEngine large(repository, many);
  constexpr std::size_t calls = 1000;
  small.measure(calls);
  large.measure(calls);
  std::vector<std::pair<Costs, Costs>> taken;
  for (int round = 0; round < rounds(); ++round) {
    Costs first;
    if (round % 2 == 0) first = large.measure(calls);
    Costs reference = small.measure(calls);
    if (round % 2 != 0) first = large.measure(calls);
    taken.emplace_back(std::move(first), std::move(reference));
  }
  const auto tell = [&](const char* name, Cost Costs::*call) {
    Rounds p50;
    Rounds cpu;
    for (const auto& [ours, reference] : taken) {
      p50.add((ours.*call).p50_us(), (reference.*call).p50_us());
      cpu.add((ours.*call).cpu_us(), (reference.*call).cpu_us());
    }
    const std::string stem = "scale_" + repository + "_" + name + "_at_" + size;
    print(p50.figure(stem + "_p50", "us", "with 1,000 payloads", {Aim::at_most, aim}));
    print(cpu.figure(stem + "_cpu", "us/call", "with 1,000 payloads", {Aim::at_most, aim}));
  };
  tell("allocate", &Costs::allocate);
  tell("commit", &Costs::commit);
  tell("lease", &Costs::lease);
  tell("list_page", &Costs::list);
}

}  // namespace
}  // namespace pm::perf

int main() {
  using namespace pm::perf;
  return main_of("perf_scale", [] {
    measure("memory", 2);
    measure("sqlite", 3);
  });
}
