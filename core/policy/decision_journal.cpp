#include "decision_journal.h"

#include <ctime>
#include <type_traits>
#include <utility>

#include "core/observe/log.h"
#include "facts_writer.h"

namespace pm::policy {

namespace {

constexpr std::chrono::milliseconds pause{20};
constexpr std::size_t write_bytes = 256 << 10;
constexpr std::size_t decision_weight = 4;

std::int64_t wall_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

template <typename Facts>
std::size_t weight_of(const Facts& facts) {
  if constexpr (std::is_same_v<Facts, SpillFacts>) {
    return decision_weight + facts.candidates.size();
  } else {
    return decision_weight;
  }
}

}  // namespace

const char* access_name(AccessKind kind) {
  switch (kind) {
    case AccessKind::read: return "read";
    case AccessKind::write: return "write";
    case AccessKind::remove: return "delete";
  }
  return "";
}

template <typename Facts>
struct DecisionJournal::NotedOf final : Noted {
  NotedOf(Facts&& given, const DecisionOf<Facts>& decided, const std::string& by)
      : facts(std::move(given)), decision(decided), rule(by) {}

  void write(std::string& line) const override {
    FactsWriter writer(line);
    writer.text("hook", hook_name(Question<Facts>::hook));
    if (!rule.empty()) writer.text("rule", rule);
    line += ",\"facts\":";
    writer.facts(facts);
    if (rule.empty()) return;
    line += ",\"answer\":";
    writer.answer(facts, decision);
  }

  const Facts facts;
  const DecisionOf<Facts> decision;
  const std::string rule;
};

DecisionJournal::DecisionJournal(const JournalOptions& options)
    : options_(options),
      file_(options.path, options.bytes_max),
      thread_(&DecisionJournal::run, this) {}

DecisionJournal::~DecisionJournal() {
  {
    const std::lock_guard lock(mutex_);
    is_stopped_ = true;
    wakes_.notify_one();
  }
  thread_.join();
}

// ---- what is to be written ----

void DecisionJournal::set_tiers(const std::vector<TierFacts>& tiers) {
  {
    const std::lock_guard lock(mutex_);
    head_.tiers = tiers;
  }
  begin_anew();
}

void DecisionJournal::set_policies(std::vector<SourceFile> files) {
  {
    const std::lock_guard lock(mutex_);
    head_.policies = std::move(files);
  }
  begin_anew();
}

// One line is enough at the start, when the tiers are told after the policies.
void DecisionJournal::begin_anew() {
  std::shared_ptr<const Head> head;
  {
    const std::lock_guard lock(mutex_);
    if (head_.tiers.empty()) return;
    head = std::make_shared<const Head>(head_);
  }
  push({wall_ns(), std::move(head)}, 0);
}

template <typename Facts>
void DecisionJournal::note(Facts&& facts, const DecisionOf<Facts>& decision,
                           const std::string& rule) {
  const std::size_t weight = weight_of(facts);
  push({wall_ns(), std::make_unique<NotedOf<Facts>>(std::forward<Facts>(facts), decision, rule)},
       weight);
}
template void DecisionJournal::note(PlaceFacts&&, const PlaceDecision&, const std::string&);
template void DecisionJournal::note(SpillFacts&&, const SpillDecision&, const std::string&);
template void DecisionJournal::note(PromoteFacts&&, const PromoteDecision&, const std::string&);
template void DecisionJournal::note(AdmitFacts&&, const AdmitDecision&, const std::string&);
template void DecisionJournal::note(RetainFacts&&, const RetainDecision&, const std::string&);

void DecisionJournal::note(const Access& access) { push({wall_ns(), access}, 1); }

// To wake the thread costs more than all else here, so that is done once for many lines.
void DecisionJournal::push(Entry entry, std::size_t weight) {
  const std::lock_guard lock(mutex_);
  if (weight_ + weight > options_.queue_max) {
    ++state_.dropped;
    return;
  }
  const std::size_t much = options_.queue_max / 4;
  const bool wakes = queue_.empty() || (weight_ <= much && weight_ + weight > much);
  queue_.push_back(std::move(entry));
  weight_ += weight;
  ++noted_count_;
  if (wakes) wakes_.notify_one();
}

JournalState DecisionJournal::state() {
  const std::lock_guard lock(mutex_);
  return state_;
}

void DecisionJournal::flush() {
  std::unique_lock lock(mutex_);
  const std::uint64_t noted = noted_count_;
  ++flushing_;
  wakes_.notify_one();
  written_.wait(lock, [&] { return done_count_ >= noted; });
  --flushing_;
}

// ---- the thread ----

void DecisionJournal::run() {
  std::vector<Entry> entries;
  std::unique_lock lock(mutex_);
  while (true) {
    wakes_.wait(lock, [this] { return is_stopped_ || !queue_.empty(); });
    if (queue_.empty()) return;
    entries.swap(queue_);
    weight_ = 0;
    lock.unlock();
    write(entries);
    const std::size_t count = entries.size();
    entries.clear();
    lock.lock();
    done_count_ += count;
    written_.notify_all();
    wakes_.wait_for(lock, pause, [this] {
      return is_stopped_ || flushing_ != 0 || weight_ > options_.queue_max / 4;
    });
  }
}

void DecisionJournal::write(const std::vector<Entry>& entries) {
  const Status opened = file_.open();
  if (!opened.ok()) {
    for (const Entry& entry : entries) {
      // It stands at the beginning of the file, once there is one.
      const auto* head = std::get_if<std::shared_ptr<const Head>>(&entry.what);
      if (head != nullptr) written_head_ = *head;
    }
    return note_outcome(opened, entries.size());
  }
  for (const Entry& entry : entries) {
    const auto* head = std::get_if<std::shared_ptr<const Head>>(&entry.what);
    if (head != nullptr) written_head_ = *head;
    if (head == nullptr && file_.is_empty() && out_.empty() && written_head_ != nullptr) {
      put(line_of({entry.at_ns, written_head_}), entry.at_ns);
    }
    put(line_of(entry), entry.at_ns);
  }
  put_out();
}

std::string DecisionJournal::line_of(const Entry& entry) {
  std::string line = "{";
  FactsWriter writer(line);
  writer.number("at", entry.at_ns);
  if (const auto* access = std::get_if<Access>(&entry.what)) {
    writer.text("op", access_name(access->kind));
    writer.text("id", to_text(access->id));
    writer.count("size_bytes", access->size_bytes);
    if (written_head_ != nullptr && access->tier < written_head_->tiers.size()) {
      writer.text("tier", written_head_->tiers[access->tier].name);
    }
  } else if (const auto* noted = std::get_if<std::unique_ptr<Noted>>(&entry.what)) {
    (*noted)->write(line);
  } else {
    const Head& head = *std::get<std::shared_ptr<const Head>>(entry.what);
    writer.text("op", "begin");
    writer.tiers("tiers", head.tiers);
    line += ",\"policies\":[";
    for (const auto& [name, text] : head.policies) {
      line += line.back() == '[' ? "{" : ",{";
      writer.text("name", name);
      writer.text("text", text);
      line += '}';
    }
    line += ']';
  }
  return line + "}\n";
}

void DecisionJournal::put(const std::string& line, std::int64_t at_ns) {
  const bool is_first = file_.is_empty() && out_.empty();
  if (!is_first && !file_.has_room(out_.size() + line.size())) {
    put_out();
    if (!file_.is_empty()) {
      const Status status = file_.rotate();
      if (!status.ok()) return note_outcome(status, 1);
      if (written_head_ != nullptr) out_ = line_of({at_ns, written_head_});
    }
  }
  out_ += line;
  ++out_lines_;
  if (out_.size() >= write_bytes) put_out();
}

void DecisionJournal::put_out() {
  if (out_.empty()) return;
  note_outcome(file_.append(out_), out_lines_);
  out_.clear();
  out_lines_ = 0;
}

// Says it once, until it can be written again.
void DecisionJournal::note_outcome(const Status& status, std::uint64_t lines) {
  bool is_new = false;
  {
    const std::lock_guard lock(mutex_);
    if (!status.ok()) state_.dropped += lines;
    is_new = state_.error.empty() != status.ok();
    state_.error = status.message();
  }
  if (!is_new) return;
  if (status.ok()) return log::info("policy", "the journal of decisions is written again");
  log::error("policy", "the journal of decisions: " + status.message() +
                           "; decisions are not noted until that has changed");
}

}  // namespace pm::policy
