#include "expectation.h"

#include <algorithm>

namespace pm::power {

namespace {

enum class Known3 : std::uint8_t { no, maybe, yes };

bool has_begun(const Step& step, std::uint64_t cut) { return step.begun != 0 && step.begun <= cut; }
bool is_answered(const Step& step, std::uint64_t cut) {
  return step.ended != 0 && step.ended <= cut;
}

// What is known of one payload at the cut, step by step.
class Fold {
 public:
  Fold(const Known& known, std::uint64_t cut, std::uint64_t settled)
      : on_disk_(known.on_disk), settled_(settled) {
    for (const Step& step : known.steps) {
      if (!has_begun(step, cut)) break;
      const bool answered = is_answered(step, cut);
      // A refusal changed nothing.
      if (!answered || step.ok) take(step, answered);
    }
  }

  Expectation result() const {
    Expectation result;
    result.metadata = metadata_;
    result.may_be_absent = there_ != Known3::yes || deleted_ != Known3::no;
    const bool is_deleted = deleted_ == Known3::yes;
    result.may_be_read = there_ != Known3::no && !is_deleted;
    result.may_be_lost = there_ != Known3::no && durable_ != Known3::yes && !deleted_for_good_;
    return result;
  }

 private:
  void take(const Step& step, bool answered) {
    const Known3 now = answered ? Known3::yes : Known3::maybe;
    switch (step.act) {
      case Act::commit:
        // In shared memory it is promised to outlive the process, no more.
        there_ = answered && (on_disk_ || step.ended <= settled_) ? Known3::yes : Known3::maybe;
        if (on_disk_) durable_ = now;
        return;
      case Act::spill:
        if (answered) there_ = durable_ = Known3::yes;
        if (!answered) durable_ = std::max(durable_, Known3::maybe);
        return;
      case Act::give_up:
        // It may have been moved to the disk again to make room for others.
        if (durable_ == Known3::yes) durable_ = Known3::maybe;
        return;
      case Act::erase:
        deleted_ = now;
        deleted_for_good_ = answered && (durable_ == Known3::yes || step.ended <= settled_);
        return;
      case Act::describe: {
        const bool is_durable = answered && (durable_ == Known3::yes || step.ended <= settled_);
        if (is_durable) metadata_.clear();
        metadata_.insert(step.text);
        return;
      }
      default: return;
    }
  }

  const bool on_disk_;
  const std::uint64_t settled_;
  Known3 there_ = Known3::no;  // The row.
  Known3 durable_ = Known3::no;
  Known3 deleted_ = Known3::no;
  bool deleted_for_good_ = false;
  std::set<std::string> metadata_{""};
};

}  // namespace

std::uint64_t settled_before(const std::vector<ClientLog>& logs, std::uint64_t cut) {
  std::uint64_t settled = 0;
  for (const ClientLog& log : logs) {
    for (const Known& known : log.payloads) {
      if (!known.on_disk || known.steps.empty()) continue;
      const Step& commit = known.steps.front();
      if (commit.ok && is_answered(commit, cut)) settled = std::max(settled, commit.begun);
    }
  }
  return settled;
}

Expectation expect(const Known& known, std::uint64_t cut, std::uint64_t settled) {
  return Fold(known, cut, settled).result();
}

std::string judge(const KnownStream& stream, std::uint64_t cut, std::uint64_t settled,
                  const std::vector<std::string>* items) {
  const auto is_settled = [&](const Step& step) {
    return step.ok && is_answered(step, cut) && step.ended <= settled;
  };
  if (items == nullptr) return is_settled(stream.created) ? "the stream is lost" : "";
  if (!has_begun(stream.created, cut)) return "a stream that nobody had made";
  std::size_t next = 0;
  for (const std::string& item : *items) {
    const std::size_t number = std::stoul(item);
    if (number >= stream.appends.size() || !has_begun(stream.appends[number], cut))
      return "entry " + item + " was not appended before the cut";
    for (; next < number; ++next) {
      if (stream.appends[next].ok)
        return "entry " + std::to_string(next) + " is lost, and " + item + " is there";
    }
    if (number != next) return "entry " + item + " comes twice, or too late";
    ++next;
  }
  for (; next < stream.appends.size(); ++next) {
    if (is_settled(stream.appends[next])) return "entry " + std::to_string(next) + " is lost";
  }
  return {};
}

}  // namespace pm::power
