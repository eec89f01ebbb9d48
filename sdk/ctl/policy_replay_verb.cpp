// policy replay: another policy is tried on what a host has recorded, without a host.

#include <algorithm>
#include <boost/json/array.hpp>
#include <iomanip>
#include <ostream>
#include <sstream>

#include "core/simulate/replay.h"
#include "policy_names.h"
#include "text.h"
#include "verbs.h"

namespace pm::ctl {
namespace {

namespace json = boost::json;
using simulate::ReplayResult;
using simulate::SimulationResult;

std::string time_text(std::int64_t ns) {
  return iso_time(client::WallTime(std::chrono::nanoseconds(ns)));
}

std::uint64_t moved_bytes(const SimulationResult& result) {
  std::uint64_t bytes = 0;
  for (const simulate::TierResult& tier : result.tiers) bytes += tier.moved_in_bytes;
  return bytes;
}

std::string percent(std::uint64_t part, std::uint64_t whole) {
  std::ostringstream text;
  const double share =
      whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
  text << std::fixed << std::setprecision(2) << share;
  return text.str();
}

std::uint64_t reads_of(const ReplayResult& result) {
  std::uint64_t reads = 0;
  for (const simulate::RecordedReads& tier : result.reads) reads += tier.reads;
  return reads;
}

// ---- for people ----

void print_decisions(const ReplayResult& result, std::ostream& out) {
  out << "Decisions, taken anew from the facts that were recorded (a hook for which no rule was\n"
         "loaded then is not in the journal):\n";
  Table table(out, {"HOOK", "DECISIONS", "SAME", "DIFFERENT"});
  for (std::size_t number = 0; number < policy::hooks_count; ++number) {
    const simulate::DecisionCounts& counts = result.hooks[number];
    table.add({policy::hook_name(static_cast<policy::Hook>(number)),
               std::to_string(counts.decisions), std::to_string(counts.same),
               std::to_string(counts.different())});
  }
  table.flush();
  if (!result.differences.empty()) {
    out << "\nThe first " << result.differences.size() << " that differ:\n";
  }
  for (const simulate::Difference& difference : result.differences) {
    out << time_text(difference.at_ns) << ' ' << policy::hook_name(difference.hook) << ' '
        << (difference.about.empty() ? "" : difference.about + ", ") << difference.size_bytes
        << " bytes: " << difference.before << " -> " << difference.after << '\n';
  }
  for (const policy::RuleState& rule : result.failing) {
    out << "The rule '" << rule.name << "' of " << policy::hook_name(rule.hook) << " ("
        << rule.where << ") failed " << rule.counts.failed << " times: " << rule.last_error << '\n';
  }
  if (result.orders_differ) {
    out << "The policies want candidates in different orders; those recorded are in the old one.\n";
  }
}

void print_recorded(const ReplayResult& result, std::ostream& out) {
  const std::uint64_t reads = reads_of(result);
  out << "\nReads as they were, by the tier that served them:\n";
  Table table(out, {"TIER", "READS", "PERCENT", "BYTES"});
  for (const simulate::RecordedReads& tier : result.reads) {
    table.add({tier.tier, std::to_string(tier.reads), percent(tier.reads, reads),
               std::to_string(tier.read_bytes)});
  }
  table.flush();
}

void print_simulated(const ReplayResult& result, std::ostream& out) {
  if (!result.not_simulated.empty()) out << "\nNot simulated: " << result.not_simulated << '\n';
  if (!result.after) return;
  const SimulationResult& after = *result.after;
  const SimulationResult* before = result.before ? &*result.before : nullptr;
  out << "\nThe " << reads_of(result) << " reads, " << result.writes << " writes and "
      << result.removals
      << " deletions simulated,\nfrom empty tiers of the recorded capacities (the slowest without "
         "a limit; no labels,\n"
         "clients or times to live), with the policy that was in use at last, and the other one:\n";
  Table table(out, {"SIMULATED", "BEFORE", "AFTER"});
  const auto row = [&](const std::string& name, auto&& value) {
    table.add({name, before == nullptr ? "" : value(*before), value(after)});
  };
  for (std::size_t tier = 0; tier < after.tiers.size(); ++tier) {
    row("reads_percent_" + after.tiers[tier].name, [tier](const SimulationResult& simulated) {
      return percent(simulated.tiers[tier].reads, simulated.hits.reads);
    });
  }
  row("bytes_moved",
      [](const SimulationResult& simulated) { return std::to_string(moved_bytes(simulated)); });
  row("promoted",
      [](const SimulationResult& simulated) { return std::to_string(simulated.promoted); });
  row("spilled",
      [](const SimulationResult& simulated) { return std::to_string(simulated.spilled); });
  row("dropped",
      [](const SimulationResult& simulated) { return std::to_string(simulated.dropped); });
  table.flush();
  if (before == nullptr) return;
  out << "Spills avoided: "
      << static_cast<std::int64_t>(before->spilled) - static_cast<std::int64_t>(after.spilled)
      << '\n';
}

void print_text(const ReplayResult& result, std::ostream& out) {
  for (const std::string& file : result.files)
    out << (&file == result.files.data() ? "" : ", ") << file;
  out << ": " << result.lines << " lines, " << time_text(result.first_ns) << " to "
      << time_text(result.last_ns);
  if (result.torn != 0) out << ", a torn line passed over";
  out << "\n\n";
  print_decisions(result, out);
  if (!result.reads.empty()) print_recorded(result, out);
  print_simulated(result, out);
}

// ---- for programs ----

json::value simulation_json(const std::optional<SimulationResult>& result) {
  if (!result) return nullptr;
  json::array tiers;
  for (const simulate::TierResult& tier : result->tiers) {
    tiers.push_back(json::object{{"tier", tier.name},
                                 {"reads", tier.reads},
                                 {"readBytes", tier.read_bytes},
                                 {"movedIn", tier.moved_in},
                                 {"movedInBytes", tier.moved_in_bytes}});
  }
  return json::object{{"reads", result->hits.reads},  {"hits", result->hits.hits},
                      {"tiers", std::move(tiers)},    {"bytesMoved", moved_bytes(*result)},
                      {"promoted", result->promoted}, {"spilled", result->spilled},
                      {"dropped", result->dropped}};
}

json::object to_json(const ReplayResult& result) {
  json::object object;
  json::array files;
  for (const std::string& file : result.files) files.emplace_back(file);
  object["files"] = std::move(files);
  object["lines"] = result.lines;
  object["tornLines"] = result.torn;
  object["from"] = time_text(result.first_ns);
  object["until"] = time_text(result.last_ns);
  json::array hooks;
  for (std::size_t number = 0; number < policy::hooks_count; ++number) {
    const simulate::DecisionCounts& counts = result.hooks[number];
    hooks.push_back(json::object{{"hook", policy::hook_name(static_cast<policy::Hook>(number))},
                                 {"decisions", counts.decisions},
                                 {"same", counts.same},
                                 {"different", counts.different()}});
  }
  object["hooks"] = std::move(hooks);
  json::array differences;
  for (const simulate::Difference& difference : result.differences) {
    differences.push_back(json::object{{"time", time_text(difference.at_ns)},
                                       {"hook", policy::hook_name(difference.hook)},
                                       {"about", difference.about},
                                       {"sizeBytes", difference.size_bytes},
                                       {"before", difference.before},
                                       {"after", difference.after}});
  }
  object["differences"] = std::move(differences);
  json::array failing;
  for (const policy::RuleState& rule : result.failing) {
    failing.push_back(json::object{{"hook", policy::hook_name(rule.hook)},
                                   {"rule", rule.name},
                                   {"where", rule.where},
                                   {"failed", rule.counts.failed},
                                   {"lastError", rule.last_error}});
  }
  object["failingRules"] = std::move(failing);
  object["ordersDiffer"] = result.orders_differ;
  object["writes"] = result.writes;
  object["deletions"] = result.removals;
  json::array reads;
  for (const simulate::RecordedReads& tier : result.reads) {
    reads.push_back(
        json::object{{"tier", tier.tier}, {"reads", tier.reads}, {"readBytes", tier.read_bytes}});
  }
  object["recordedReads"] = std::move(reads);
  object["simulatedBefore"] = simulation_json(result.before);
  object["simulatedAfter"] = simulation_json(result.after);
  object["notSimulated"] = result.not_simulated;
  return object;
}

}  // namespace

int run_policy_replay(const Context& context) {
  const std::vector<std::string> wanted = context.arguments.texts("policy");
  if (wanted.empty()) {
    return context.refuse({Code::invalid_argument, "policy replay: --policy is missing"});
  }
  const auto files = find_policies(wanted);
  // The words begin with file and line; no code is anybody's.
  if (!files.ok()) return context.fail({Code::unknown, files.status().message()});
  const auto result = simulate::replay(context.arguments.text("journal"), *files);
  if (!result.ok()) return context.fail({Code::unknown, result.status().message()});
  if (context.format == Format::json) {
    print_json(to_json(*result), context.out);
  } else {
    print_text(*result, context.out);
  }
  return exit_ok;
}

}  // namespace pm::ctl
