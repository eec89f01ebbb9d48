#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/catalog/asking.h"
#include "core/catalog/extras.h"
#include "core/catalog/payload.h"

// What policies are told and what they answer, as plain data. Facts are as of one moment; whoever
// carries an answer out looks again whether it can be done.

namespace pm::policy {

using catalog::no_tier;
using catalog::TierIndex;
// Which candidates a rule is shown first.
using CandidateOrder = catalog::VictimOrder;

// A tier of the configuration and how full it is.
struct TierFacts {
  std::string name;
  std::uint32_t number = 0;  // The contract's.
  std::int32_t rank = 0;     // Lower is faster.
  bool keeps_bytes = true;
  bool survives_process = false;
  bool survives_power = false;
  TierIndex spill_to = no_tier;  // Where its victims go when nobody says otherwise.
  std::int32_t numa_node = -1;   // -1: none, or not known; also of gpu.
  std::int32_t gpu = -1;

  std::uint64_t capacity_bytes = UINT64_MAX;  // UINT64_MAX: no limit.
  std::uint64_t used_bytes = 0;               // By every copy, also those being made or removed.
  std::uint64_t leaving_bytes = 0;            // Of those: will be free without anyone's help.
  std::uint64_t waiting_bytes = 0;            // Asked for by those who wait for room.
  std::uint64_t bytes_per_second = 0;         // Written to it lately.
  bool in_service = true;
};

struct PayloadFacts {
  std::string id;  // As people write it; empty when there is none yet.
  std::uint64_t size_bytes = 0;
  std::uint64_t age_ms = 0;
  std::uint64_t expires_in_ms = UINT64_MAX;       // UINT64_MAX: never.
  std::shared_ptr<const catalog::Labels> labels;  // Null: none.
  catalog::Retention retention;
  std::vector<TierIndex> tiers;  // Of its good copies, the fastest first.
  std::uint32_t leases = 0;
  bool pinned = false;
  // Leases that were granted on it in this life of the host, the time since the last one (or since
  // it was made), and how many there were lately: older ones count half, a quarter and so on.
  std::uint64_t reads = 0;
  std::uint64_t unread_ms = 0;
  std::uint32_t frequency = 0;
};

// Who asks, and what is theirs.
struct ClientFacts {
  std::string name;  // Of the principal: "uid:1000", a certificate's subject, "anonymous".
  std::uint64_t payloads = 0;
  std::vector<std::uint64_t> used_bytes;  // On each tier.
  std::int32_t numa_node = -1;            // -1: not known; also of gpu.
  std::int32_t gpu = -1;
};

// Where does an allocation go?
struct PlaceFacts {
  std::vector<TierFacts> tiers;
  PayloadFacts payload;
  ClientFacts client;
  TierIndex hint = no_tier;  // What the client asked for.
};
struct PlaceDecision {
  TierIndex tier = no_tier;
  TierIndex copy_to = no_tier;  // Where a second copy is made once it is committed; no_tier: none.
};

// May this client allocate this much here? `tier` is where the allocation is about to go.
struct AdmitFacts {
  std::vector<TierFacts> tiers;
  PayloadFacts payload;
  ClientFacts client;
  TierIndex tier = no_tier;
};
struct AdmitDecision {
  bool admitted = true;
  std::string why;  // Not admitted: what the client is told.
};

// Which payloads leave a tier, and where to?
struct SpillFacts {
  std::vector<TierFacts> tiers;
  TierIndex tier = no_tier;
  std::uint64_t bytes_wanted = 0;        // Of its room.
  std::vector<PayloadFacts> candidates;  // In the order that the rule is asked for (see below).
};
struct Victim {
  std::uint32_t candidate = 0;  // Its place in the list, from 0.
  TierIndex target = no_tier;   // no_tier: where the payload, or else its tier, says.
};
struct SpillDecision {
  std::vector<Victim> victims;  // In this order, as many as are needed.
};

// Does a read pull the payload up?
struct PromoteFacts {
  std::vector<TierFacts> tiers;
  PayloadFacts payload;
  TierIndex tier = no_tier;    // Where it was read.
  TierIndex target = no_tier;  // The next faster tier that is in service and keeps bytes.
  bool has_victim = false;     // There is a payload that would leave the target first: `victim`.
  PayloadFacts victim;
};
struct PromoteDecision {
  TierIndex tier = no_tier;  // no_tier: it stays where it is.
};

// What happens at the end of a payload's time to live?
struct RetainFacts {
  std::vector<TierFacts> tiers;
  PayloadFacts payload;
};
struct RetainDecision {
  std::uint64_t keep_ms = 0;  // It lives so much longer; 0: it is deleted.
  TierIndex tier = no_tier;   // And leaves for this tier; no_tier: it stays where it is.
};

}  // namespace pm::policy
