#include <algorithm>
#include <array>
#include <cmath>

#include "facts_writer.h"
#include "reader.h"
#include "views.h"

// Every field of the facts: what scripts see, what examples give, and what the journal keeps.

namespace pm::policy {

namespace {

using State = lua_State*;

// -1: not known.
void push_known(State lua, std::int32_t number) {
  if (number < 0) return lua_pushnil(lua);
  lua_pushinteger(lua, number);
}

// UINT64_MAX: no limit.
void push_limit(State lua, std::uint64_t limit) {
  if (limit != UINT64_MAX) return push_count(lua, limit);
  lua_pushnumber(lua, HUGE_VAL);
}

void push_text(State lua, std::string_view text) { lua_pushlstring(lua, text.data(), text.size()); }

// What is as it is when nothing is said does not have to be written.
template <auto member, typename Object>
bool is_said(const Object& object) {
  static const Object silent;
  return object.*member != silent.*member;
}

// A member that is pushed, read and written as it is.
template <auto member, typename Object>
constexpr Field<Object> count_field(const char* name) {
  return {name, [](State lua, Scope&, const Object& object) { push_count(lua, object.*member); },
          [](Reader& reader, Object& object) {
            using Member = std::remove_reference_t<decltype(object.*member)>;
            object.*member = static_cast<Member>(reader.count(static_cast<Member>(-1)));
          },
          [](FactsWriter& writer, const char* name, const Object& object) {
            if (is_said<member>(object)) writer.count(name, object.*member);
          }};
}
template <auto member, typename Object>
constexpr Field<Object> flag_field(const char* name) {
  return {name,
          [](State lua, Scope&, const Object& object) { lua_pushboolean(lua, object.*member); },
          [](Reader& reader, Object& object) { object.*member = reader.flag(); },
          [](FactsWriter& writer, const char* name, const Object& object) {
            if (is_said<member>(object)) writer.flag(name, object.*member);
          }};
}
template <auto member, typename Object>
constexpr Field<Object> text_field(const char* name) {
  return {name, [](State lua, Scope&, const Object& object) { push_text(lua, object.*member); },
          [](Reader& reader, Object& object) { object.*member = reader.text(); },
          [](FactsWriter& writer, const char* name, const Object& object) {
            if (is_said<member>(object)) writer.text(name, object.*member);
          }};
}
template <auto member, typename Object>
constexpr Field<Object> known_field(const char* name) {
  return {name, [](State lua, Scope&, const Object& object) { push_known(lua, object.*member); },
          [](Reader& reader, Object& object) { object.*member = reader.small_number(); },
          [](FactsWriter& writer, const char* name, const Object& object) {
            if (is_said<member>(object)) writer.number(name, object.*member);
          }};
}
template <auto member, typename Object>
constexpr Field<Object> tier_field(const char* name) {
  return {name,
          [](State lua, Scope& scope, const Object& object) {
            push_tier_name(lua, scope, object.*member);
          },
          [](Reader& reader, Object& object) { object.*member = reader.tier(); },
          [](FactsWriter& writer, const char* name, const Object& object) {
            writer.tier(name, object.*member);
          }};
}
// The same of a payload's retention.
template <auto member>
constexpr Field<PayloadFacts> wish_flag_field(const char* name) {
  return {name,
          [](State lua, Scope&, const PayloadFacts& payload) {
            lua_pushboolean(lua, payload.retention.*member);
          },
          [](Reader& reader, PayloadFacts& payload) { payload.retention.*member = reader.flag(); },
          [](FactsWriter& writer, const char* name, const PayloadFacts& payload) {
            if (payload.retention.*member) writer.flag(name, true);
          }};
}
template <auto member>
constexpr Field<PayloadFacts> wish_tier_field(const char* name) {
  return {name,
          [](State lua, Scope& scope, const PayloadFacts& payload) {
            push_tier_name(lua, scope, payload.retention.*member);
          },
          [](Reader& reader, PayloadFacts& payload) { payload.retention.*member = reader.tier(); },
          [](FactsWriter& writer, const char* name, const PayloadFacts& payload) {
            writer.tier(name, payload.retention.*member);
          }};
}

using Payload = PayloadFacts;
using catalog::Retention;

constexpr std::array payload_fields = {
    text_field<&Payload::id, Payload>("id"),
    count_field<&Payload::size_bytes, Payload>("size_bytes"),
    count_field<&Payload::age_ms, Payload>("age_ms"),
    Field<Payload>{
        "expires_in_ms",
        [](State lua, Scope&, const Payload& payload) {
          if (payload.expires_in_ms == UINT64_MAX) return lua_pushnil(lua);
          push_count(lua, payload.expires_in_ms);
        },
        [](Reader& reader, Payload& payload) { payload.expires_in_ms = reader.count(UINT64_MAX); },
        [](FactsWriter& writer, const char* name, const Payload& payload) {
          if (is_said<&Payload::expires_in_ms>(payload)) writer.count(name, payload.expires_in_ms);
        }},
    Field<Payload>{"labels",
                   [](State lua, Scope& scope, const Payload& payload) {
                     push_view<LabelMap>(lua, scope, &payload.labels);
                   },
                   [](Reader& reader, Payload& payload) { reader.labels(payload.labels); },
                   [](FactsWriter& writer, const char* name, const Payload& payload) {
                     if (payload.labels != nullptr) writer.labels(name, *payload.labels);
                   }},
    Field<Payload>{
        "priority",
        [](State lua, Scope&, const Payload& payload) {
          lua_pushstring(lua, priority_name(payload.retention.priority));
        },
        [](Reader& reader, Payload& payload) { payload.retention.priority = reader.priority(); },
        [](FactsWriter& writer, const char* name, const Payload& payload) {
          const catalog::Priority priority = payload.retention.priority;
          if (priority != catalog::Priority::normal) writer.text(name, priority_name(priority));
        }},
    wish_flag_field<&Retention::no_evict>("no_evict"),
    wish_flag_field<&Retention::require_durable>("require_durable"),
    wish_tier_field<&Retention::spill_target>("spill_target"),
    wish_tier_field<&Retention::min_residency>("min_residency"),
    Field<Payload>{"tiers",
                   [](State lua, Scope& scope, const Payload& payload) {
                     push_view<TierNames>(lua, scope, &payload.tiers);
                   },
                   [](Reader& reader, Payload& payload) { reader.tier_names(payload.tiers); },
                   [](FactsWriter& writer, const char* name, const Payload& payload) {
                     if (!payload.tiers.empty()) writer.tier_names(name, payload.tiers);
                   }},
    count_field<&Payload::leases, Payload>("leases"),
    flag_field<&Payload::pinned, Payload>("pinned"),
    count_field<&Payload::reads, Payload>("reads"),
    count_field<&Payload::unread_ms, Payload>("unread_ms"),
    count_field<&Payload::frequency, Payload>("frequency"),
};

using Tier = TierFacts;

bool has_limit(const Tier& tier) { return tier.capacity_bytes != UINT64_MAX; }

constexpr std::array tier_fields = {
    text_field<&Tier::name, Tier>("name"),
    // What an example does not say of these two comes from its list, so they are always written.
    Field<Tier>{"number", [](State lua, Scope&, const Tier& tier) { push_count(lua, tier.number); },
                [](Reader& reader, Tier& tier) {
                  tier.number = static_cast<std::uint32_t>(reader.count(UINT32_MAX));
                },
                [](FactsWriter& writer, const char* name, const Tier& tier) {
                  writer.count(name, tier.number);
                }},
    Field<Tier>{"rank",
                [](State lua, Scope&, const Tier& tier) { lua_pushinteger(lua, tier.rank); },
                [](Reader& reader, Tier& tier) { tier.rank = reader.rank(); },
                [](FactsWriter& writer, const char* name, const Tier& tier) {
                  writer.number(name, tier.rank);
                }},
    flag_field<&Tier::keeps_bytes, Tier>("keeps_bytes"),
    flag_field<&Tier::survives_process, Tier>("survives_process"),
    flag_field<&Tier::survives_power, Tier>("survives_power"),
    tier_field<&Tier::spill_to, Tier>("spill_to"),
    known_field<&Tier::numa_node, Tier>("numa_node"),
    known_field<&Tier::gpu, Tier>("gpu"),
    Field<Tier>{"capacity_bytes",
                [](State lua, Scope&, const Tier& tier) { push_limit(lua, tier.capacity_bytes); },
                [](Reader& reader, Tier& tier) { tier.capacity_bytes = reader.count(UINT64_MAX); },
                [](FactsWriter& writer, const char* name, const Tier& tier) {
                  if (has_limit(tier)) writer.count(name, tier.capacity_bytes);
                }},
    count_field<&Tier::used_bytes, Tier>("used_bytes"),
    Field<Tier>{"free_bytes",
                [](State lua, Scope&, const Tier& tier) {
                  if (!has_limit(tier)) return push_limit(lua, UINT64_MAX);
                  push_count(lua,
                             tier.capacity_bytes - std::min(tier.used_bytes, tier.capacity_bytes));
                },
                nullptr, nullptr},
    count_field<&Tier::leaving_bytes, Tier>("leaving_bytes"),
    count_field<&Tier::waiting_bytes, Tier>("waiting_bytes"),
    Field<Tier>{"pressure",
                [](State lua, Scope&, const Tier& tier) {
                  const bool is_empty = !has_limit(tier) || tier.used_bytes == 0;
                  const double share = is_empty ? 0
                                                : static_cast<double>(tier.used_bytes) /
                                                      static_cast<double>(tier.capacity_bytes);
                  lua_pushnumber(lua, std::min(share, 1.0));
                },
                nullptr, nullptr},
    count_field<&Tier::bytes_per_second, Tier>("bytes_per_second"),
    flag_field<&Tier::in_service, Tier>("in_service"),
};

using Client = ClientFacts;

constexpr std::array client_fields = {
    text_field<&Client::name, Client>("name"),
    count_field<&Client::payloads, Client>("payloads"),
    Field<Client>{"used_bytes",
                  [](State lua, Scope& scope, const Client& client) {
                    push_view<UsedBytes>(lua, scope, &client.used_bytes);
                  },
                  [](Reader& reader, Client& client) { reader.used_bytes(client.used_bytes); },
                  [](FactsWriter& writer, const char* name, const Client& client) {
                    writer.used_bytes(name, client.used_bytes);
                  }},
    known_field<&Client::numa_node, Client>("numa_node"),
    known_field<&Client::gpu, Client>("gpu"),
};

// Members that the facts of several hooks have.
template <typename Facts>
constexpr Field<Facts> tiers_of{"tiers",
                                [](State lua, Scope& scope, const Facts& facts) {
                                  push_view<TierList>(lua, scope, &facts.tiers);
                                },
                                [](Reader& reader, Facts& facts) { reader.tiers(facts.tiers); },
                                [](FactsWriter& writer, const char* name, const Facts& facts) {
                                  writer.tiers(name, facts.tiers);
                                }};
template <typename Facts>
constexpr Field<Facts> payload_of{
    "payload",
    [](State lua, Scope& scope, const Facts& facts) {
      push_view<PayloadFacts>(lua, scope, &facts.payload);
    },
    [](Reader& reader, Facts& facts) { reader.object(facts.payload); },
    [](FactsWriter& writer, const char* name, const Facts& facts) {
      writer.object(name, facts.payload);
    }};
template <typename Facts>
constexpr Field<Facts> client_of{"client",
                                 [](State lua, Scope& scope, const Facts& facts) {
                                   push_view<ClientFacts>(lua, scope, &facts.client);
                                 },
                                 [](Reader& reader, Facts& facts) { reader.object(facts.client); },
                                 [](FactsWriter& writer, const char* name, const Facts& facts) {
                                   writer.object(name, facts.client);
                                 }};

constexpr std::array place_fields = {tiers_of<PlaceFacts>, payload_of<PlaceFacts>,
                                     client_of<PlaceFacts>,
                                     tier_field<&PlaceFacts::hint, PlaceFacts>("hint")};

constexpr std::array admit_fields = {tiers_of<AdmitFacts>, payload_of<AdmitFacts>,
                                     client_of<AdmitFacts>,
                                     tier_field<&AdmitFacts::tier, AdmitFacts>("tier")};

constexpr std::array spill_fields = {
    tiers_of<SpillFacts>, tier_field<&SpillFacts::tier, SpillFacts>("tier"),
    count_field<&SpillFacts::bytes_wanted, SpillFacts>("bytes_wanted"),
    Field<SpillFacts>{"candidates",
                      [](State lua, Scope& scope, const SpillFacts& facts) {
                        push_view<Payloads>(lua, scope, &facts.candidates);
                      },
                      [](Reader& reader, SpillFacts& facts) { reader.payloads(facts.candidates); },
                      [](FactsWriter& writer, const char* name, const SpillFacts& facts) {
                        writer.payloads(name, facts.candidates);
                      }}};

constexpr std::array promote_fields = {
    tiers_of<PromoteFacts>, payload_of<PromoteFacts>,
    tier_field<&PromoteFacts::tier, PromoteFacts>("tier"),
    tier_field<&PromoteFacts::target, PromoteFacts>("target"),
    Field<PromoteFacts>{"victim",
                        [](State lua, Scope& scope, const PromoteFacts& facts) {
                          if (!facts.has_victim) return lua_pushnil(lua);
                          push_view<PayloadFacts>(lua, scope, &facts.victim);
                        },
                        [](Reader& reader, PromoteFacts& facts) {
                          facts.has_victim = true;
                          reader.object(facts.victim);
                        },
                        [](FactsWriter& writer, const char* name, const PromoteFacts& facts) {
                          if (facts.has_victim) writer.object(name, facts.victim);
                        }}};

constexpr std::array retain_fields = {tiers_of<RetainFacts>, payload_of<RetainFacts>};

}  // namespace

template <>
std::span<const Field<PayloadFacts>> fields_of() {
  return payload_fields;
}
template <>
std::span<const Field<TierFacts>> fields_of() {
  return tier_fields;
}
template <>
std::span<const Field<ClientFacts>> fields_of() {
  return client_fields;
}
template <>
std::span<const Field<PlaceFacts>> fields_of() {
  return place_fields;
}
template <>
std::span<const Field<SpillFacts>> fields_of() {
  return spill_fields;
}
template <>
std::span<const Field<PromoteFacts>> fields_of() {
  return promote_fields;
}
template <>
std::span<const Field<AdmitFacts>> fields_of() {
  return admit_fields;
}
template <>
std::span<const Field<RetainFacts>> fields_of() {
  return retain_fields;
}

template <>
const char* kind_of<PayloadFacts>() {
  return "payload";
}
template <>
const char* kind_of<TierFacts>() {
  return "tier";
}
template <>
const char* kind_of<ClientFacts>() {
  return "client";
}
template <>
const char* kind_of<PlaceFacts>() {
  return "question of place";
}
template <>
const char* kind_of<SpillFacts>() {
  return "question of spill";
}
template <>
const char* kind_of<PromoteFacts>() {
  return "question of promote";
}
template <>
const char* kind_of<AdmitFacts>() {
  return "question of admit";
}
template <>
const char* kind_of<RetainFacts>() {
  return "question of retain";
}

}  // namespace pm::policy
