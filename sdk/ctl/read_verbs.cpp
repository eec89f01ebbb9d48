// The verbs that look and hold: resolve, lease, release, stats, list.

#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <limits>
#include <ostream>

#include "text.h"
#include "verbs.h"

namespace pm::ctl {
namespace {

constexpr std::uint64_t list_limit_default = 50;
constexpr std::int32_t page_size_max = 500;  // The contract's.

// Rows as they come: a list may be longer than memory.
class SummaryPrinter {
 public:
  SummaryPrinter(std::ostream& out, Format format)
      : out_(out), format_(format), table_(out, summary_header()) {}

  void add(const client::Summary& summary) {
    if (format_ == Format::table) {
      table_.add(summary_row(summary));
    } else {
      out_ << (count_ == 0 ? "[" : ",\n ") << boost::json::serialize(summary_json(summary));
    }
    ++count_;
  }
  // Only after the last row: a list that broke off has no closing bracket, so that no parser
  // takes it for whole.
  void finish() {
    if (format_ == Format::table) {
      table_.flush();
    } else {
      out_ << (count_ == 0 ? "[]\n" : "]\n");
    }
  }
  std::uint64_t count() const noexcept { return count_; }

 private:
  std::ostream& out_;
  const Format format_;
  Table table_;
  std::uint64_t count_ = 0;
};

}  // namespace

int run_resolve(const Context& context) {
  const auto id = context.arguments.payload_id();
  if (!id) return context.refuse(id.status());
  const auto descriptor = context.client.resolve(*id);
  if (!descriptor) return context.fail(descriptor.status());
  print_descriptor(*descriptor, context.format, context.out);
  return exit_ok;
}

int run_lease(const Context& context) {
  const auto id = context.arguments.payload_id();
  if (!id) return context.refuse(id.status());
  const auto options = context.arguments.lease_options();
  if (!options) return context.refuse(options.status());
  const auto lease = context.client.lease(*id, *options);
  if (!lease) return context.fail(lease.status());
  if (context.format == Format::json) {
    print_json(lease_json(*lease), context.out);
  } else {
    Table table(context.out, lease_header());
    table.add(lease_row(*lease));
    table.flush();
  }
  return exit_ok;
}

int run_release(const Context& context) {
  const auto id = client::LeaseId::parse(context.arguments.text("lease"));
  if (!id) return context.refuse(id.status());
  const Status status = context.client.release(*id);
  if (!status) return context.fail(status);
  if (context.format == Format::json) {
    boost::json::object object;
    object["leaseId"] = id->to_string();
    object["released"] = true;
    print_json(object, context.out);
  } else {
    Table table(context.out, {"LEASE", "RESULT"});
    table.add({id->to_string(), "OK"});
    table.flush();
  }
  return exit_ok;
}

int run_stats(const Context& context) {
  const auto stats = context.client.stats();
  if (!stats) return context.fail(stats.status());
  if (context.format == Format::json) {
    print_json(stats_json(*stats), context.out);
  } else {
    print_stats_tables(*stats, context.out);
  }
  return exit_ok;
}

int run_list(const Context& context) {
  const auto tier = context.arguments.tier("tier", client::Tier::unspecified);
  if (!tier) return context.refuse(tier.status());
  const auto page_size = context.arguments.count("page-size", 0);
  if (!page_size) return context.refuse(page_size.status());
  if (*page_size > std::numeric_limits<std::int32_t>::max()) {
    return context.refuse({Code::invalid_argument, "--page-size: give a number up to 500"});
  }
  const auto given_limit = context.arguments.count("limit", list_limit_default);
  if (!given_limit) return context.refuse(given_limit.status());
  const std::uint64_t limit =
      context.arguments.flag("all") ? std::numeric_limits<std::uint64_t>::max() : *given_limit;
  client::ListOptions options;
  options.tier = *tier;
  options.filter = context.arguments.text("filter");
  options.order_by = context.arguments.text("order-by");
  options.page_size = static_cast<std::int32_t>(*page_size);
  if (options.page_size == 0 && context.arguments.flag("all")) options.page_size = page_size_max;
  SummaryPrinter printer(context.out, context.format);
  bool more = false;
  const Status status = context.client.list_each(options, [&](const client::Summary& summary) {
    more = printer.count() >= limit;
    if (more || !context.out) return false;
    printer.add(summary);
    return true;
  });
  if (!status) return context.fail(status);
  printer.finish();
  // A person is told that there is more; a script asks for --all or sets a limit on purpose.
  if (more && !context.arguments.has("limit") && ::isatty(STDERR_FILENO) == 1) {
    context.err << "payloadctl: there are more; --all lists them\n";
  }
  return exit_ok;
}

}  // namespace pm::ctl
