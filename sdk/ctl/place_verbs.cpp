// The verbs that change where payloads are: allocate, commit, delete, promote, spill.

#include <boost/json/array.hpp>
#include <ostream>

#include "text.h"
#include "verbs.h"

namespace pm::ctl {
namespace {

int print_result(const Context& context, const Result<client::Descriptor>& descriptor) {
  if (!descriptor) return context.fail(descriptor.status());
  print_descriptor(*descriptor, context.format, context.out);
  return exit_ok;
}

// One row an id; errors in words on the error stream.
int print_outcomes(const Context& context, const std::vector<Outcome>& outcomes) {
  int exit_status = exit_ok;
  Table table(context.out, outcome_header());
  boost::json::array results;
  for (const Outcome& outcome : outcomes) {
    table.add(outcome_row(outcome));
    results.push_back(outcome_json(outcome));
    if (outcome.status.ok()) continue;
    const Status named(outcome.status.code(), outcome.id + ": " + outcome.status.message(),
                       outcome.status.reason());
    const int failed = context.fail(named);
    if (exit_status == exit_ok) exit_status = failed;
  }
  if (context.format == Format::table) {
    table.flush();
  } else {
    boost::json::object object;
    object["results"] = std::move(results);
    print_json(object, context.out);
  }
  return exit_status;
}

}  // namespace

int run_allocate(const Context& context) {
  const auto size_bytes = parse_size(context.arguments.text("size"));
  if (!size_bytes) return context.refuse(size_bytes.status());
  const auto options = context.arguments.create_options();
  if (!options) return context.refuse(options.status());
  return print_result(context, context.client.allocate(*size_bytes, *options));
}

int run_commit(const Context& context) {
  const auto id = context.arguments.payload_id();
  if (!id) return context.refuse(id.status());
  const auto checksum = context.arguments.checksum();
  if (!checksum) return context.refuse(checksum.status());
  return print_result(context,
                      context.client.commit(*id, context.arguments.text("request-id"), *checksum));
}

int run_delete(const Context& context) {
  const auto ids = context.arguments.payload_ids();
  if (!ids) return context.refuse(ids.status());
  std::vector<Outcome> outcomes;
  for (const client::PayloadId& id : *ids) {
    Status status = context.client.erase(id, context.arguments.flag("force"));
    outcomes.push_back({id.to_string(), std::move(status), std::nullopt});
  }
  return print_outcomes(context, outcomes);
}

int run_promote(const Context& context) {
  const auto id = context.arguments.payload_id();
  if (!id) return context.refuse(id.status());
  if (!context.arguments.has("to")) {
    return context.refuse({Code::invalid_argument, "promote: give --to TIER"});
  }
  const auto to = context.arguments.tier("to", client::Tier::unspecified);
  if (!to) return context.refuse(to.status());
  const auto layout = context.arguments.layout();
  if (!layout) return context.refuse(layout.status());
  client::PromoteOptions options;
  options.drop_source = context.arguments.flag("drop-source");
  options.layout = *layout;
  options.request_id = context.arguments.text("request-id");
  if (context.arguments.flag("best-effort")) options.policy = client::PromotionPolicy::best_effort;
  return print_result(context, context.client.promote(*id, *to, options));
}

int run_spill(const Context& context) {
  const auto ids = context.arguments.payload_ids();
  if (!ids) return context.refuse(ids.status());
  const auto to = context.arguments.tier("to", client::Tier::unspecified);
  if (!to) return context.refuse(to.status());
  client::SpillOptions options;
  options.to = *to;
  options.wait_for_leases = context.arguments.flag("wait-for-leases");
  options.best_effort = context.arguments.flag("best-effort");
  options.request_id = context.arguments.text("request-id");
  auto spilled = context.client.spill(*ids, options);
  if (!spilled) return context.fail(spilled.status());
  std::vector<Outcome> outcomes;
  for (client::SpillOutcome& outcome : *spilled) {
    outcomes.push_back(
        {outcome.id.to_string(), std::move(outcome.status), std::move(outcome.descriptor)});
  }
  return print_outcomes(context, outcomes);
}

}  // namespace pm::ctl
