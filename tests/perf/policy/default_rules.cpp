#include "default_rules.h"

#include <cstring>
#include <utility>

#include "report.h"

namespace pm::perf {

namespace {

std::vector<catalog::TierFacts> tiers(std::uint64_t capacity_bytes) {
  const std::uint8_t keeps = catalog::traits_keeps_bytes | catalog::traits_survives_process;
  catalog::TierFacts fast;
  fast.traits = keeps;
  fast.rank = 20;
  fast.capacity_bytes = capacity_bytes;
  fast.granularity_bytes = 4096;
  fast.spill_to = 1;
  catalog::TierFacts slow;
  slow.traits = keeps | catalog::traits_survives_power;
  slow.rank = 30;
  return {fast, slow};
}

}  // namespace

FullCatalog::FullCatalog(std::uint64_t payloads)
    : catalog_(std::make_unique<catalog::Catalog>(catalog::Limits{},
                                                  tiers(payloads * payload_bytes), 1)) {
  for (std::uint64_t n = 0; n < payloads; ++n) {
    const catalog::Id id = next_id();
    allocate(id);
    commit(id);
  }
  must(catalog_->counts().tiers[0].copies == payloads, "the fast tier is not full");
}

catalog::Id FullCatalog::next_id() {
  catalog::Id id;
  const std::uint64_t number = ++ids_;
  const std::uint64_t spread = catalog::hash_of(number);
  std::memcpy(id.bytes.data(), &spread, sizeof spread);
  std::memcpy(id.bytes.data() + sizeof spread, &number, sizeof number);
  return last_ = id;
}

double FullCatalog::let_in_and_out() {
  const catalog::Id id = next_id();
  const double took = allocate(id);
  must(!effects_.empty() && std::holds_alternative<catalog::MoveEffect>(effects_.front()),
       "nobody leaves");
  commit(id);
  return took;
}

double FullCatalog::let_in() {
  // The last one makes room.
  catalog::Delete gone;
  gone.id = last_;
  apply(gone);
  do_effects();
  const catalog::Id id = next_id();
  const double took = allocate(id);
  must(!effects_.empty() && std::holds_alternative<catalog::AllocateEffect>(effects_.front()),
       "it is not let in");
  commit(id);
  return took;
}

double FullCatalog::allocate(const catalog::Id& id) {
  catalog::Allocate command;
  command.ticket = 1;
  command.id = id;
  command.size_bytes = payload_bytes;
  command.tier = 0;
  const double begin = now_seconds();
  apply(command);
  return now_seconds() - begin;
}

void FullCatalog::commit(const catalog::Id& id) {
  do_effects();
  catalog::Commit command;
  command.id = id;
  apply(command);
  do_effects();
}

void FullCatalog::apply(const catalog::Command& command) {
  changes_.clear();
  catalog_->apply(command, now_, changes_);
  for (catalog::Effect& effect : changes_.effects) effects_.push_back(std::move(effect));
}

void FullCatalog::do_effects() {
  while (!effects_.empty()) {
    const catalog::Effect effect = std::move(effects_.front());
    effects_.pop_front();
    if (const auto* made = std::get_if<catalog::AllocateEffect>(&effect)) {
      apply(catalog::Allocated{made->operation, {}, {}});
    } else if (const auto* seal = std::get_if<catalog::SealEffect>(&effect)) {
      apply(catalog::Sealed{.operation = seal->operation, .outcome = {}});
    } else if (const auto* move = std::get_if<catalog::MoveEffect>(&effect)) {
      apply(catalog::Moved{move->operation, {}, {}, {}, false});
    } else {
      const auto& gone = std::get<catalog::RemoveEffect>(effect);
      apply(catalog::Removed{gone.object.generation, {}});
    }
  }
}

}  // namespace pm::perf
