#pragma once

#include <map>
#include <set>
#include <string>

#include "harness.h"

namespace pm::catalog::test {

// A machine for streams, and what a repository would hold of them.
class StreamMachine {
 public:
  explicit StreamMachine(Limits limits = {}) : machine_(three_tiers(1 << 30), limits) {
    machine_.put(payload, 4096);
    take_records();
  }

  Machine& machine() { return machine_; }
  const Catalog& catalog() const { return *machine_.catalog; }
  Clocks& now() { return machine_.now; }

  template <typename ClientCommand>
  Reply run(const ClientCommand& command) {
    const auto reply = machine_.call(command);
    take_records();
    EXPECT_TRUE(reply.has_value());
    return reply.value_or(Reply{});
  }
  Reason create(const std::string& name, std::uint64_t entries_max = 0, std::uint64_t age_s = 0) {
    CreateStream command;
    command.name = {"", name};
    command.entries_max = entries_max;
    command.age_max_s = age_s;
    return run(command).reason;
  }
  Reply erase(const std::string& name) {
    DeleteStream command;
    command.name = {"", name};
    return run(command);
  }
  AppendToStream append_command(const std::string& name, std::size_t count) const {
    AppendToStream command;
    command.name = {"", name};
    StreamItem item;
    item.payload = make_id(payload);
    command.items = std::make_shared<const StreamItems>(count, item);
    return command;
  }
  Reply append(const std::string& name, std::size_t count) {
    return run(append_command(name, count));
  }
  Reply append(const std::string& name, std::initializer_list<std::uint64_t> payloads) {
    AppendToStream command;
    command.name = {"", name};
    StreamItems items;
    for (const std::uint64_t number : payloads)
      items.push_back({make_id(number), no_time_ns, 0, ""});
    command.items = std::make_shared<const StreamItems>(std::move(items));
    return run(command);
  }
  Reply commit(const std::string& name, const std::string& group, std::uint64_t offset,
               bool allow_rewind = false) {
    CommitOffset command;
    command.name = {"", name};
    command.group = group;
    command.offset = offset;
    command.allow_rewind = allow_rewind;
    return run(command);
  }
  void pass(std::uint64_t ns) {
    machine_.pass(ns);
    take_records();
  }
  // Until nothing is left to be deleted.
  void settle() {
    for (int step = 0; step < 10'000 && catalog().streams().sweeping(); ++step) pass(10'000'000);
    EXPECT_FALSE(catalog().streams().sweeping());
  }
  StreamHead head(const std::string& name) const {
    StreamHead head;
    EXPECT_TRUE(catalog().streams().find(StreamName{"", name}, machine_.now, head));
    return head;
  }
  std::set<std::uint64_t> rows(const std::string& name) {
    std::set<std::uint64_t> offsets;
    for (const auto& [offset, time] : entries[head(name).number]) offsets.insert(offset);
    return offsets;
  }

  // A new life, as the ledger would begin it.
  StreamMachine restart() const {
    StreamMachine next(*this, machine_.restart(three_tiers(1 << 30)));
    Catalog& catalog = *next.machine_.catalog;
    for (const auto& [number, record] : heads) catalog.restore(record);
    for (const auto& [key, record] : groups) catalog.restore(record);
    for (const auto& [number, record] : heads) {
      const auto found = entries.find(number);
      if (record.dead || found == entries.end()) continue;
      const std::uint64_t every = (record.next_offset - record.first_offset) / 64 + 1;
      for (std::uint64_t end = record.first_offset + every; end < record.next_offset;
           end += every) {
        catalog.restore_stream_age(number, end, found->second.at(end - 1));
      }
    }
    return next;
  }

  // What the repository would hold.
  std::map<std::uint64_t, StreamRecord> heads;
  std::map<std::uint64_t, std::map<std::uint64_t, std::int64_t>> entries;  // offset -> append time
  std::map<std::pair<std::uint64_t, std::string>, ConsumerGroupRecord> groups;
  std::uint64_t swept = 0;

 private:
  static constexpr std::uint64_t payload = 1'000'000;

  StreamMachine(const StreamMachine& before, Machine machine)
      : heads(before.heads),
        entries(before.entries),
        groups(before.groups),
        machine_(std::move(machine)),
        taken_(before.machine_.records.size()) {
    // So that it can be restarted, too.
    machine_.records = before.machine_.records;
  }

  void take_records() {
    for (; taken_ < machine_.records.size(); ++taken_) {
      const Record& record = machine_.records[taken_];
      if (const auto* head = std::get_if<StreamRecord>(&record)) {
        heads.erase(head->number);
        if (!head->erased) heads.emplace(head->number, *head);
      } else if (const auto* added = std::get_if<StreamEntries>(&record)) {
        for (std::size_t at = 0; at < added->items->size(); ++at) {
          entries[added->stream][added->first_offset + at] = added->append_time_ns;
        }
      } else if (const auto* gone = std::get_if<StreamSweepRecord>(&record)) {
        for (std::uint64_t at = gone->first_offset; at < gone->end_offset; ++at) {
          EXPECT_EQ(entries[gone->stream].erase(at), 1u) << "deletes what is not there";
          ++swept;
        }
      } else if (const auto* group = std::get_if<ConsumerGroupRecord>(&record)) {
        groups.erase({group->stream, group->group});
        if (!group->erased) groups.emplace(std::pair(group->stream, group->group), *group);
      }
    }
  }

  Machine machine_;
  std::size_t taken_ = 0;
};

}  // namespace pm::catalog::test
