// policy check and policy test: scripts are loaded and tried here, without a host.

#include <algorithm>
#include <boost/json/array.hpp>
#include <filesystem>
#include <ostream>

#include "core/policy/policy.h"
#include "core/policy/script_files.h"
#include "text.h"
#include "verbs.h"

namespace pm::ctl {
namespace {

namespace fs = std::filesystem;

// The words begin with file and line; no code is anybody's.
int fail(const Context& context, const std::string& words) {
  return context.fail({Code::unknown, words});
}

Result<std::unique_ptr<policy::Policy>> load(const std::vector<std::string>& paths) {
  std::vector<policy::SourceFile> files;
  for (const std::string& path : paths) {
    auto file = policy::read_script(path, path);
    if (!file.ok()) return file.status();
    files.push_back(*std::move(file));
  }
  return policy::Policy::load(files);
}

// The rules of what was loaded together.
class RulePrinter {
 public:
  explicit RulePrinter(const Context& context)
      : context_(context), table_(context.out, {"RULE", "HOOK", "WHERE", "EXAMPLES"}) {}

  void add(const policy::Policy& policy) {
    const std::size_t examples = policy.examples_count();
    for (const policy::RuleState& rule : policy.rules().states()) {
      table_.add({rule.name, policy::hook_name(rule.hook), rule.where, std::to_string(examples)});
      boost::json::object object;
      object["rule"] = rule.name;
      object["hook"] = policy::hook_name(rule.hook);
      object["where"] = rule.where;
      object["examples"] = examples;
      rules_.push_back(std::move(object));
    }
  }
  void finish() {
    if (context_.format == Format::json) {
      print_json(rules_, context_.out);
    } else {
      table_.flush();
    }
  }

 private:
  const Context& context_;
  Table table_;
  boost::json::array rules_;
};

struct Tested {
  std::string name;
  std::size_t passed = 0;
  std::vector<std::string> failures;
};

// `test` is NAME_test.lua; what it tries lies beside it, or one directory up.
Tested try_policy(const fs::path& test) {
  constexpr std::size_t ending_length = 5;  // _test
  const std::string stem = test.stem();
  Tested tested{stem.substr(0, stem.size() - ending_length), 0, {}};
  const std::string file = tested.name + ".lua";
  std::error_code error;
  fs::path subject = test.parent_path() / file;
  if (!fs::exists(subject, error)) subject = test.parent_path() / ".." / file;
  const auto policy = load({subject.lexically_normal(), test});
  if (!policy.ok()) {
    tested.failures.push_back(policy.status().message());
    return tested;
  }
  for (const Status& status : (*policy)->run_examples()) {
    if (status.ok()) {
      ++tested.passed;
    } else {
      tested.failures.push_back(status.message());
    }
  }
  return tested;
}

Result<std::vector<fs::path>> tests_in(const std::string& directory) {
  std::vector<fs::path> tests;
  std::error_code error;
  fs::directory_iterator entry(directory, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (name.front() != '.' && name.ends_with("_test.lua")) tests.push_back(entry->path());
  }
  if (error) return Status(Code::unknown, directory + ": " + error.message());
  if (tests.empty()) return Status(Code::unknown, directory + ": it has no *_test.lua");
  std::ranges::sort(tests);
  return tests;
}

}  // namespace

int run_policy_check(const Context& context) {
  std::vector<std::vector<std::string>> groups;
  for (const std::string& file : context.arguments.texts("files")) {
    if (groups.empty() || !context.arguments.flag("together")) groups.emplace_back();
    groups.back().push_back(file);
  }
  RulePrinter printer(context);
  int exit_status = exit_ok;
  for (const std::vector<std::string>& group : groups) {
    const auto policy = load(group);
    if (!policy.ok()) {
      exit_status = fail(context, policy.status().message());
      continue;
    }
    for (const Status& status : (*policy)->run_examples()) {
      if (!status.ok()) exit_status = fail(context, status.message());
    }
    printer.add(**policy);
  }
  printer.finish();
  return exit_status;
}

int run_policy_test(const Context& context) {
  const auto tests = tests_in(context.arguments.text("directory"));
  if (!tests.ok()) return context.fail(tests.status());
  Table table(context.out, {"POLICY", "PASSED", "FAILED"});
  boost::json::array results;
  int exit_status = exit_ok;
  for (const fs::path& test : *tests) {
    const Tested tested = try_policy(test);
    for (const std::string& words : tested.failures) exit_status = fail(context, words);
    table.add({tested.name, std::to_string(tested.passed), std::to_string(tested.failures.size())});
    boost::json::object object;
    object["policy"] = tested.name;
    object["passed"] = tested.passed;
    object["failed"] = tested.failures.size();
    results.push_back(std::move(object));
  }
  if (context.format == Format::json) {
    print_json(results, context.out);
  } else {
    table.flush();
  }
  return exit_status;
}

}  // namespace pm::ctl
