#include "compare.h"

#include <sstream>
#include <tuple>

namespace pm::catalog::naive {

namespace {

const Labels& labels_of(const Additions& additions) {
  static const Labels none;
  return additions.labels != nullptr ? *additions.labels : none;
}

bool same(const Retention& a, const Retention& b) {
  return std::tie(a.priority, a.no_evict, a.require_durable, a.spill_target, a.min_residency) ==
         std::tie(b.priority, b.no_evict, b.require_durable, b.spill_target, b.min_residency);
}

bool same(const Additions& a, const Additions& b) {
  return labels_of(a) == labels_of(b) &&
         std::tie(a.pinned, a.pin_expires_at_ns, a.has_metadata, a.metadata_events,
                  a.last_event_at_ns, a.parents, a.has_children) ==
             std::tie(b.pinned, b.pin_expires_at_ns, b.has_metadata, b.metadata_events,
                      b.last_event_at_ns, b.parents, b.has_children);
}

bool same(const Object& a, const Object& b) {
  return std::tie(a.tier, a.payload, a.generation, a.length) ==
         std::tie(b.tier, b.payload, b.generation, b.length);
}

}  // namespace

bool same(const View& a, const View& b) {
  return std::tie(a.id, a.size_bytes, a.revision, a.created_at_ns, a.expires_at_ns, a.order,
                  a.leases, a.phase, a.spilling, a.durable, a.tier, a.bad_tier, a.generation,
                  a.checksum) == std::tie(b.id, b.size_bytes, b.revision, b.created_at_ns,
                                          b.expires_at_ns, b.order, b.leases, b.phase, b.spilling,
                                          b.durable, b.tier, b.bad_tier, b.generation,
                                          b.checksum) &&
         same(a.retention, b.retention) && same(a.additions, b.additions);
}

bool same(const Reply& a, const Reply& b) {
  return std::tie(a.ticket, a.reason, a.storage_code, a.message, a.has_view, a.lease,
                  a.lease_duration_ns, a.lease_expires_at_ns, a.range_offset_bytes,
                  a.range_length_bytes, a.first_number, a.last_number, a.at_ns, a.is_repeat) ==
             std::tie(b.ticket, b.reason, b.storage_code, b.message, b.has_view, b.lease,
                      b.lease_duration_ns, b.lease_expires_at_ns, b.range_offset_bytes,
                      b.range_length_bytes, b.first_number, b.last_number, b.at_ns, b.is_repeat) &&
         same(a.view, b.view);
}

bool same(const Event& a, const Event& b) {
  return std::tie(a.kind, a.cause, a.why, a.tier, a.from, a.target, a.id, a.revision, a.size_bytes,
                  a.wall_ns) == std::tie(b.kind, b.cause, b.why, b.tier, b.from, b.target, b.id,
                                         b.revision, b.size_bytes, b.wall_ns);
}

bool same(const Effect& a, const Effect& b) {
  if (a.index() != b.index()) return false;
  if (const auto* allocation = std::get_if<AllocateEffect>(&a)) {
    return same(allocation->object, std::get<AllocateEffect>(b).object);
  }
  if (const auto* seal = std::get_if<SealEffect>(&a)) {
    const auto& other = std::get<SealEffect>(b);
    return same(seal->object, other.object) && seal->length == other.length &&
           seal->uploaded == other.uploaded && seal->checksum.checksum == other.checksum.checksum &&
           seal->checksum.has_value == other.checksum.has_value;
  }
  if (const auto* move = std::get_if<MoveEffect>(&a)) {
    const auto& other = std::get<MoveEffect>(b);
    return same(move->source, other.source) && same(move->target, other.target) &&
           move->checksum == other.checksum;
  }
  return same(std::get<RemoveEffect>(a).object, std::get<RemoveEffect>(b).object);
}

const Object& object_of(const Effect& effect) {
  if (const auto* allocation = std::get_if<AllocateEffect>(&effect)) return allocation->object;
  if (const auto* seal = std::get_if<SealEffect>(&effect)) return seal->object;
  if (const auto* move = std::get_if<MoveEffect>(&effect)) return move->target;
  return std::get<RemoveEffect>(effect).object;
}

void sort(std::vector<Effect>& effects) {
  std::sort(effects.begin(), effects.end(), [](const Effect& a, const Effect& b) {
    return std::pair(a.index(), object_of(a).generation) <
           std::pair(b.index(), object_of(b).generation);
  });
}

std::string text(const View& view) {
  std::ostringstream out;
  out << "{" << int{view.id.bytes[15]} << " size " << view.size_bytes << " revision "
      << view.revision << " phase " << static_cast<int>(view.phase) << " tier " << int{view.tier}
      << " generation " << (view.generation & 0xffff) << " leases " << view.leases << " spilling "
      << view.spilling << " durable " << view.durable << " order " << view.order << " expires "
      << view.expires_at_ns << " pinned " << view.additions.pinned << " labels "
      << labels_of(view.additions).size() << " parents " << view.additions.parents << " children "
      << view.additions.has_children << "}";
  return out.str();
}

std::string text(const Reply& reply) {
  std::ostringstream out;
  out << "  ticket " << reply.ticket << " reason " << static_cast<int>(reply.reason) << " code "
      << reply.storage_code << " repeat " << reply.is_repeat << " numbers " << reply.first_number
      << ".." << reply.last_number << " at " << reply.at_ns << " lease " << reply.lease_duration_ns
      << " lsn " << reply.lsn << " view " << (reply.has_view ? text(reply.view) : "none") << "\n";
  return out.str();
}

std::string text(const Effect& effect) {
  const Object& object = object_of(effect);
  std::ostringstream out;
  out << "  effect " << effect.index() << " of " << int{object.payload.bytes[15]} << " tier "
      << int{object.tier} << " generation " << (object.generation & 0xffff) << " length "
      << object.length << "\n";
  return out.str();
}

std::string text(const Event& event) {
  std::ostringstream out;
  out << "  event " << static_cast<int>(event.kind) << " cause " << static_cast<int>(event.cause)
      << " why " << static_cast<int>(event.why) << " of " << int{event.id.bytes[15]} << " tier "
      << int{event.tier} << " from " << int{event.from} << " target " << int{event.target}
      << " revision " << event.revision << "\n";
  return out.str();
}

std::string text(const Model& model) {
  std::ostringstream out;
  for (const auto& [generation, work] : model.works()) {
    out << "  work " << (generation & 0xffff) << " kind " << static_cast<int>(work.kind)
        << " stage " << static_cast<int>(work.stage) << " of " << int{work.payload[15]} << " to "
        << int{work.tier} << " from " << int{work.source_tier} << " room " << work.room_bytes
        << " number " << work.queue_number << " orphaned " << work.orphaned << "\n";
  }
  for (TierIndex tier = 0; tier < model.tiers().size(); ++tier) {
    out << "  tier " << int{tier} << " used " << model.used_bytes(tier) << " leaving "
        << model.leaving_bytes(tier) << " failed " << model.tiers()[tier].failed << "\n";
  }
  return out.str();
}

}  // namespace pm::catalog::naive
