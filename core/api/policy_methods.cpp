#include "methods.h"
#include "payload/manager/admin/v1/policy.pb.h"
#include "policy_desk.h"

// GetPolicies, ReloadPolicies: who decides.

namespace pm::api {

namespace wire = payload::manager::admin::v1;

namespace {

void fill(const policy::ServiceStates& states, wire::GetPoliciesResponse& response) {
  for (const std::string& file : states.files) response.add_files(file);
  for (const policy::RuleState& rule : states.rules) {
    wire::PolicyRule& row = *response.add_rules();
    row.set_hook(policy::hook_name(rule.hook));
    row.set_name(rule.name);
    row.set_where(rule.where);
    row.set_asked(rule.counts.asked);
    row.set_answered(rule.counts.answered);
    row.set_failed(rule.counts.failed);
    row.set_suspended(rule.is_suspended);
    row.set_last_error(rule.last_error);
  }
  response.set_questions(states.questions);
  response.set_defaults(states.defaults);
  response.set_dropped(states.dropped);
  response.set_loads(states.generation);
  response.set_last_error(states.last_reload_error);
  response.set_journal_dropped(states.journal.dropped);
  response.set_journal_error(states.journal.error);
}

}  // namespace

void get_policies(const Services& services, const Invocation& invocation) {
  wire::GetPoliciesRequest request;
  if (!parse(invocation, request)) return;
  wire::GetPoliciesResponse response;
  fill(services.policies.states(), response);
  reply_message(invocation, response);
}

// Files are read for it, so another thread answers.
void reload_policies(const Services& services, const Invocation& invocation) {
  wire::ReloadPoliciesRequest request;
  if (!parse(invocation, request)) return;
  services.policies.reload(
      [kept_call = kept(invocation), &policies = services.policies](const Status& status) {
        if (!status.ok()) {
          if (status.code() == Code::unavailable) {
            return reply_error(kept_call, catalog::Reason::shutting_down);
          }
          const Status refused(Code::invalid_argument, status.message(), "POLICY_INVALID");
          return reply_error(kept_call, refused, {});
        }
        wire::ReloadPoliciesResponse response;
        fill(policies.states(), *response.mutable_policies());
        reply_message(kept_call, response);
      });
}

}  // namespace pm::api
