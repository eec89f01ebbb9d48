// How the outcome of policy simulate looks.

#include <array>
#include <boost/json/array.hpp>
#include <cstdio>
#include <ostream>

#include "core/simulate/generators.h"
#include "simulation.h"

namespace pm::ctl {
namespace {

using simulate::HitCounts;

struct Count {
  const char* column;
  const char* key;
  std::uint64_t value;
};

std::string decimals(double number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f", number);
  return text.data();
}

double share_of(double rate, double whole) { return whole == 0 ? 0 : rate / whole; }

// Caches beside each other, the policy first.
struct Rates {
  std::string name;
  const HitCounts& counts;
};
std::vector<Rates> rates_of(const Simulated& simulated) {
  return {{simulated.policy, simulated.result.hits},
          {"LRU", simulated.lru},
          {"LFU", simulated.lfu},
          {"Belady", simulated.belady}};
}

std::vector<Count> trace_counts(const SimulatedTrace& trace, const HitCounts& hits) {
  return {{"ACCESSES", "accesses", trace.accesses.size()},
          {"READS", "reads", hits.reads},
          {"READ_BYTES", "readBytes", hits.read_bytes},
          {"FOOTPRINT_BYTES", "footprintBytes", simulate::footprint_bytes(trace.accesses)},
          {"CAPACITY_BYTES", "capacityBytes", trace.capacity_bytes}};
}

std::vector<Count> move_counts(const simulate::SimulationResult& result) {
  return {{"PROMOTED", "promoted", result.promoted},
          {"BYTES_UP", "bytesUp", result.tiers.front().moved_in_bytes},
          {"LEFT_BELOW", "leftBelow", result.left},
          {"SPILLED", "spilled", result.spilled},
          {"BYTES_DOWN", "bytesDown", result.spilled_bytes},
          {"DROPPED", "dropped", result.dropped},
          {"REFUSED", "refused", result.refused},
          {"WRITES_DECLINED", "writesDeclined", result.writes_declined},
          {"WRITES_REFUSED", "writesRefused", result.writes_refused}};
}

void print_counts(const std::vector<Count>& counts, std::ostream& out) {
  std::vector<std::string> columns;
  std::vector<std::string> values;
  for (const Count& count : counts) {
    columns.emplace_back(count.column);
    values.push_back(std::to_string(count.value));
  }
  Table table(out, columns);
  table.add(values);
  table.flush();
}

boost::json::object counts_json(const std::vector<Count>& counts) {
  boost::json::object object;
  for (const Count& count : counts) object[count.key] = count.value;
  return object;
}

void print_tables(const SimulatedTrace& trace, const Simulated& simulated, std::ostream& out) {
  print_counts(trace_counts(trace, simulated.result.hits), out);
  out << '\n';
  Table table(out, {"POLICY", "HITS_PERCENT", "BYTE_HITS_PERCENT", "PERCENT_OF_BELADY"});
  for (const auto& [name, counts] : rates_of(simulated)) {
    constexpr double percent = 100;
    table.add({name, decimals(percent * counts.rate()), decimals(percent * counts.byte_rate()),
               decimals(percent * share_of(counts.rate(), simulated.belady.rate()))});
  }
  table.flush();
  out << '\n';
  print_counts(move_counts(simulated.result), out);
}

boost::json::object simulated_json(const SimulatedTrace& trace, const Simulated& simulated) {
  boost::json::object object;
  object["trace"] = trace.name;
  object["counts"] = counts_json(trace_counts(trace, simulated.result.hits));
  boost::json::array caches;
  for (const auto& [name, counts] : rates_of(simulated)) {
    boost::json::object cache;
    cache["name"] = name;
    cache["hits"] = counts.hits;
    cache["hitBytes"] = counts.hit_bytes;
    cache["hitRate"] = counts.rate();
    cache["byteHitRate"] = counts.byte_rate();
    cache["ofBelady"] = share_of(counts.rate(), simulated.belady.rate());
    caches.push_back(std::move(cache));
  }
  object["policies"] = std::move(caches);
  object["moves"] = counts_json(move_counts(simulated.result));
  return object;
}

}  // namespace

void print(const SimulatedTrace& trace, const Simulated& simulated, const Context& context) {
  if (context.format == Format::json) {
    print_json(simulated_json(trace, simulated), context.out);
  } else {
    print_tables(trace, simulated, context.out);
  }
}

}  // namespace pm::ctl
