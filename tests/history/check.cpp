#include "check.h"

#include <algorithm>
#include <map>
#include <optional>

#include "payload_model.h"
#include "search.h"
#include "stream_model.h"

namespace pm::history {

namespace {

using Operations = std::vector<const Operation*>;

bool is_of_stream(Kind kind) {
  return kind == Kind::create_stream || kind == Kind::append || kind == Kind::read_stream;
}

// Taking away what changes nothing makes no order impossible.
bool only_looks(const Operation& operation) {
  if (operation.outcome == Outcome::refused) return true;
  switch (operation.kind) {
    case Kind::resolve:
    case Kind::read:
    case Kind::get_metadata:
    case Kind::read_stream: return true;
    default: return false;
  }
}

// Of a few operations; those not answered by `until_ns` count as unknown, as they were then.
class Part {
 public:
  Part(const Operations& all, std::int64_t until_ns) {
    for (const Operation* operation : all) {
      if (operation->invoked_ns > until_ns) continue;
      copies_.push_back(*operation);
      Operation& copy = copies_.back();
      if (copy.returned_ns > until_ns && copy.kind != Kind::crash) copy.outcome = Outcome::unknown;
    }
  }
  Operations operations() const {
    Operations result;
    for (const Operation& copy : copies_) result.push_back(&copy);
    return result;
  }

 private:
  std::vector<Operation> copies_;
};

template <typename Model>
class Subject {
 public:
  Subject(std::string name, Operations operations)
      : name_(std::move(name)), operations_(std::move(operations)) {}

  std::optional<Finding> examine(std::uint64_t& tried) const {
    const SearchResult result = search(operations_);
    tried += result.tried;
    if (result.linearizable) return std::nullopt;
    Finding finding{"linearizable", name_, explain()};
    return finding;
  }

 private:
  static SearchResult search(const Operations& operations) {
    const Model model(operations);
    return Search<Model>(model, model.points()).run();
  }

  // The earliest answer at which no order is left, without those that only looked and do not
  // matter.
  std::string explain() const {
    std::vector<std::int64_t> returns;
    for (const Operation* operation : operations_) {
      if (operation->outcome != Outcome::unknown) returns.push_back(operation->returned_ns);
    }
    std::sort(returns.begin(), returns.end());
    std::size_t low = 0;
    std::size_t high = returns.size() - 1;
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      const Part part(operations_, returns[middle]);
      if (search(part.operations()).linearizable) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    const Part part(operations_, returns[low]);
    return describe(without_looks(part.operations()));
  }

  static Operations without_looks(Operations left) {
    for (std::size_t at = left.size(); at-- > 0;) {
      if (!only_looks(*left[at])) continue;
      Operations fewer = left;
      fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(at));
      if (!search(fewer).linearizable) left = std::move(fewer);
    }
    return left;
  }

  static std::string describe(const Operations& operations) {
    const Model model(operations);
    const SearchResult result = Search<Model>(model, model.points()).run();
    std::vector<bool> placed(operations.size());
    for (const std::uint32_t point : result.best) placed[model.points()[point].step] = true;
    std::string words = "no order fits (* is what could not be placed):\n";
    for (std::size_t at = 0; at < operations.size(); ++at) {
      words += placed[at] || operations[at]->outcome == Outcome::unknown ? "    " : "  * ";
      words += to_text(*operations[at]) + "\n";
    }
    return words;
  }

  std::string name_;
  Operations operations_;
};

// By payload or stream, with the crashes from the first to the last operation of each.
std::map<std::string, Operations> partition(const History& history) {
  std::map<std::string, Operations> subjects;
  std::vector<const Operation*> crashes;
  for (const Operation& operation : history) {
    if (operation.kind == Kind::crash) {
      crashes.push_back(&operation);
    } else if (!operation.subject.empty()) {
      subjects[operation.subject].push_back(&operation);
    }
  }
  const auto earlier = [](const Operation* a, const Operation* b) {
    return a->invoked_ns < b->invoked_ns;
  };
  std::sort(crashes.begin(), crashes.end(), earlier);
  for (auto& [name, operations] : subjects) {
    const auto first =
        std::lower_bound(crashes.begin(), crashes.end(), operations.front(), earlier);
    auto last = std::lower_bound(crashes.begin(), crashes.end(), operations.back(), earlier);
    if (last != crashes.end()) ++last;  // It ends the life of those that have no answer.
    operations.insert(operations.end(), first, last);
    std::stable_sort(operations.begin(), operations.end(), earlier);
  }
  return subjects;
}

}  // namespace

Verdict check(History history) {
  std::stable_sort(history.begin(), history.end(), [](const Operation& a, const Operation& b) {
    return a.invoked_ns < b.invoked_ns;
  });
  Verdict verdict;
  verdict.operations = history.size();
  for (const Operation& operation : history) {
    if (operation.outcome == Outcome::unknown) ++verdict.unknown;
  }
  check_invariants(history, verdict.findings);
  check_streams(history, verdict.findings);
  for (auto& [name, operations] : partition(history)) {
    ++verdict.subjects;
    const auto first = std::find_if(operations.begin(), operations.end(),
                                    [](const auto* each) { return each->kind != Kind::crash; });
    const bool stream = first != operations.end() && is_of_stream((*first)->kind);
    const auto finding =
        stream ? Subject<StreamModel>(name, std::move(operations)).examine(verdict.tried)
               : Subject<PayloadModel>(name, std::move(operations)).examine(verdict.tried);
    if (finding) verdict.findings.push_back(*finding);
  }
  return verdict;
}

std::string Verdict::to_text() const {
  std::string text = std::to_string(operations) + " operations (" + std::to_string(unknown) +
                     " unknown) on " + std::to_string(subjects) + " payloads and streams, " +
                     std::to_string(tried) + " configurations, " + std::to_string(findings.size()) +
                     " findings\n";
  constexpr std::size_t shown_max = 5;
  for (std::size_t at = 0; at < findings.size() && at < shown_max; ++at) {
    const Finding& finding = findings[at];
    text += finding.rule + " " + finding.subject + ": " + finding.words + "\n";
  }
  return text;
}

}  // namespace pm::history
