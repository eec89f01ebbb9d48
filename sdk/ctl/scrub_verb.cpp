// scrub: copies are read and held against their checksum.

#include <unistd.h>

#include <ostream>

#include "ask.h"
#include "message_view.h"
#include "payload/manager/admin/v1/scrub.pb.h"
#include "text.h"
#include "verbs.h"

namespace pm::ctl {
namespace {

namespace admin = payload::manager::admin::v1;

constexpr useconds_t look_every_us = 200'000;

std::vector<std::string> count_cells(const admin::ScrubCounts& counts) {
  std::vector<std::string> cells;
  for (const std::uint64_t count : {counts.copies(), counts.bytes(), counts.bad(),
                                    counts.repaired(), counts.lost(), counts.unreadable()}) {
    cells.push_back(std::to_string(count));
  }
  return cells;
}

void add_row(Table& table, std::vector<std::string> first, const admin::ScrubCounts& counts) {
  for (std::string& cell : count_cells(counts)) first.push_back(std::move(cell));
  table.add(first);
}

// One row an id; errors in words on the error stream.
int print_results(const Context& context, const admin::ScrubResponse& response) {
  Table table(context.out,
              {"ID", "RESULT", "COPIES", "BYTES", "BAD", "REPAIRED", "LOST", "UNREADABLE"});
  int exit_status = exit_ok;
  for (const admin::ScrubResult& result : response.results()) {
    const std::string id = field_text(result, "id");
    const auto code = static_cast<Code>(result.error().code());
    add_row(table, {id, code_name(code)}, result.counts());
    if (code == Code::ok) continue;
    const int failed = context.fail(Status(code, id + ": " + result.error().message()));
    if (exit_status == exit_ok) exit_status = failed;
  }
  if (context.format == Format::json) {
    print_json(message_json(response), context.out);
  } else {
    table.flush();
  }
  return exit_status;
}

int print_pass(const Context& context, const admin::ScrubPass& pass) {
  const bool has_ended = pass.has_ended_at();
  if (context.format == Format::json) {
    print_json(message_json(pass), context.out);
  } else {
    Table table(context.out, {"PASS", "TIER", "STATE", "COPIES", "BYTES", "BAD", "REPAIRED", "LOST",
                              "UNREADABLE"});
    add_row(table,
            {std::to_string(pass.number()), pass.tier().empty() ? "-" : pass.tier(),
             has_ended ? "ENDED" : "BEGUN"},
            pass.counts());
    table.flush();
  }
  if (pass.counts().lost() == 0) return exit_ok;
  return context.fail({Code::data_loss, std::to_string(pass.counts().lost()) +
                                            " copies are bad and have no good one besides them"});
}

// Until it has ended.
Result<admin::ScrubPass> wait_for(const Context& context, std::uint64_t number) {
  while (true) {
    const auto answer =
        ask_admin<admin::GetScrubResponse>(context, "GetScrub", admin::GetScrubRequest());
    if (!answer) return answer.status();
    const admin::ScrubPass* found = nullptr;
    for (const admin::ScrubPass& pass : answer->passes()) {
      if (pass.number() == number) found = &pass;
    }
    if (found == nullptr) return Status(Code::unknown, "the host does not know of the pass now");
    if (found->has_ended_at()) return *found;
    ::usleep(look_every_us);
  }
}

}  // namespace

int run_scrub(const Context& context) {
  const auto ids = context.arguments.payload_ids();
  if (!ids) return context.refuse(ids.status());
  const auto rate = context.arguments.count("bytes-per-second", 0);
  if (!rate) return context.refuse(rate.status());
  if (!ids->empty() && context.arguments.has("tier")) {
    return context.refuse({Code::invalid_argument, "scrub: give ids or --tier, and not both"});
  }
  admin::ScrubRequest request;
  for (const client::PayloadId& id : *ids) {
    request.add_ids()->set_value(id.bytes.data(), id.bytes.size());
  }
  request.set_tier(context.arguments.text("tier"));
  request.set_bytes_per_second(*rate);
  const auto response = ask_admin<admin::ScrubResponse>(context, "Scrub", request);
  if (!response) return context.fail(response.status());
  if (!ids->empty()) return print_results(context, *response);
  if (!context.arguments.flag("wait")) return print_pass(context, response->pass());
  const auto ended = wait_for(context, response->pass().number());
  if (!ended) return context.fail(ended.status());
  return print_pass(context, *ended);
}

}  // namespace pm::ctl
