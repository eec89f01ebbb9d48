// policy show and policy reload: the scripts that a host has in use.

#include <ostream>

#include "ask.h"
#include "message_view.h"
#include "payload/manager/admin/v1/policy.pb.h"
#include "text.h"
#include "verbs.h"

namespace pm::ctl {
namespace {

namespace admin = payload::manager::admin::v1;

void print_rules(const admin::GetPoliciesResponse& policies, std::ostream& out) {
  Table rules(out, {"HOOK", "RULE", "WHERE", "STATE", "ASKED", "ANSWERED", "FAILED"});
  for (const admin::PolicyRule& rule : policies.rules()) {
    rules.add({rule.hook(), rule.name(), rule.where(), rule.suspended() ? "SUSPENDED" : "IN_USE",
               std::to_string(rule.asked()), std::to_string(rule.answered()),
               std::to_string(rule.failed())});
  }
  rules.flush();
}

void print_files(const admin::GetPoliciesResponse& policies, std::ostream& out) {
  out << '\n';
  Table files(out, {"FILE"});
  for (const std::string& file : policies.files()) files.add({file});
  files.flush();
}

void print_counts(const admin::GetPoliciesResponse& policies, std::ostream& out) {
  out << '\n';
  Table counts(out, {"LOADS", "QUESTIONS", "DEFAULTS", "DROPPED"});
  counts.add({std::to_string(policies.loads()), std::to_string(policies.questions()),
              std::to_string(policies.defaults()), std::to_string(policies.dropped())});
  counts.flush();
}

// As lines, since a table has no white space in its cells and these are for people.
void print_errors(const admin::GetPoliciesResponse& policies, std::ostream& out) {
  const char* before = "\n";
  for (const admin::PolicyRule& rule : policies.rules()) {
    if (rule.last_error().empty()) continue;
    out << before << rule.hook() << '.' << rule.name() << " failed: " << rule.last_error() << '\n';
    before = "";
  }
  if (policies.last_error().empty()) return;
  out << before << "not loaded anew: " << policies.last_error() << '\n';
}

int print(const Context& context, const admin::GetPoliciesResponse& policies) {
  if (context.format == Format::json) {
    print_json(message_json(policies), context.out);
    return exit_ok;
  }
  print_rules(policies, context.out);
  print_files(policies, context.out);
  print_counts(policies, context.out);
  print_errors(policies, context.out);
  return exit_ok;
}

}  // namespace

int run_policy_show(const Context& context) {
  const auto policies =
      ask_admin<admin::GetPoliciesResponse>(context, "GetPolicies", admin::GetPoliciesRequest());
  if (!policies) return context.fail(policies.status());
  return print(context, *policies);
}

int run_policy_reload(const Context& context) {
  const auto reloaded = ask_admin<admin::ReloadPoliciesResponse>(context, "ReloadPolicies",
                                                                 admin::ReloadPoliciesRequest());
  if (!reloaded) return context.fail(reloaded.status());
  return print(context, reloaded->policies());
}

}  // namespace pm::ctl
