// policy simulate: a trace is played through the engine's own catalog, without a host.

#include <ostream>

#include "core/simulate/decider.h"
#include "core/simulate/generators.h"
#include "policy_names.h"
#include "simulation.h"
#include "text.h"
#include "verbs.h"

namespace pm::ctl {
namespace {

constexpr std::uint64_t objects_max = 1 << 22;       // Of a trace that is made up.
constexpr std::uint64_t accesses_max = 100'000'000;  // 32 bytes each.
constexpr std::uint64_t cache_share = 10;            // The cache is one of so many parts.

Status wrong(const std::string& words) { return {Code::invalid_argument, words}; }

// Sizes of everything follow from the number of objects and accesses.
Result<SimulatedTrace> make_trace(const std::string& kind, const simulate::ZipfTrace& zipf) {
  SimulatedTrace trace{kind, {}, zipf.objects / cache_share * zipf.size_bytes};
  if (kind == "zipf") {
    trace.accesses = simulate::make_zipf(zipf);
  } else if (kind == "scan") {
    trace.accesses = simulate::make_scans({.zipf = zipf,
                                           .scan_objects = zipf.objects / cache_share,
                                           .accesses_between = zipf.accesses / cache_share});
  } else if (kind == "loop") {
    const std::size_t objects = zipf.objects / cache_share * 3 / 2;
    trace.accesses = simulate::make_loop(
        {.objects = objects, .accesses = zipf.accesses, .size_bytes = zipf.size_bytes});
  } else if (kind == "sized") {
    simulate::SizedTrace sized{.zipf = zipf};
    sized.zipf.size_bytes = 65'536;
    trace.accesses = simulate::make_sized(sized);
    trace.capacity_bytes = simulate::footprint_bytes(trace.accesses) / cache_share;
  } else {
    return wrong("--generate: '" + kind + "' is no trace: give zipf, scan, loop or sized");
  }
  return trace;
}

Result<SimulatedTrace> generate(const Arguments& arguments) {
  simulate::ZipfTrace zipf;
  const auto seed = arguments.count("seed", zipf.seed);
  if (!seed) return seed.status();
  const auto objects = arguments.count("objects", zipf.objects);
  if (!objects) return objects.status();
  const auto accesses = arguments.count("accesses", zipf.accesses);
  if (!accesses) return accesses.status();
  if (*objects < 2 * cache_share || *objects > objects_max) {
    return wrong("--objects: give a number from 20 to 4194304");
  }
  if (*accesses < cache_share || *accesses > accesses_max) {
    return wrong("--accesses: give a number from 10 to 100000000");
  }
  zipf.seed = *seed;
  zipf.objects = *objects;
  zipf.accesses = *accesses;
  return make_trace(arguments.text("generate"), zipf);
}

// A rule that failed was passed over, so the figures are not those of the script.
int tell_failures(const policy::Policy& policy, const Context& context) {
  int exit_status = exit_ok;
  for (const policy::RuleState& rule : policy.rules().states()) {
    if (rule.counts.failed == 0) continue;
    exit_status = context.fail({Code::unknown, std::string(policy::hook_name(rule.hook)) + "." +
                                                   rule.name + " failed: " + rule.last_error});
  }
  return exit_status;
}

Result<std::unique_ptr<policy::Policy>> load(const std::vector<std::string>& names) {
  const auto files = find_policies(names);
  if (!files) return files.status();
  return policy::Policy::load(*files);
}

std::string joined(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : "+") + name;
  return all.empty() ? "default" : all;
}

}  // namespace

Result<SimulatedTrace> trace_of(const Arguments& arguments) {
  if (arguments.has("trace") == arguments.has("generate")) {
    return wrong("policy simulate: give a trace's file, or --generate and what");
  }
  for (const char* option : {"seed", "objects", "accesses"}) {
    if (!arguments.has(option) || arguments.has("generate")) continue;
    return wrong(std::string("--") + option + ": it goes with --generate");
  }
  Result<std::uint64_t> capacity = std::uint64_t{0};
  if (arguments.has("capacity")) capacity = parse_size(arguments.text("capacity"));
  if (!capacity) return wrong("--capacity: " + capacity.status().message());
  SimulatedTrace trace;
  if (arguments.has("generate")) {
    auto made = generate(arguments);
    if (!made) return made.status();
    trace = *std::move(made);
  } else {
    if (!arguments.has("capacity")) return wrong("policy simulate: give --capacity SIZE");
    trace.name = arguments.text("trace");
  }
  if (arguments.has("capacity")) trace.capacity_bytes = *capacity;
  return trace;
}

int run_policy_simulate(const Context& context) {
  const std::vector<std::string> names = context.arguments.texts("policy");
  auto trace = trace_of(context.arguments);
  if (!trace) return context.refuse(trace.status());
  const auto policy = load(names);
  if (!policy) return context.fail({Code::unknown, policy.status().message()});
  if (trace->accesses.empty()) {
    auto read = simulate::read_trace(trace->name);
    if (!read) return context.fail({Code::unknown, read.status().message()});
    trace->accesses = *std::move(read);
  }
  simulate::Simulator simulator(simulate::two_tiers(trace->capacity_bytes),
                                simulate::decider_of(**policy));
  if (const Status status = simulator.run(trace->accesses); !status) return context.fail(status);
  const Simulated simulated{joined(names), simulator.result(),
                            simulate::run_lru(trace->accesses, trace->capacity_bytes),
                            simulate::run_lfu(trace->accesses, trace->capacity_bytes),
                            simulate::run_belady(trace->accesses, trace->capacity_bytes)};
  print(*trace, simulated, context);
  return tell_failures(**policy, context);
}

}  // namespace pm::ctl
