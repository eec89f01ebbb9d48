#include "copy_checker.h"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <utility>

#include "core/observe/log.h"

namespace pm::scrub {

using catalog::CopyChecked;
using catalog::CopyToCheck;
using catalog::Reason;

namespace {

constexpr std::chrono::milliseconds look_every{100};
constexpr std::chrono::minutes answer_time_max{10};

// The reply to one command. It keeps itself until then: who asked may have given up.
class Answer final : public ledger::ReplyHandler, public std::enable_shared_from_this<Answer> {
 public:
  catalog::Ticket ticket() {
    self_ = shared_from_this();
    return ledger::ticket_of(this);
  }
  void on_reply(const catalog::Reply& reply) override {
    const std::shared_ptr<Answer> self = std::move(self_);
    const std::lock_guard lock(mutex_);
    reply_ = reply;
    given_.notify_all();
  }
  std::optional<catalog::Reply> await(const std::atomic<bool>& stopping) {
    std::unique_lock lock(mutex_);
    const auto end = std::chrono::steady_clock::now() + answer_time_max;
    while (!reply_ && !stopping.load() && std::chrono::steady_clock::now() < end) {
      given_.wait_for(lock, look_every);
    }
    return reply_;
  }

 private:
  std::shared_ptr<Answer> self_;
  std::mutex mutex_;
  std::condition_variable given_;
  std::optional<catalog::Reply> reply_;
};

}  // namespace

template <typename Command>
std::optional<catalog::Reply> CopyChecker::ask(Command command) {
  const auto answer = std::make_shared<Answer>();
  command.ticket = answer->ticket();
  ledger_.submit(command);
  return answer->await(stopping_);
}

// What is found out is recorded, so it waits while nothing can be.
bool CopyChecker::wait_for_journal() const {
  while (!ledger_.accepts_changes()) {
    if (stopping_.load()) return false;
    std::this_thread::sleep_for(look_every);
  }
  return true;
}

std::string CopyChecker::text_of(const CopyToCheck& copy) const {
  return "the copy of payload " + to_text(copy.object.payload) + " on tier '" +
         tiers_[copy.object.tier].name + "'";
}

mover::CheckResult CopyChecker::read(const CopyToCheck& copy, const mover::MayRead& may_read) {
  mover::Mover::Part part;
  const auto read_part = [&](std::uint64_t offset,
                             std::uint64_t length) -> Result<std::span<const std::byte>> {
    auto read = mover_.read(copy.object, offset, length);
    if (!read.ok()) return read.status();
    part = std::move(*read);
    return std::span<const std::byte>(part.buffer.get(), part.count);
  };
  return mover::check_copy(read_part, copy.object.length, copy.checksum, may_read);
}

bool CopyChecker::check(const CopyToCheck& copy, const mover::MayRead& may_read, Outcome& outcome) {
  const auto begun = ask(catalog::CheckCopy{0, copy.object.payload, copy.object.generation});
  // It has gone meanwhile, or nobody answers any more.
  if (!begun || begun->reason != Reason::none) return begun.has_value();
  bool is_gone = false;
  const mover::CheckResult result = read(copy, [&](std::uint64_t bytes) {
    if (!may_read(bytes)) return false;
    is_gone = !is_wanted(copy);
    if (!is_gone) outcome.counts.bytes += bytes;
    return !is_gone;
  });
  judge(copy, result, outcome);
  return !result.stopped || is_gone;
}

bool CopyChecker::is_wanted(const CopyToCheck& copy) const {
  return ledger_.read([&](const catalog::Catalog& catalog, const catalog::Clocks&) {
    return catalog.has_copy(copy.object.payload, copy.object.generation);
  });
}

// Says what was found, whatever it was: the copy is held until then.
void CopyChecker::judge(const CopyToCheck& copy, const mover::CheckResult& result,
                        Outcome& outcome) {
  using Verdict = CopyChecked::Verdict;
  CopyChecked report{0, copy.object.payload, copy.object.generation, result.verdict,
                     result.checksum};
  const bool computes = copy.checksum.kind == catalog::ChecksumKind::none;
  const bool is_bad = result.verdict == Verdict::bad || result.verdict == Verdict::unreadable;
  const bool is_news = is_bad || (result.verdict == Verdict::good && (computes || copy.bad));
  if (is_bad || result.verdict == Verdict::good) ++outcome.counts.copies;
  if (result.verdict == Verdict::unknown && !result.stopped) {
    note_unreadable(copy, result, outcome);
  }
  if (is_news && !wait_for_journal()) report.verdict = Verdict::unknown;
  if (!is_news || report.verdict == Verdict::unknown) return ledger_.submit(report);
  const auto reply = ask(report);
  const Reason reason = reply ? reply->reason : Reason::none;
  if (reason == Reason::payload_not_found) return;  // It has gone meanwhile.
  if (result.verdict == Verdict::unreadable && reason == Reason::storage_error) {
    --outcome.counts.copies;
    return note_unreadable(copy, result, outcome);
  }
  if (is_bad || copy.bad) {
    return report_bad(copy, result.words, reply ? &*reply : nullptr, outcome);
  }
  if (reply && reason == Reason::none) ++outcome.counts.checksums;
}

void CopyChecker::note_unreadable(const CopyToCheck& copy, const mover::CheckResult& result,
                                  Outcome& outcome) {
  ++outcome.counts.unreadable;
  if (outcome.reason == Reason::none) {
    outcome.reason = result.is_away ? Reason::tier_degraded : Reason::storage_error;
  }
  outcome.unreadable = text_of(copy) + " could not be read: " + result.words;
}

void CopyChecker::report_bad(const CopyToCheck& copy, const std::string& words,
                             const catalog::Reply* reply, Outcome& outcome) {
  ++outcome.counts.bad;
  // It still waits for room, perhaps.
  Reason reason = stopping_.load() ? Reason::shutting_down : Reason::payload_busy;
  if (reply != nullptr) reason = reply->reason;
  std::string end = "it could not be replaced yet";
  if (reason == Reason::none && words.empty()) {
    ++outcome.counts.repaired;
    end = "it is good again";
    // And with it a payload of which nothing good had been found before.
    if (outcome.reason == Reason::payload_lost) {
      outcome.reason = Reason::none;
      outcome.lost_on = catalog::no_tier;
      outcome.counts.lost = 0;
    }
  } else if (reason == Reason::none) {
    ++outcome.counts.repaired;
    end = "a good copy has taken its place";
  } else if (reason == Reason::payload_lost) {
    ++outcome.counts.lost;
    outcome.lost_on = copy.object.tier;
    end =
        "there is no other: the payload is lost, and what is left of it stays until it is deleted";
  }
  if (outcome.reason == Reason::none || reason == Reason::payload_lost) outcome.reason = reason;
  log::error("scrub", text_of(copy) + " is bad" + (words.empty() ? std::string() : ": " + words) +
                          "; " + end);
}

}  // namespace pm::scrub
