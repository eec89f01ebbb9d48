#include <algorithm>
#include <charconv>
#include <utility>

#include "ids.h"
#include "methods.h"
#include "payload/manager/admin/v1/stats.pb.h"
#include "payload/manager/catalog/v1/catalog.pb.h"
#include "payload/manager/runtime/v1/lease.pb.h"

// Reads: they go out when what they show is durable.

namespace pm::api {

namespace core = payload::manager::core::v1;
using catalog::Catalog;
using catalog::Clocks;

void resolve_snapshot(const Services& services, const Invocation& invocation) {
  payload::manager::runtime::v1::ResolveSnapshotRequest request;
  catalog::Id id;
  if (!parse(invocation, request)) return;
  if (!read_payload_id(invocation, request.id().value(), id)) return;
  catalog::View view;
  std::uint64_t lsn = 0;
  const catalog::Reason reason =
      services.ledger.read([&](const Catalog& catalog, const Clocks& now) {
        return catalog.resolve(id, now, view, lsn);
      });
  services.ledger.when_durable(lsn, [invocation = kept(invocation), id, view, reason,
                                     &tiers = services.tiers](bool durable) {
    const ErrorFacts facts{{"payload", to_text(id)}};
    if (!durable) return reply_error(invocation, catalog::Reason::shutting_down, facts);
    if (reason != catalog::Reason::none) return reply_error(invocation, reason, facts);
    payload::manager::runtime::v1::ResolveSnapshotResponse response;
    const Status status = tiers.describe(view, *response.mutable_payload_descriptor());
    if (!status.ok()) return reply_error(invocation, status, facts);
    reply_message(invocation, response);
  });
}

// ---- list ----

namespace {

// Where the next page begins, and the filter that it belongs to: "1.TIER.ORDER".
std::string write_page_token(std::uint32_t tier, std::uint64_t order) {
  return "1." + std::to_string(tier) + "." + std::to_string(order);
}

bool read_page_token(const std::string& token, std::uint32_t tier, std::uint64_t& order) {
  const std::string prefix = "1." + std::to_string(tier) + ".";
  if (token.rfind(prefix, 0) != 0) return false;
  const char* begin = token.data() + prefix.size();
  const char* end = token.data() + token.size();
  const auto parsed = std::from_chars(begin, end, order);
  return parsed.ec == std::errc() && parsed.ptr == end;
}

void fill_summary(const TierTable& tiers, const catalog::View& view,
                  payload::manager::catalog::v1::PayloadSummary& summary) {
  constexpr std::int64_t ms_ns = 1'000'000;
  summary.mutable_id()->set_value(view.id.bytes.data(), view.id.bytes.size());
  summary.set_tier(tiers.number(view.tier));
  summary.set_state(state_of(view));
  summary.set_size_bytes(view.size_bytes);
  summary.set_created_at_ms(static_cast<std::uint64_t>(view.created_at_ns / ms_ns));
  summary.set_expires_at_ms(static_cast<std::uint64_t>(view.expires_at_ns / ms_ns));
  summary.set_active_leases(view.leases);
  summary.set_version(view.revision);
}

struct Page {
  std::vector<catalog::View> views;
  std::uint64_t total = 0;
  std::uint64_t lsn = 0;
};

// Takes the lock for a bounded number of payloads at a time.
Page read_page(const Services& services, std::uint64_t before, catalog::TierIndex tier,
               std::uint32_t count) {
  constexpr std::uint32_t slice = 128;
  Page page;
  page.views.reserve(count);
  while (page.views.size() < count) {
    const auto had = static_cast<std::uint32_t>(page.views.size());
    services.ledger.read([&](const Catalog& catalog, const Clocks&) {
      catalog.list(before, tier, std::min(count, had + slice), page.views, page.lsn);
      page.total = catalog.count_listed(tier);
    });
    if (page.views.size() == had) break;
    before = page.views.back().order;
  }
  return page;
}

}  // namespace

void list_payloads(const Services& services, const Invocation& invocation) {
  payload::manager::catalog::v1::ListPayloadsRequest request;
  if (!parse(invocation, request)) return;
  std::uint32_t count = 0;
  if (!read_page_size(invocation, request.page_size(), count)) return;
  const auto number = static_cast<std::uint32_t>(request.tier_filter());
  std::uint64_t before = UINT64_MAX;
  if (!request.page_token().empty() && !read_page_token(request.page_token(), number, before)) {
    return reply_error(invocation, RequestFault::page_token_invalid);
  }
  catalog::TierIndex tier = catalog::no_tier;
  Page page;
  if (number != 0) {
    const auto found = services.tiers.find(number);
    // A tier that is not here has no payloads.
    if (found) tier = *found;
  }
  if (number == 0 || tier != catalog::no_tier) {
    page = read_page(services, before, tier, count);
  }
  const std::uint64_t lsn = page.lsn;
  services.ledger.when_durable(lsn, [invocation = kept(invocation), page = std::move(page), count,
                                     number, &tiers = services.tiers](bool durable) {
    if (!durable) return reply_error(invocation, catalog::Reason::shutting_down);
    payload::manager::catalog::v1::ListPayloadsResponse response;
    for (const catalog::View& view : page.views) {
      fill_summary(tiers, view, *response.add_payloads());
    }
    if (page.views.size() == count) {
      response.set_next_page_token(write_page_token(number, page.views.back().order));
    }
    constexpr std::uint64_t total_max = INT32_MAX;
    response.set_total_count(static_cast<std::int32_t>(std::min(page.total, total_max)));
    reply_message(invocation, response);
  });
}

// ---- stats ----

void stats(const Services& services, const Invocation& invocation) {
  payload::manager::admin::v1::StatsRequest request;
  if (!parse(invocation, request)) return;
  const catalog::Counts counts =
      services.ledger.read([](const Catalog& catalog, const Clocks&) { return catalog.counts(); });
  payload::manager::admin::v1::StatsResponse response;
  for (std::size_t index = 0; index < counts.tiers.size(); ++index) {
    const catalog::TierCounts& tier = counts.tiers[index];
    const TierSetup& setup = services.tiers.all()[index];
    switch (setup.number) {
      case core::TIER_GPU:
        response.set_payloads_gpu(tier.payloads);
        response.set_bytes_gpu(tier.payload_bytes);
        break;
      case core::TIER_RAM:
        response.set_payloads_ram(tier.payloads);
        response.set_bytes_ram(tier.payload_bytes);
        break;
      case core::TIER_DISK:
        response.set_payloads_disk(tier.payloads);
        response.set_bytes_disk(tier.payload_bytes);
        break;
      case core::TIER_OBJECT:
        response.set_payloads_object(tier.payloads);
        response.set_bytes_object(tier.payload_bytes);
        break;
      default:
        response.set_payloads_other(response.payloads_other() + tier.payloads);
        response.set_bytes_other(response.bytes_other() + tier.payload_bytes);
    }
    pm_tier_info_t info{};
    info.size = sizeof info;
    setup.tier->get_info(setup.tier, &info);
    auto& row = *response.add_tiers();
    row.set_name(setup.name);
    row.set_number(setup.number);
    row.set_bytes_charged(tier.charged_bytes);
    row.set_bytes_capacity(info.capacity_bytes);
    row.set_copies(tier.copies);
    row.set_health(tier.failed ? "failed" : "ok");
  }
  response.set_payloads_lost(counts.lost);
  response.set_leases_active(counts.leases);
  reply_message(invocation, response);
}

}  // namespace pm::api
