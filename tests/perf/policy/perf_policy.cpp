// What a question to rules costs, in calls of a rule that does nothing: the facts filled, the
// budget on, lru.lua as it ships, with a journal of decisions and without; and what the built-in
// rules cost at a million payloads. The aims are microseconds, told as such calls.

#include <algorithm>
#include <string>
#include <utility>

#include "core/policy/decision_journal.h"
#include "core/policy/policy.h"
#include "core/policy/script_files.h"
#include "default_rules.h"
#include "report.h"
#include "temporary_directory.h"

namespace pm::perf {
namespace {

using namespace policy;  // NOLINT(google-build-using-namespace)

constexpr std::size_t batch = 64;
constexpr std::uint64_t mib = 1 << 20;

std::unique_ptr<Policy> load(SourceFile file) {
  return must(Policy::load({std::move(file)}), "load a policy");
}

std::unique_ptr<Policy> shipped(const std::string& name) {
  const std::string file = name + ".lua";
  return load(must(read_script(PM_PERF_SCRIPTS "/policies/" + file, file), "read " + file));
}

// A machine of four tiers.
std::vector<TierFacts> tiers() {
  std::vector<TierFacts> tiers(4);
  const char* const names[] = {"gpu", "shm", "disk", "s3"};
  for (std::size_t number = 0; number < tiers.size(); ++number) {
    tiers[number].name = names[number];
    tiers[number].rank = static_cast<std::int32_t>(number);
    tiers[number].capacity_bytes = (64 * 1'024 * mib) << (2 * number);
    tiers[number].used_bytes = tiers[number].capacity_bytes / 2;
  }
  return tiers;
}

PayloadFacts payload() {
  PayloadFacts payload;
  payload.id = "00112233-4455-6677-8899-aabbccddeeff";
  payload.size_bytes = 4 * mib;
  payload.labels = std::make_shared<catalog::Labels>(
      catalog::Labels{{"app", "train"}, {"env", "test"}, {"owner", "me"}});
  payload.tiers = {1, 2};
  return payload;
}

// Filled anew for each question, as the engine does.
PlaceFacts place_facts() {
  PlaceFacts facts;
  facts.tiers = tiers();
  facts.payload = payload();
  facts.client.name = "uid:1000";
  facts.client.used_bytes.resize(facts.tiers.size());
  facts.hint = 1;
  return facts;
}

SpillFacts spill_facts() {
  SpillFacts facts;
  facts.tiers = tiers();
  facts.tier = 1;
  facts.bytes_wanted = batch * 4 * mib;
  facts.candidates.assign(batch, payload());
  return facts;
}

// Microseconds of a call, for one round's time.
template <typename Call>
double cost_us(Call&& call) {
  constexpr int calls_at_once = 100;
  const double begin = now_seconds();
  double took = 0;
  std::uint64_t calls = 0;
  while (took < round_seconds() / 2) {
    for (int n = 0; n < calls_at_once; ++n) call();
    calls += calls_at_once;
    took = now_seconds() - begin;
  }
  return took * 1e6 / static_cast<double>(calls);
}

double empty_call_us() {
  static const auto policy =
      load({"empty.lua", "policy.retain {name = 'empty', rule = function() end}"});
  const RetainFacts facts;
  return cost_us([&] {
    RetainDecision decision;
    policy->ask(facts, decision);
  });
}

template <typename Ours>
void measure(const std::string& name, Ours&& ours, double aim_us = 5) {
  Rounds interleaved;
  double empty_us = 1e9;
  interleaved.run(rounds(), ours, [&] {
    const double us = empty_call_us();
    empty_us = std::min(empty_us, us);
    return us;
  });
  print(
      interleaved.figure(name, "us", "a call of an empty rule", {Aim::at_most, aim_us / empty_us}));
}

// Microseconds of a call for the one who asks: nobody waits for the journal's thread, but here it
// is let finish now and then, so that all is written and nothing dropped.
template <typename Call>
double journaled_us(DecisionJournal& journal, Call&& call) {
  constexpr int calls_at_once = 100;
  double took = 0;
  std::uint64_t calls = 0;
  while (took < round_seconds() / 2) {
    const double begin = now_seconds();
    for (int n = 0; n < calls_at_once; ++n) call();
    took += now_seconds() - begin;
    calls += calls_at_once;
    journal.flush();
  }
  must(journal.state().dropped == 0, "the journal takes all");
  must(journal.state().error.empty(), "the journal is written");
  return took * 1e6 / static_cast<double>(calls);
}

void measure_journaled() {
  const TemporaryDirectory directory;
  DecisionJournal journal({directory / "journal.jsonl", 64 * mib});
  journal.set_tiers(tiers());
  const auto lru = shipped("lru");
  measure("policy_place_lru_journaled", [&] {
    return journaled_us(journal, [&] {
      PlaceFacts facts = place_facts();
      PlaceDecision decision;
      const std::string rule = lru->ask(facts, decision);
      journal.note(std::move(facts), decision, rule);
    });
  });
  measure("policy_victim_lru_journaled", [&] {
    return journaled_us(journal,
                        [&] {
                          SpillFacts facts = spill_facts();
                          SpillDecision decision;
                          const std::string rule = lru->ask(facts, decision);
                          journal.note(std::move(facts), decision, rule);
                        }) /
           static_cast<double>(batch);
  });
}

// All that the catalog does for an allocation is in it, not the choice alone.
void measure_default() {
  FullCatalog catalog(quick() ? 100'000 : 1'000'000);
  const auto median_us = [](auto&& once) {
    std::vector<double> taken;
    for (int n = 0; n < 20'000; ++n) taken.push_back(once() * 1e6);
    return median(std::move(taken));
  };
  constexpr double place_aim_us = 1;
  constexpr double victim_aim_us = 2;
  measure(
      "policy_place_default", [&] { return median_us([&] { return catalog.let_in(); }); },
      place_aim_us);
  measure(
      "policy_victim_default", [&] { return median_us([&] { return catalog.let_in_and_out(); }); },
      victim_aim_us);
}

void measure_all() {
  measure_default();
  const auto lru = shipped("lru");
  measure("policy_place_lru", [&] {
    return cost_us([&] {
      PlaceDecision decision;
      must(lru->ask(place_facts(), decision).empty(), "lru places what fits");
    });
  });
  for (const char* name : {"lru", "hot-cold", "deadline"}) {
    const auto policy = shipped(name);
    measure(std::string("policy_victim_") + name, [&] {
      return cost_us([&] {
               SpillDecision decision;
               policy->ask(spill_facts(), decision);
             }) /
             static_cast<double>(batch);
    });
  }
  measure_journaled();
}

}  // namespace
}  // namespace pm::perf

int main() { return pm::perf::main_of("perf_policy", &pm::perf::measure_all); }
