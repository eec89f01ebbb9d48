#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "command.h"

namespace pm::catalog {

struct StreamLimits {
  std::uint32_t streams_max = 100'000;
  std::uint32_t groups_max = 1'000;  // Of one stream.
};

// The streams: their names, offsets, retention and consumer groups. The catalog's part; as
// deterministic as the whole. Entries are deleted in slices after they have left the view.
class StreamTable {
 public:
  StreamTable(const StreamLimits& limits, std::uint64_t epoch)
      : limits_(limits), number_(epoch << 40) {}

  // What an apply() works with. Records join the group of `changes`.
  struct Step {
    const Clocks& now;
    Changes& changes;
    std::uint64_t& last_lsn;
    std::uint64_t take_lsn() {
      if (changes.lsn == 0) changes.lsn = ++last_lsn;
      return changes.lsn;
    }
  };

  void restore(const StreamRecord& record);
  void restore(const ConsumerGroupRecord& record);
  // Entries below `end_offset`, and above those of the call before, were appended at `newest_ns`
  // at the latest. In order; without any, entries of a restored stream grow old together.
  void restore_age(std::uint64_t number, std::uint64_t end_offset, std::int64_t newest_ns);

  // Each sets the reply's reason and, on success, its LSN and numbers.
  void create(const CreateStream& command, Step step, Reply& reply);
  void erase(const DeleteStream& command, Step step, Reply& reply);
  void append(const AppendToStream& command, Step step, Reply& reply);
  void commit(const CommitOffset& command, Step step, Reply& reply);

  // Lets entries go that are too old, of at most 256 streams, and deletes a slice of what has gone.
  void tick(Step step);
  std::uint64_t next_due_mono_ns() const { return gone_.empty() ? 0 : sweep_due_ns_; }
  std::int64_t next_due_wall_ns() const { return old_due_.empty() ? 0 : old_due_.begin()->first; }

  // False: there is no such stream.
  bool find(const StreamName& name, const Clocks& now, StreamHead& head) const;
  bool find(std::uint64_t number, const Clocks& now, StreamHead& head) const;
  // The streams after `after` in the order of namespace and name, at most `count`; only those of
  // `space` unless it is null. The LSN is raised.
  struct Listed {
    StreamName name;
    StreamHead head;
  };
  void list(const StreamName* after, const std::string* space, std::size_t count, const Clocks& now,
            std::vector<Listed>& listed) const;
  // What a group has committed. `stream_found` is false when there is no such stream.
  struct Committed {
    bool stream_found = false;
    bool any = false;
    std::uint64_t offset = 0;
    std::uint64_t lsn = 0;
  };
  Committed committed(const StreamName& name, const std::string& group) const;

  std::size_t size() const { return by_name_.size(); }
  bool sweeping() const { return !gone_.empty(); }

 private:
  // Entries that are neighbours in time, so that the age of all is known without their times.
  struct Run {
    std::uint64_t end_offset = 0;
    std::int64_t oldest_ns = 0;
    std::int64_t newest_ns = 0;
  };
  struct Group {
    std::uint64_t offset = 0;
    std::uint64_t lsn = 0;
  };
  struct Stream {
    StreamRecord record;
    std::uint64_t lsn = 0;
    std::int64_t due_ns = 0;  // In old_due_; 0: not there.
    std::vector<Run> runs;    // Only with a limit of age; some 130 at most.
    std::map<std::string, Group> groups;
  };

  Stream* find_live(const StreamName& name);
  const Stream* find_live(const StreamName& name) const;
  StreamHead head_of(const Stream& stream, const Clocks& now) const;
  void note_time(Stream& stream, std::int64_t append_time_ns);
  void drop_old(Stream& stream, const Clocks& now);
  void drop_surplus(Stream& stream);
  void reindex(Stream& stream);
  void record(Stream& stream, Step& step);
  bool sweep(Stream& stream, std::uint64_t entries_max, Step& step);
  void sweep_dead(Stream& stream, Step& step);

  const StreamLimits limits_;
  std::uint64_t number_;
  std::map<std::uint64_t, Stream> streams_;  // By number; also dead ones.
  std::map<StreamName, Stream*> by_name_;
  std::set<std::pair<std::int64_t, std::uint64_t>> old_due_;  // (wall time, number)
  std::set<std::uint64_t> gone_;                              // Numbers with rows to delete.
  std::uint64_t sweep_due_ns_ = 1;                            // Monotonic.
  std::uint64_t swept_last_ = 0;
  std::uint64_t last_erase_lsn_ = 0;
};

}  // namespace pm::catalog
