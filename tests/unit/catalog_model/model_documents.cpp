#include <algorithm>

#include "model.h"

// What is said about payloads, and streams of them.

namespace pm::catalog::naive {

// What was committed can be spoken of, also when its bytes were lost.
Reason Model::described(const Id& id) {
  const Held* payload = find(id);
  if (payload == nullptr) return Reason::payload_not_found;
  return payload->phase == Phase::allocated ? Reason::payload_not_committed : Reason::none;
}

void Model::on(const UpdateMetadata& command) {
  Caller caller{.ticket = command.ticket};
  if (is_repeat(command.request, caller)) return;
  const Reason why = described(command.id);
  if (why != Reason::none) return refuse(caller, why);
  Held& payload = *find(command.id);
  if (command.is_derived && payload.metadata_written > at_.seen) {
    return refuse(caller, Reason::conflict);
  }
  payload.has_metadata = true;
  record(payload);
  payload.metadata_written = at_.number;
  Reply reply;
  reply.at_ns = at_.now.wall_ns;
  reply.lsn = at_.number;
  answer(caller, reply);
}

void Model::on(const AppendMetadataEvent& command) {
  Caller caller{.ticket = command.ticket};
  if (is_repeat(command.request, caller)) return;
  const Reason why = described(command.id);
  if (why != Reason::none) return refuse(caller, why);
  Held& payload = *find(command.id);
  if (payload.metadata_events >= rules_.metadata_events_max) {
    return refuse(caller, Reason::metadata_events_full);
  }
  ++payload.metadata_events;
  payload.last_event_at_ns = std::max(payload.last_event_at_ns, at_.now.wall_ns);
  record(payload);
  Reply reply;
  reply.first_number = reply.last_number = payload.metadata_events;
  reply.at_ns = payload.last_event_at_ns;
  reply.lsn = at_.number;
  answer(caller, reply);
}

void Model::on(const AddLineage& command) {
  Caller caller{.ticket = command.ticket};
  if (is_repeat(command.request, caller)) return;
  Reply reply;
  reply.reason = described(command.child);
  for (const LineageEdge& edge : *command.edges) {
    if (reply.reason != Reason::none) break;
    ++reply.first_number;
    reply.reason = described(edge.parent);
  }
  if (reply.reason == Reason::payload_not_found) reply.lsn = payloads_erased_;
  if (reply.reason != Reason::none) return answer(caller, reply);
  reply.first_number = 0;
  Held& child = *find(command.child);
  // What the caller looked up must still be so.
  bool outdated = child.parents > 0 && (!command.knows_edges || child.parents_written > at_.seen);
  if (!command.edges->empty() && child.has_children) {
    outdated = outdated || !command.knows_no_cycle || cycles_written_ > at_.seen;
    for (const LineageEdge& edge : *command.edges) {
      outdated = outdated || find(edge.parent)->parents_written > at_.seen;
    }
  }
  if (outdated) return refuse(caller, Reason::conflict);
  reply.lsn = child.written;
  if (command.edges->empty()) return answer(caller, reply);
  if (child.parents + command.edges->size() > rules_.lineage_parents_max) {
    return refuse(caller, Reason::lineage_full);
  }
  for (const LineageEdge& edge : *command.edges) {
    Held& parent = *find(edge.parent);
    if (parent.has_children) continue;
    parent.has_children = true;
    record(parent);
  }
  child.parents += static_cast<std::uint32_t>(command.edges->size());
  child.parents_written = at_.number;
  if (child.has_children) cycles_written_ = at_.number;
  record(child);
  reply.lsn = at_.number;
  answer(caller, reply);
}

// ---- streams ----

std::vector<std::uint64_t> HeldStream::visible(std::int64_t wall_ns) const {
  constexpr std::int64_t second_ns = 1'000'000'000;
  std::vector<std::uint64_t> offsets;
  for (std::uint64_t offset = 0; offset < times_ns.size(); ++offset) {
    if (entries_max != 0 && offset + entries_max < times_ns.size()) continue;
    const std::int64_t age_ns = static_cast<std::int64_t>(age_max_s) * second_ns;
    if (age_max_s != 0 && times_ns[offset] < wall_ns - age_ns) continue;
    offsets.push_back(offset);
  }
  return offsets;
}

void Model::on(const CreateStream& command) {
  Caller caller{.ticket = command.ticket};
  if (is_repeat(command.request, caller)) return;
  if (streams_.contains(command.name)) return refuse(caller, Reason::stream_exists);
  if (streams_.size() >= rules_.streams_max) return refuse(caller, Reason::streams_full);
  HeldStream& stream = streams_[command.name];
  stream.entries_max = command.entries_max;
  stream.age_max_s = command.age_max_s;
  Reply reply;
  reply.lsn = write();
  answer(caller, reply);
}

void Model::on(const DeleteStream& command) {
  Caller caller{.ticket = command.ticket};
  if (is_repeat(command.request, caller)) return;
  if (streams_.erase(command.name) > 0) streams_erased_ = write();
  Reply reply;
  reply.lsn = streams_erased_;
  answer(caller, reply);
}

void Model::on(const AppendToStream& command) {
  Caller caller{.ticket = command.ticket};
  if (is_repeat(command.request, caller)) return;
  Reply reply;
  const auto found = streams_.find(command.name);
  if (found == streams_.end()) return refuse(caller, Reason::stream_not_found);
  for (const StreamItem& item : *command.items) {
    const Held* payload = find(item.payload);
    if (payload == nullptr) {
      reply.reason = Reason::payload_not_found;
    } else if (payload->phase == Phase::lost) {
      reply.reason = Reason::payload_lost;
      reply.lsn = payload->written;
    } else if (payload->phase != Phase::committed) {
      reply.reason = Reason::payload_not_committed;
    }
    if (reply.reason == Reason::none) continue;
    reply.view.id = item.payload;
    return answer(caller, reply);
  }
  std::vector<std::int64_t>& times = found->second.times_ns;
  reply.first_number = times.size();
  reply.at_ns = std::max(at_.now.wall_ns, times.empty() ? 0 : times.back());
  times.insert(times.end(), command.items->size(), reply.at_ns);
  reply.last_number = times.size() - 1;
  reply.lsn = write();
  answer(caller, reply);
}

void Model::on(const CommitOffset& command) {
  Caller caller{.ticket = command.ticket};
  if (is_repeat(command.request, caller)) return;
  const auto found = streams_.find(command.name);
  if (found == streams_.end()) return refuse(caller, Reason::stream_not_found);
  HeldStream& stream = found->second;
  if (command.offset > stream.times_ns.size()) {
    return refuse(caller, Reason::offset_beyond_end);
  }
  Reply reply;
  const auto group = stream.groups.find(command.group);
  if (group == stream.groups.end() && stream.groups.size() >= rules_.groups_max) {
    return refuse(caller, Reason::consumer_groups_full);
  }
  if (group != stream.groups.end() && command.offset < group->second.offset &&
      !command.allow_rewind) {
    reply.reason = Reason::offset_goes_back;
    reply.first_number = group->second.offset;
    return answer(caller, reply);
  }
  if (group == stream.groups.end() || command.offset != group->second.offset) {
    stream.groups[command.group] = {command.offset, write()};
  }
  reply.lsn = stream.groups[command.group].written;
  answer(caller, reply);
}

}  // namespace pm::catalog::naive
