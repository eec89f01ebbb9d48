#include "stream_table.h"

#include <algorithm>

#include "mutant.h"

namespace pm::catalog {

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::uint64_t slice_entries = 256;
// At most 25,600 entries a second are deleted in the background, so that the journal has room for
// those who wait.
constexpr std::uint64_t sweep_every_ns = 10'000'000;
// A run spans at most this share of the age limit, or one append.
constexpr std::int64_t runs_of_an_age = 64;

// 0: no limit.
std::int64_t age_max_ns(const StreamRecord& record) {
  constexpr auto seconds_max = static_cast<std::uint64_t>(INT64_MAX / second_ns);
  return static_cast<std::int64_t>(std::min(record.age_max_s, seconds_max)) * second_ns;
}

// What was appended before this is too old.
std::int64_t keep_from_ns(const StreamRecord& record, const Clocks& now) {
  const std::int64_t age = age_max_ns(record);
  return age == 0 ? INT64_MIN : now.wall_ns - age;
}

}  // namespace

// ---- restore ----

void StreamTable::restore(const StreamRecord& record) {
  Stream& stream = streams_[record.number];
  stream.record = record;
  stream.lsn = restored_lsn;
  if (record.dead) {
    gone_.insert(record.number);
    return;
  }
  by_name_.emplace(record.name, &stream);
  if (record.swept_offset < record.first_offset) gone_.insert(record.number);
  // Until restore_age() knows better.
  if (record.first_offset < record.next_offset) note_time(stream, record.last_append_ns);
  reindex(stream);
}

void StreamTable::restore(const ConsumerGroupRecord& record) {
  const auto found = streams_.find(record.stream);
  if (found == streams_.end()) return;
  found->second.groups[record.group] = {record.offset, restored_lsn};
}

void StreamTable::restore_age(std::uint64_t number, std::uint64_t end_offset,
                              std::int64_t newest_ns) {
  const auto found = streams_.find(number);
  if (found == streams_.end() || found->second.runs.empty()) return;
  Stream& stream = found->second;
  Run& last = stream.runs.back();
  if (end_offset >= last.end_offset) return;
  const std::int64_t oldest =
      stream.runs.size() > 1 ? stream.runs[stream.runs.size() - 2].newest_ns : newest_ns;
  stream.runs.insert(stream.runs.end() - 1, Run{end_offset, oldest, newest_ns});
  reindex(stream);
}

// ---- finding ----

StreamTable::Stream* StreamTable::find_live(const StreamName& name) {
  const auto found = by_name_.find(name);
  return found != by_name_.end() ? found->second : nullptr;
}

const StreamTable::Stream* StreamTable::find_live(const StreamName& name) const {
  const auto found = by_name_.find(name);
  return found != by_name_.end() ? found->second : nullptr;
}

StreamHead StreamTable::head_of(const Stream& stream, const Clocks& now) const {
  const StreamRecord& record = stream.record;
  StreamHead head;
  head.number = record.number;
  head.first_offset = record.first_offset;
  head.next_offset = record.next_offset;
  head.keep_from_ns = keep_from_ns(record, now);
  head.last_append_ns = record.last_append_ns;
  if (record.last_append_ns < head.keep_from_ns) head.first_offset = record.next_offset;
  head.entries_max = record.entries_max;
  head.age_max_s = record.age_max_s;
  head.created_at_ns = record.created_at_ns;
  head.groups = static_cast<std::uint32_t>(stream.groups.size());
  head.lsn = stream.lsn;
  return head;
}

bool StreamTable::find(const StreamName& name, const Clocks& now, StreamHead& head) const {
  const Stream* const stream = find_live(name);
  if (stream == nullptr) return false;
  head = head_of(*stream, now);
  return true;
}

bool StreamTable::find(std::uint64_t number, const Clocks& now, StreamHead& head) const {
  const auto found = streams_.find(number);
  if (found == streams_.end() || found->second.record.dead) return false;
  head = head_of(found->second, now);
  return true;
}

void StreamTable::list(const StreamName* after, const std::string* space, std::size_t count,
                       const Clocks& now, std::vector<Listed>& listed) const {
  auto next = by_name_.begin();
  if (space != nullptr) next = by_name_.lower_bound({*space, {}});
  if (after != nullptr) next = by_name_.upper_bound(*after);
  for (; next != by_name_.end() && count > 0; ++next, --count) {
    if (space != nullptr && next->first.space != *space) return;
    listed.push_back({next->first, head_of(*next->second, now)});
  }
}

StreamTable::Committed StreamTable::committed(const StreamName& name,
                                              const std::string& group) const {
  Committed result;
  const Stream* const stream = find_live(name);
  if (stream == nullptr) return result;
  result.stream_found = true;
  result.lsn = stream->lsn;
  const auto found = stream->groups.find(group);
  if (found == stream->groups.end()) return result;
  result.any = true;
  result.offset = found->second.offset;
  result.lsn = std::max(result.lsn, found->second.lsn);
  return result;
}

// ---- what clients ask for ----

void StreamTable::create(const CreateStream& command, Step step, Reply& reply) {
  if (find_live(command.name) != nullptr) {
    reply.reason = Reason::stream_exists;
    return;
  }
  // Dead ones count until they are gone, so that nobody can make rows faster than they go.
  if (streams_.size() >= limits_.streams_max) {
    reply.reason = Reason::streams_full;
    return;
  }
  Stream& stream = streams_[++number_];
  stream.record.number = number_;
  stream.record.name = command.name;
  stream.record.entries_max = command.entries_max;
  stream.record.age_max_s = command.age_max_s;
  stream.record.created_at_ns = step.now.wall_ns;
  by_name_.emplace(command.name, &stream);
  record(stream, step);
  reply.lsn = stream.lsn;
}

// A missing stream is as good as a deleted one.
void StreamTable::erase(const DeleteStream& command, Step step, Reply& reply) {
  Stream* const stream = find_live(command.name);
  if (stream == nullptr) {
    reply.lsn = last_erase_lsn_;
    return;
  }
  by_name_.erase(command.name);
  stream->record.dead = true;
  stream->record.first_offset = stream->record.next_offset;
  stream->runs.clear();
  reindex(*stream);
  last_erase_lsn_ = reply.lsn = step.take_lsn();
  step.changes.stream_notices.push_back({reply.lsn, true, {stream->record.number, 0, 0, {}}});
  sweep_dead(*stream, step);
}

void StreamTable::append(const AppendToStream& command, Step step, Reply& reply) {
  Stream* const stream = find_live(command.name);
  if (stream == nullptr) {
    reply.reason = Reason::stream_not_found;
    return;
  }
  StreamRecord& head = stream->record;
  const std::uint64_t count = command.items->size();
  const bool goes_back = is_planted(Mutant::append_time_goes_back);
  const std::int64_t time =
      goes_back ? step.now.wall_ns : std::max(step.now.wall_ns, head.last_append_ns);
  const StreamEntries entries{head.number, head.next_offset, time, command.items};
  step.changes.records.emplace_back(entries);
  head.next_offset += count;
  head.last_append_ns = time;
  note_time(*stream, time);
  drop_surplus(*stream);
  drop_old(*stream, step.now);
  // At least as many as came, so that rows do not pile up.
  sweep(*stream, std::max(count, slice_entries), step);
  record(*stream, step);
  reply.first_number = entries.first_offset;
  reply.last_number = entries.first_offset + count - 1;
  reply.at_ns = time;
  reply.lsn = stream->lsn;
  step.changes.stream_notices.push_back({reply.lsn, false, entries});
}

void StreamTable::commit(const CommitOffset& command, Step step, Reply& reply) {
  Stream* const stream = find_live(command.name);
  if (stream == nullptr) {
    reply.reason = Reason::stream_not_found;
    return;
  }
  if (command.offset > stream->record.next_offset) {
    reply.reason = Reason::offset_beyond_end;
    return;
  }
  auto found = stream->groups.find(command.group);
  if (found == stream->groups.end()) {
    if (stream->groups.size() >= limits_.groups_max) {
      reply.reason = Reason::consumer_groups_full;
      return;
    }
    found = stream->groups.emplace(command.group, Group{}).first;
  } else if (command.offset == found->second.offset) {
    reply.lsn = found->second.lsn;
    return;
  } else if (command.offset < found->second.offset && !command.allow_rewind &&
             !is_planted(Mutant::group_goes_back)) {
    reply.reason = Reason::offset_goes_back;
    reply.first_number = found->second.offset;
    return;
  }
  found->second = {command.offset, step.take_lsn()};
  step.changes.records.emplace_back(
      ConsumerGroupRecord{stream->record.number, command.group, false, command.offset});
  reply.lsn = found->second.lsn;
}

// ---- retention ----

// Entries up to next_offset were appended until `append_time_ns`.
void StreamTable::note_time(Stream& stream, std::int64_t append_time_ns) {
  const std::int64_t age = age_max_ns(stream.record);
  if (age == 0) return;
  if (!stream.runs.empty()) {
    Run& last = stream.runs.back();
    if (append_time_ns - last.oldest_ns <= age / runs_of_an_age) {
      last.newest_ns = append_time_ns;
      last.end_offset = stream.record.next_offset;
      return;
    }
  }
  stream.runs.push_back({stream.record.next_offset, append_time_ns, append_time_ns});
}

void StreamTable::drop_old(Stream& stream, const Clocks& now) {
  const std::int64_t keep_from = keep_from_ns(stream.record, now);
  auto kept = stream.runs.begin();
  while (kept != stream.runs.end() && kept->newest_ns < keep_from) {
    stream.record.first_offset = std::max(stream.record.first_offset, kept->end_offset);
    ++kept;
  }
  stream.runs.erase(stream.runs.begin(), kept);
  reindex(stream);
}

void StreamTable::drop_surplus(Stream& stream) {
  StreamRecord& head = stream.record;
  if (head.entries_max == 0 || head.next_offset - head.first_offset <= head.entries_max) return;
  head.first_offset = head.next_offset - head.entries_max;
  const auto stays = [&](const Run& run) { return run.end_offset > head.first_offset; };
  stream.runs.erase(stream.runs.begin(),
                    std::find_if(stream.runs.begin(), stream.runs.end(), stays));
}

// When its oldest run will be too old.
void StreamTable::reindex(Stream& stream) {
  std::int64_t due = 0;
  if (!stream.runs.empty()) {
    const std::int64_t newest = stream.runs.front().newest_ns;
    const std::int64_t age = age_max_ns(stream.record);
    if (newest < INT64_MAX - age) due = newest + age + 1;
  }
  if (due == stream.due_ns) return;
  if (stream.due_ns != 0) old_due_.erase({stream.due_ns, stream.record.number});
  if (due != 0) old_due_.emplace(due, stream.record.number);
  stream.due_ns = due;
}

void StreamTable::record(Stream& stream, Step& step) {
  stream.lsn = step.take_lsn();
  step.changes.records.emplace_back(stream.record);
}

// Deletes up to so many entries that have left the view; the caller records the stream after it.
// True when there was any.
bool StreamTable::sweep(Stream& stream, std::uint64_t entries_max, Step& step) {
  StreamRecord& head = stream.record;
  const std::uint64_t end =
      head.swept_offset + std::min(entries_max, head.first_offset - head.swept_offset);
  const bool any = end > head.swept_offset;
  if (any) {
    step.changes.records.emplace_back(StreamSweepRecord{head.number, head.swept_offset, end});
    head.swept_offset = end;
  }
  if (head.dead || head.swept_offset < head.first_offset) {
    if (gone_.empty()) sweep_due_ns_ = step.now.mono_ns + sweep_every_ns;
    gone_.insert(head.number);
  } else {
    gone_.erase(head.number);
  }
  return any;
}

// Its entries, then its groups, then itself.
void StreamTable::sweep_dead(Stream& stream, Step& step) {
  const std::uint64_t number = stream.record.number;
  if (!sweep(stream, slice_entries, step)) {
    for (std::uint64_t slice = 0; slice < slice_entries && !stream.groups.empty(); ++slice) {
      const auto first = stream.groups.begin();
      step.changes.records.emplace_back(ConsumerGroupRecord{number, first->first, true, 0});
      stream.groups.erase(first);
    }
  }
  const bool done =
      stream.groups.empty() && stream.record.swept_offset == stream.record.next_offset;
  if (!done) return record(stream, step);
  StreamRecord end;
  end.number = number;
  end.erased = true;
  step.take_lsn();
  step.changes.records.emplace_back(std::move(end));
  gone_.erase(number);
  streams_.erase(number);
}

void StreamTable::tick(Step step) {
  for (std::uint64_t slice = 0; !old_due_.empty(); ++slice) {
    const auto [due_ns, number] = *old_due_.begin();
    if (due_ns > step.now.wall_ns) break;
    if (slice == slice_entries) {
      step.changes.more = true;
      return;
    }
    Stream& stream = streams_.at(number);
    drop_old(stream, step.now);
    // Found again after a restart, so it needs no record.
    sweep(stream, 0, step);
  }
  if (gone_.empty() || sweep_due_ns_ > step.now.mono_ns) return;
  sweep_due_ns_ = step.now.mono_ns + sweep_every_ns;
  auto next = gone_.upper_bound(swept_last_);
  if (next == gone_.end()) next = gone_.begin();
  swept_last_ = *next;
  Stream& stream = streams_.at(*next);
  if (stream.record.dead) return sweep_dead(stream, step);
  sweep(stream, slice_entries, step);
  record(stream, step);
}

}  // namespace pm::catalog
