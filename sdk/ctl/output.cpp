#include "output.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <limits>

#include "text.h"

namespace pm::ctl {
namespace {

namespace json = boost::json;
using client::LocationKind;

std::string time_text(const std::optional<client::WallTime>& time) {
  return time ? iso_time(*time) : std::string();
}

json::value time_json(const std::optional<client::WallTime>& time) {
  return time ? json::value(iso_time(*time)) : json::value(nullptr);
}

const char* kind_name(LocationKind kind) {
  switch (kind) {
    case LocationKind::none: return "none";
    case LocationKind::memory: return "shm";
    case LocationKind::file: return "file";
    case LocationKind::device: return "gpu";
    case LocationKind::generic: return "generic";
  }
  return "none";
}

std::string hex(const std::string& bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char character : bytes) {
    const auto byte = static_cast<unsigned char>(character);
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

// "shm:/pm-...", "file:/var/...", "gpu:0", or the URI of a generic place.
std::string location_text(const client::Location& location) {
  switch (location.kind) {
    case LocationKind::none: return {};
    case LocationKind::memory:
    case LocationKind::file: return std::string(kind_name(location.kind)) + ":" + location.name;
    case LocationKind::device: return "gpu:" + std::to_string(location.device);
    case LocationKind::generic: return location.name;
  }
  return {};
}

json::value location_json(const client::Location& location) {
  json::object object;
  object["kind"] = kind_name(location.kind);
  switch (location.kind) {
    case LocationKind::none: return nullptr;
    case LocationKind::memory:
      object["shmName"] = location.name;
      object["mappingBytes"] = location.mapping_bytes;
      object["slab"] = location.slab;
      object["blockIndex"] = location.block_index;
      break;
    case LocationKind::file: object["path"] = location.name; break;
    case LocationKind::device:
      object["device"] = location.device;
      object["ipcHandle"] = hex(location.handle);
      break;
    case LocationKind::generic:
      object["uri"] = location.name;
      object["handle"] = hex(location.handle);
      break;
  }
  object["offsetBytes"] = location.offset_bytes;
  object["lengthBytes"] = location.length_bytes;
  return object;
}

std::string capacity_text(std::uint64_t bytes) {
  return bytes == std::numeric_limits<std::uint64_t>::max() ? "unbounded" : std::to_string(bytes);
}

json::object count_json(const client::TierCount& count) {
  json::object object;
  object["payloads"] = count.payloads;
  object["bytes"] = count.bytes;
  return object;
}

// "spill lru (lru.lua:12)" in its parts; a name may have spaces of its own.
std::vector<std::string> rule_cells(const std::string& rule) {
  const std::size_t name = std::min(rule.find(' '), rule.size());
  const std::size_t where = rule.rfind(" (");
  if (where == std::string::npos || where <= name) return {"", rule, ""};
  return {rule.substr(0, name), rule.substr(name + 1, where - name - 1),
          rule.substr(where + 2, rule.size() - where - 3)};
}

}  // namespace

std::vector<std::string> descriptor_header() {
  return {"ID", "TIER", "STATE", "SIZE_BYTES", "VERSION", "LOCATION", "OFFSET_BYTES", "EXPIRES"};
}

std::vector<std::string> descriptor_row(const client::Descriptor& descriptor) {
  return {descriptor.id.to_string(),
          tier_name(descriptor.tier),
          state_name(descriptor.state),
          std::to_string(descriptor.size_bytes),
          std::to_string(descriptor.version),
          location_text(descriptor.location),
          std::to_string(descriptor.location.offset_bytes),
          time_text(descriptor.expires_at)};
}

json::object descriptor_json(const client::Descriptor& descriptor) {
  json::object object;
  object["id"] = descriptor.id.to_string();
  object["tier"] = tier_name(descriptor.tier);
  object["state"] = state_name(descriptor.state);
  object["sizeBytes"] = descriptor.size_bytes;
  object["version"] = descriptor.version;
  object["location"] = location_json(descriptor.location);
  object["createdAt"] = time_json(descriptor.created_at);
  object["expiresAt"] = time_json(descriptor.expires_at);
  return object;
}

std::vector<std::string> summary_header() {
  return {"ID",      "TIER",    "STATE",   "SIZE_BYTES", "LEASES",
          "VERSION", "CREATED", "EXPIRES", "PINNED",     "LABELS"};
}

std::vector<std::string> summary_row(const client::Summary& summary) {
  std::string labels;
  for (const auto& [key, value] : summary.labels) {
    labels += (labels.empty() ? "" : ",") + key + '=' + value;
  }
  return {summary.id.to_string(),
          tier_name(summary.tier),
          state_name(summary.state),
          std::to_string(summary.size_bytes),
          std::to_string(summary.active_leases),
          std::to_string(summary.version),
          time_text(summary.created_at),
          time_text(summary.expires_at),
          summary.pinned ? "yes" : "no",
          labels};
}

json::object summary_json(const client::Summary& summary) {
  json::object object;
  object["id"] = summary.id.to_string();
  object["tier"] = tier_name(summary.tier);
  object["state"] = state_name(summary.state);
  object["sizeBytes"] = summary.size_bytes;
  object["activeLeases"] = summary.active_leases;
  object["version"] = summary.version;
  object["createdAt"] = time_json(summary.created_at);
  object["expiresAt"] = time_json(summary.expires_at);
  object["pinned"] = summary.pinned;
  json::object labels;
  for (const auto& [key, value] : summary.labels) labels[key] = value;
  object["labels"] = std::move(labels);
  return object;
}

std::vector<std::string> lease_header() {
  return {"LEASE",      "ID",       "TIER",         "STATE",
          "SIZE_BYTES", "LOCATION", "OFFSET_BYTES", "LEASE_EXPIRES"};
}

std::vector<std::string> lease_row(const client::Lease& lease) {
  const client::Descriptor& descriptor = lease.descriptor;
  return {lease.id.to_string(),
          descriptor.id.to_string(),
          tier_name(descriptor.tier),
          state_name(descriptor.state),
          std::to_string(descriptor.size_bytes),
          location_text(descriptor.location),
          std::to_string(descriptor.location.offset_bytes),
          time_text(lease.expires_at)};
}

json::object lease_json(const client::Lease& lease) {
  json::object object;
  object["leaseId"] = lease.id.to_string();
  object["expiresAt"] = time_json(lease.expires_at);
  object["durationMs"] = lease.duration_ms;
  object["payload"] = descriptor_json(lease.descriptor);
  return object;
}

void print_stats_tables(const client::Stats& stats, std::ostream& out) {
  Table tiers(out, {"TIER", "NUMBER", "HEALTH", "COPIES", "BYTES_CHARGED", "BYTES_CAPACITY"});
  for (const client::TierStats& tier : stats.tiers) {
    tiers.add({tier.name, std::to_string(static_cast<std::uint32_t>(tier.number)), tier.health,
               std::to_string(tier.copies), std::to_string(tier.bytes_charged),
               capacity_text(tier.bytes_capacity)});
  }
  tiers.flush();
  out << '\n';
  Table sums(out, {"SHOWN_ON", "PAYLOADS", "BYTES"});
  const auto add = [&sums](const char* name, const client::TierCount& count) {
    sums.add({name, std::to_string(count.payloads), std::to_string(count.bytes)});
  };
  add("gpu", stats.gpu);
  add("ram", stats.ram);
  add("disk", stats.disk);
  add("object", stats.object);
  add("other", stats.other);
  sums.add({"lost", std::to_string(stats.payloads_lost), ""});
  sums.flush();
  out << '\n';
  Table leases(out, {"LEASES_ACTIVE"});
  leases.add({std::to_string(stats.leases_active)});
  leases.flush();
  if (stats.policy_rules == 0) return;
  out << '\n';
  Table rules(out, {"RULES", "SUSPENDED", "FAILURES"});
  rules.add({std::to_string(stats.policy_rules), std::to_string(stats.policy_suspended.size()),
             std::to_string(stats.policy_failures)});
  rules.flush();
  if (stats.policy_suspended.empty()) return;
  out << '\n';
  Table suspended(out, {"SUSPENDED_HOOK", "RULE", "WHERE"});
  for (const std::string& rule : stats.policy_suspended) suspended.add(rule_cells(rule));
  suspended.flush();
}

json::object stats_json(const client::Stats& stats) {
  json::object shown;
  shown["gpu"] = count_json(stats.gpu);
  shown["ram"] = count_json(stats.ram);
  shown["disk"] = count_json(stats.disk);
  shown["object"] = count_json(stats.object);
  shown["other"] = count_json(stats.other);
  json::array tiers;
  for (const client::TierStats& tier : stats.tiers) {
    json::object object;
    object["name"] = tier.name;
    object["number"] = static_cast<std::uint32_t>(tier.number);
    object["health"] = tier.health;
    object["copies"] = tier.copies;
    object["bytesCharged"] = tier.bytes_charged;
    const bool bounded = tier.bytes_capacity != std::numeric_limits<std::uint64_t>::max();
    object["bytesCapacity"] = bounded ? json::value(tier.bytes_capacity) : json::value(nullptr);
    tiers.push_back(std::move(object));
  }
  json::object object;
  object["shownOn"] = std::move(shown);
  object["payloadsLost"] = stats.payloads_lost;
  object["leasesActive"] = stats.leases_active;
  object["tiers"] = std::move(tiers);
  json::object policies;
  policies["rules"] = stats.policy_rules;
  policies["failures"] = stats.policy_failures;
  policies["suspended"] = json::array(stats.policy_suspended.begin(), stats.policy_suspended.end());
  object["policies"] = std::move(policies);
  return object;
}

std::vector<std::string> outcome_header() { return {"ID", "RESULT", "TIER", "STATE"}; }

std::vector<std::string> outcome_row(const Outcome& outcome) {
  const auto& descriptor = outcome.descriptor;
  return {outcome.id, code_name(outcome.status.code()),
          descriptor ? tier_name(descriptor->tier) : std::string(),
          descriptor ? state_name(descriptor->state) : std::string()};
}

json::object outcome_json(const Outcome& outcome) {
  json::object object;
  object["id"] = outcome.id;
  object["ok"] = outcome.status.ok();
  object["code"] = code_name(outcome.status.code());
  object["message"] = outcome.status.message();
  object["reason"] = outcome.status.reason();
  object["payload"] =
      outcome.descriptor ? json::value(descriptor_json(*outcome.descriptor)) : json::value(nullptr);
  return object;
}

void print_descriptor(const client::Descriptor& descriptor, Format format, std::ostream& out) {
  if (format == Format::json) return print_json(descriptor_json(descriptor), out);
  Table table(out, descriptor_header());
  table.add(descriptor_row(descriptor));
  table.flush();
}

void print_json(const json::value& value, std::ostream& out) {
  out << json::serialize(value) << '\n';
}

}  // namespace pm::ctl
