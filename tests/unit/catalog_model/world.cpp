#include "world.h"

namespace pm::catalog::naive {

namespace {

template <typename Map, typename Key, typename Value>
void put_or_erase(Map& map, const Key& key, const Value& record) {
  map.erase(key);
  if (!record.erased) map.emplace(key, record);
}

}  // namespace

void Repository::take(const Record& record) {
  if (const auto* payload = std::get_if<PayloadRecord>(&record)) {
    put_or_erase(payloads_, payload->id.bytes, *payload);
  } else if (const auto* request = std::get_if<RequestRecord>(&record)) {
    put_or_erase(requests_, request->key.bytes, *request);
  } else if (const auto* tier = std::get_if<TierRecord>(&record)) {
    tiers_[tier->tier] = *tier;
  } else if (const auto* stream = std::get_if<StreamRecord>(&record)) {
    put_or_erase(streams_, stream->number, *stream);
  } else if (const auto* group = std::get_if<ConsumerGroupRecord>(&record)) {
    put_or_erase(groups_, std::pair(group->stream, group->group), *group);
  } else if (const auto* added = std::get_if<StreamEntries>(&record)) {
    for (std::size_t at = 0; at < added->items->size(); ++at) {
      entries_[added->stream][added->first_offset + at] = added->append_time_ns;
    }
  } else if (const auto* gone = std::get_if<StreamSweepRecord>(&record)) {
    auto& entries = entries_[gone->stream];
    entries.erase(entries.lower_bound(gone->first_offset), entries.lower_bound(gone->end_offset));
  }
}

void Repository::restore_into(Catalog& catalog) const {
  for (const auto& [tier, record] : tiers_) catalog.restore(record);
  for (const auto& [id, record] : payloads_) catalog.restore(record);
  for (const auto& [key, record] : requests_) catalog.restore(record);
  for (const auto& [number, record] : streams_) catalog.restore(record);
  for (const auto& [key, record] : groups_) catalog.restore(record);
  // As the ledger does it: the times of some 64 entries of each stream.
  for (const auto& [number, record] : streams_) {
    const auto entries = entries_.find(number);
    if (record.dead || entries == entries_.end()) continue;
    const std::uint64_t every = (record.next_offset - record.first_offset) / 64 + 1;
    for (std::uint64_t end = record.first_offset + every; end < record.next_offset; end += every) {
      const auto entry = entries->second.find(end - 1);
      if (entry != entries->second.end()) catalog.restore_stream_age(number, end, entry->second);
    }
  }
  catalog.end_restore();
}

}  // namespace pm::catalog::naive
