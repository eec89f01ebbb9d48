#pragma once

#include <fstream>
#include <memory>
#include <pm/cpp/result.hpp>
#include <string>
#include <variant>
#include <vector>

#include "decision_journal.h"
#include "examples.h"
#include "sandbox.h"

namespace pm::policy {

// What clients did; ids and tiers are told by name.
struct JournalAccess {
  AccessKind kind = AccessKind::read;
  std::string id;
  std::uint64_t size_bytes = 0;
  std::string tier;  // Empty: it is not said.
};

// What was there from then on.
struct JournalBegin {
  std::vector<TierFacts> tiers;
  std::vector<SourceFile> policies;
};

// What stands in a line of a decision journal. An expectation without a decision: the default was
// to decide.
struct JournalLine {
  std::int64_t at_ns = 0;
  std::string rule;  // Of a decision.
  std::variant<JournalAccess, JournalBegin, Expectation<PlaceFacts>, Expectation<SpillFacts>,
               Expectation<PromoteFacts>, Expectation<AdmitFacts>, Expectation<RetainFacts>>
      what;
};

// Reads a decision journal: what PATH.1 has, when it is there, and then PATH. The last line of a
// file is passed over when it is torn.
class JournalReader {
 public:
  static Result<std::unique_ptr<JournalReader>> open(const std::string& path);

  // False: there are no more. An error says file:line and what is wrong there.
  Result<bool> next(JournalLine& line);

  std::uint64_t lines() const { return lines_; }
  std::uint64_t torn() const { return torn_; }
  // Those that were there.
  const std::vector<std::string>& files() const { return files_; }

 private:
  explicit JournalReader(std::unique_ptr<Sandbox> sandbox) : sandbox_(std::move(sandbox)) {}
  Status open_next();
  Status parse(const std::string& text, JournalLine& line);

  std::unique_ptr<Sandbox> sandbox_;  // Where facts are read as those of examples are.
  std::vector<std::string> files_;
  std::size_t next_file_ = 0;
  std::ifstream file_;
  std::uint64_t number_ = 0;  // Of the line in its file.
  std::uint64_t lines_ = 0;
  std::uint64_t torn_ = 0;
};

}  // namespace pm::policy
