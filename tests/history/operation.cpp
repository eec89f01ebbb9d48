#include "operation.h"

namespace pm::history {

namespace {

const char* place_name(Place place) {
  switch (place) {
    case Place::memory: return "memory";
    case Place::disk: return "disk";
    case Place::nowhere: break;
  }
  return "nowhere";
}

// Hashes are bytes: eight digits of them are enough to tell them apart.
std::string digits(const std::string& bytes) {
  static constexpr char hex[] = "0123456789abcdef";
  std::string text;
  for (std::size_t at = 0; at < bytes.size() && at < 4; ++at) {
    const auto byte = static_cast<unsigned char>(bytes[at]);
    text += hex[byte >> 4];
    text += hex[byte & 15];
  }
  return text;
}

std::string labels_text(const Labels& labels) {
  std::string text = "{";
  for (const auto& [key, value] : labels) text += key + "=" + value + " ";
  return text + "}";
}

std::string asked_text(const Operation& operation) {
  const Asked& asked = operation.asked;
  std::string text;
  if (asked.place != Place::nowhere) text += std::string(" to ") + place_name(asked.place);
  if (asked.force) text += " by force";
  if (asked.drop_source) text += " drop_source";
  if (!asked.lease.empty()) text += " lease " + asked.lease;
  if (!asked.content.empty()) text += " content " + digits(asked.content);
  if (operation.kind == Kind::labels) {
    text += " set " + labels_text(asked.set);
    for (const std::string& key : asked.remove) text += " remove " + key;
  }
  if (!asked.data.empty()) text += " data " + asked.data;
  if (!asked.schema.empty()) text += " schema " + asked.schema;
  if (!asked.items.empty()) text += " " + std::to_string(asked.items.size()) + " items";
  if (!operation.request.empty()) text += " request " + operation.request;
  return text;
}

std::string seen_text(const Operation& operation) {
  const Seen& seen = operation.seen;
  std::string text;
  if (seen.revision != 0) text += " revision " + std::to_string(seen.revision);
  if (seen.place != Place::nowhere) text += std::string(" on ") + place_name(seen.place);
  if (!seen.lease.empty()) text += " lease " + seen.lease;
  if (!seen.content.empty()) text += " content " + digits(seen.content);
  if (operation.kind == Kind::labels) text += " " + labels_text(seen.labels);
  if (!seen.data.empty()) text += " data " + seen.data;
  if (!seen.schema.empty()) text += " schema " + seen.schema;
  if (seen.number != 0) text += " number " + std::to_string(seen.number);
  if (seen.next_offset != 0) text += " next offset " + std::to_string(seen.next_offset);
  if (!seen.items.empty()) text += " " + std::to_string(seen.items.size()) + " entries";
  return text;
}

}  // namespace

const char* kind_name(Kind kind) {
  static constexpr const char* names[] = {
      "allocate", "commit",       "abort",        "delete",     "resolve", "lease",       "renew",
      "release",  "read",         "promote",      "spill",      "pin",     "unpin",       "labels",
      "metadata", "get metadata", "append event", "new stream", "append",  "read stream", "CRASH"};
  return names[static_cast<std::size_t>(kind)];
}

const char* refusal_name(Refusal refusal) {
  static constexpr const char* names[] = {
      "other",  "not found", "not committed", "already committed",
      "leased", "pinned",    "busy",          "lease not found"};
  return names[static_cast<std::size_t>(refusal)];
}

std::string to_text(const Operation& operation) {
  const auto microseconds = [](std::int64_t at_ns) {
    return at_ns == never_ns ? std::string("?") : std::to_string(at_ns / 1'000);
  };
  std::string text = "[" + microseconds(operation.invoked_ns) + ".." +
                     microseconds(operation.returned_ns) + " us] life " +
                     std::to_string(operation.life) + " client " +
                     std::to_string(operation.client) + " " + kind_name(operation.kind) +
                     asked_text(operation) + " -> ";
  switch (operation.outcome) {
    case Outcome::ok: return text + "ok" + seen_text(operation);
    case Outcome::refused: return text + "refused: " + refusal_name(operation.refusal);
    case Outcome::unknown: break;
  }
  return text + "unknown";
}

}  // namespace pm::history
