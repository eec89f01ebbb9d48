#include <gtest/gtest.h>

#include <random>

#include "streams_harness.h"

// Random commands on a few streams, with time and restarts, beside a model that keeps every entry
// in a list. What readers may see, and what the repository holds in the end, must be the same.

namespace pm::catalog::test {
namespace {

struct ModelStream {
  std::uint64_t entries_max = 0;
  std::uint64_t age_s = 0;
  std::vector<std::int64_t> times;  // By offset; of all that were ever appended.
  std::map<std::string, std::uint64_t> groups;

  std::set<std::uint64_t> visible(std::int64_t now_ns) const {
    std::set<std::uint64_t> offsets;
    for (std::uint64_t offset = 0; offset < times.size(); ++offset) {
      if (entries_max != 0 && offset + entries_max < times.size()) continue;
      const auto age_ns = static_cast<std::int64_t>(age_s * second_ns);
      if (age_s != 0 && times[offset] < now_ns - age_ns) continue;
      offsets.insert(offset);
    }
    return offsets;
  }
};

class StreamRun {
 public:
  explicit StreamRun(std::uint64_t seed) : random_(seed) {}

  void run(int steps) {
    for (int step = 0; step < steps; ++step) {
      act();
      if (step % 16 == 0) compare();
      if (testing::Test::HasFailure()) return;
    }
    compare();
    settle();
  }

 private:
  std::uint64_t pick(std::uint64_t bound) { return random_() % bound; }
  std::string some_name() { return std::string(1, static_cast<char>('a' + pick(4))); }

  void act() {
    const std::string name = some_name();
    const auto found = model_.find(name);
    const bool exists = found != model_.end();
    switch (pick(10)) {
      case 0: {
        ModelStream stream;
        if (pick(2) == 0) stream.entries_max = 1 + pick(400);
        if (pick(2) == 0) stream.age_s = 1 + pick(30);
        const Reason reason = machine_.create(name, stream.entries_max, stream.age_s);
        ASSERT_EQ(reason, exists ? Reason::stream_exists : Reason::none);
        if (!exists) model_.emplace(name, stream);
        break;
      }
      case 1:
        if (pick(4) != 0) break;
        ASSERT_EQ(machine_.erase(name).reason, Reason::none);
        model_.erase(name);
        break;
      case 2:
      case 3: commit(name); break;
      case 4: machine_.pass(pick(4 * second_ns)); break;
      case 5: machine_.pass(10'000'000); break;
      case 6:
        if (pick(20) == 0) machine_ = machine_.restart();
        break;
      default: append(name);
    }
  }

  void append(const std::string& name) {
    const std::size_t count = pick(8) == 0 ? 1 + pick(1000) : 1 + pick(5);
    const Reply reply = machine_.append(name, count);
    const auto found = model_.find(name);
    ASSERT_EQ(reply.reason, found == model_.end() ? Reason::stream_not_found : Reason::none);
    if (found == model_.end()) return;
    std::vector<std::int64_t>& times = found->second.times;
    ASSERT_EQ(reply.first_number, times.size());
    ASSERT_EQ(reply.at_ns, std::max(times.empty() ? 0 : times.back(), machine_.now().wall_ns));
    times.insert(times.end(), count, reply.at_ns);
  }

  void commit(const std::string& name) {
    const std::string group(1, static_cast<char>('g' + pick(3)));
    const std::uint64_t offset = pick(100);
    const bool rewind = pick(2) == 0;
    const Reason reason = machine_.commit(name, group, offset, rewind).reason;
    const auto found = model_.find(name);
    if (found == model_.end()) {
      ASSERT_EQ(reason, Reason::stream_not_found);
      return;
    }
    ModelStream& stream = found->second;
    const auto committed = stream.groups.find(group);
    if (offset > stream.times.size()) {
      ASSERT_EQ(reason, Reason::offset_beyond_end);
    } else if (committed != stream.groups.end() && offset < committed->second && !rewind) {
      ASSERT_EQ(reason, Reason::offset_goes_back);
    } else {
      ASSERT_EQ(reason, Reason::none);
      stream.groups[group] = offset;
    }
  }

  void compare() {
    ASSERT_EQ(machine_.catalog().streams().size(), model_.size());
    for (const auto& [name, stream] : model_) {
      const StreamHead head = machine_.head(name);
      ASSERT_EQ(head.next_offset, stream.times.size());
      std::set<std::uint64_t> seen;
      for (const auto& [offset, time] : machine_.entries[head.number]) {
        ASSERT_EQ(time, stream.times.at(offset));
        if (offset >= head.first_offset && time >= head.keep_from_ns) seen.insert(offset);
      }
      ASSERT_EQ(seen, stream.visible(machine_.now().wall_ns)) << name;
      for (const auto& [group, offset] : stream.groups) {
        const auto committed = machine_.catalog().streams().committed({"", name}, group);
        ASSERT_TRUE(committed.any);
        ASSERT_EQ(committed.offset, offset);
      }
      ASSERT_EQ(head.groups, stream.groups.size());
    }
  }

  // Time alone deletes what is too old, and what deleted streams have left.
  void settle() {
    machine_.settle();
    machine_.pass(100 * second_ns);
    machine_.settle();
    compare();
    std::size_t rows = 0;
    std::size_t visible = 0;
    for (const auto& [number, entries] : machine_.entries) rows += entries.size();
    for (const auto& [name, stream] : model_) {
      visible += stream.visible(machine_.now().wall_ns).size();
    }
    EXPECT_EQ(rows, visible);
    EXPECT_EQ(machine_.heads.size(), model_.size());
  }

  std::mt19937_64 random_;
  StreamMachine machine_;
  std::map<std::string, ModelStream> model_;
};

TEST(streams, keep_their_promises_over_random_histories) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    StreamRun(seed).run(400);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace pm::catalog::test
