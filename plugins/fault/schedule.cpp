#include "schedule.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "toml_text.h"

namespace pm::fault {

namespace {

// How often a call that is held up looks whether it may go on.
constexpr std::chrono::milliseconds look_interval{5};
// One byte more than a schedule may have, so that a longer one is noticed.
constexpr std::size_t read_bytes_max = (64 << 10) + 1;

// SplitMix64 (Steele, Lea, Flood 2014).
std::uint64_t draw(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15;
  std::uint64_t word = state;
  word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
  word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
  return word ^ (word >> 31);
}

std::uint64_t monotonic_now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

// The file's text; empty when it is not there. Its times are too coarse to tell two changes apart,
// so it is read whole.
Result<std::string> read_text(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return std::string();
  if (file < 0) return Status(Code::invalid_argument, path + ": " + std::strerror(errno));
  std::string text(read_bytes_max, '\0');
  std::size_t length = 0;
  ssize_t count = 1;
  while (count > 0 && length < text.size()) {
    count = ::read(file, text.data() + length, text.size() - length);
    if (count > 0) length += static_cast<std::size_t>(count);
  }
  const int error = errno;
  ::close(file);
  if (count < 0) return Status(Code::invalid_argument, path + ": " + std::strerror(error));
  text.resize(length);
  return text;
}

}  // namespace

void Decision::Corruption::spoil(void* bytes, std::uint64_t length) const {
  if (length == 0) return;
  auto* const target = static_cast<unsigned char*>(bytes);
  target[offset_bytes.value_or(random / 8) % length] ^=
      static_cast<unsigned char>(1u << (random % 8));
}

Result<std::unique_ptr<Schedule>> Schedule::open(const sdk::Host& host, Operations operations,
                                                 const boost::json::value& faults,
                                                 std::string file) {
  std::unique_ptr<Schedule> schedule(new Schedule(host, operations, std::move(file)));
  auto configured = parse_rules(faults, operations);
  if (!configured.ok()) return configured.status();
  schedule->configured_ = *std::move(configured);
  if (!schedule->file_.empty()) {
    auto text = read_text(schedule->file_);
    if (!text.ok()) return text.status();
    schedule->text_ = *std::move(text);
  }
  auto rules = schedule->rules_of(schedule->text_);
  if (!rules.ok()) return rules.status();
  schedule->take(*std::move(rules));
  return schedule;
}

Result<std::vector<Rule>> Schedule::rules_of(const std::string& text) const {
  auto faults = read_faults(text, file_);
  if (!faults.ok()) return faults.status();
  auto rules = parse_rules(*faults, operations_);
  if (rules.ok()) return rules;
  return Status(rules.status().code(), file_ + ": " + rules.status().message());
}

void Schedule::take(std::vector<Rule> file_rules) {
  rules_.clear();
  for (const Rule& rule : configured_) rules_.push_back({rule, 0, false, rule.seed});
  for (Rule& rule : file_rules) {
    const std::uint64_t seed = rule.seed;
    rules_.push_back({std::move(rule), 0, false, seed});
  }
  ++generation_;
}

// `news`: what to tell in the log.
void Schedule::refresh_locked(std::string& news, bool& is_wrong) {
  if (file_.empty()) return;
  auto text = read_text(file_);
  // What cannot be read is noted like a text of its own, so that it is told of once.
  std::string found = text.ok() ? *std::move(text) : "# " + text.status().message();
  if (found == text_) return;
  text_ = std::move(found);
  Status status = text.status();
  if (status.ok()) {
    auto rules = rules_of(text_);
    status = rules.status();
    if (rules.ok()) take(*std::move(rules));
  }
  is_wrong = !status.ok();
  news = is_wrong ? "the schedule of faults stays as it was: " + status.message()
                  : file_ + ": " + std::to_string(rules_.size()) + " faults in the schedule";
}

bool Schedule::is_turn(Counted& counted) {
  const Rule& rule = counted.rule;
  ++counted.calls;
  if (counted.has_hit && rule.repeat == Repeat::sticky) return true;
  if (counted.has_hit && rule.repeat == Repeat::once) return false;
  if (rule.nth != 0 && counted.calls != rule.nth) return false;
  if (rule.every != 0 && counted.calls % rule.every != 0) return false;
  if (rule.probability >= 1) return true;
  // 53 bits are what a double holds exactly.
  const auto drawn = static_cast<double>(draw(counted.random_state) >> 11) * 0x1p-53;
  return drawn < rule.probability;
}

void Schedule::add(const Rule& rule, Counted& counted, std::size_t operation,
                   Decision& decision) const {
  const std::string name = operations_[operation].name;
  switch (rule.kind) {
    case Kind::latency: decision.latency_ms += rule.latency_ms; return;
    case Kind::hang:
      decision.hangs = true;
      decision.ignores_deadline = decision.ignores_deadline || rule.ignores_deadline;
      return;
    case Kind::error:
      if (!decision.failure) {
        decision.failure = {
            Status(static_cast<Code>(rule.status),
                   rule.message.empty() ? "injected: " + name + " fails" : rule.message),
            rule.after};
      }
      return;
    case Kind::full:
      if (!decision.full) {
        decision.full = {
            rule.used_bytes_max,
            Status(Code::resource_exhausted,
                   rule.message.empty() ? "injected: the medium is full" : rule.message)};
      }
      return;
    case Kind::short_read:
      if (!decision.short_read) decision.short_read = {rule.count_max};
      return;
    case Kind::corrupt:
      if (!decision.corruption) {
        decision.corruption = {rule.offset_bytes, draw(counted.random_state)};
      }
      return;
  }
}

Decision Schedule::next(std::size_t operation) {
  Decision decision;
  std::string news;
  bool is_wrong = false;
  std::string first_hits;
  {
    const std::lock_guard lock(mutex_);
    refresh_locked(news, is_wrong);
    decision.generation = generation_;
    for (Counted& counted : rules_) {
      if ((counted.rule.operations >> operation & 1) == 0 || !is_turn(counted)) continue;
      add(counted.rule, counted, operation, decision);
      if (!std::exchange(counted.has_hit, true)) first_hits += counted.rule.text + " ";
    }
  }
  if (!news.empty()) host_.log(is_wrong ? PM_LOG_ERROR : PM_LOG_INFO, news);
  if (!first_hits.empty()) host_.info("for the first time, " + first_hits + "takes effect");
  return decision;
}

bool Schedule::hangs_on(const Decision& decision) {
  if (!decision.hangs) return false;
  std::string news;
  bool is_wrong = false;
  bool same = true;
  {
    const std::lock_guard lock(mutex_);
    refresh_locked(news, is_wrong);
    same = decision.generation == generation_;
  }
  if (!news.empty()) host_.log(is_wrong ? PM_LOG_ERROR : PM_LOG_INFO, news);
  return same;
}

Status Schedule::wait(const Decision& decision, const pm_call_context_t* context) {
  const std::uint64_t end_ns = monotonic_now_ns() + decision.latency_ms * 1'000'000;
  while (true) {
    const std::uint64_t now_ns = monotonic_now_ns();
    const bool is_late = decision.latency_ms != 0 && now_ns < end_ns;
    if (!is_late && !hangs_on(decision)) return {};
    const bool listens = context != nullptr && !decision.ignores_deadline;
    if (listens && context->is_cancelled != nullptr && context->is_cancelled(context)) {
      return {Code::cancelled, "nobody waits for the call any more"};
    }
    if (listens && context->deadline_ns != 0 && now_ns >= context->deadline_ns) {
      return {Code::deadline_exceeded, "the call's deadline has passed"};
    }
    std::chrono::nanoseconds pause = look_interval;
    if (is_late) pause = std::min(pause, std::chrono::nanoseconds(end_ns - now_ns));
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace pm::fault
