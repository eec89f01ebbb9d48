#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

#include "core/ledger/clocks.h"
#include "labels.h"
#include "list_reader.h"
#include "methods.h"
#include "payload/manager/catalog/v1/catalog.pb.h"
#include "repository_reader.h"

// ListPayloads.

namespace pm::api {

namespace wire = payload::manager::catalog::v1;
using catalog::ListOrder;

namespace {

// A page that finds little gives up after so many, and says where to go on.
constexpr std::uint32_t candidates_max = 20'000;
// So many are looked at on the caller's thread.
constexpr std::uint32_t candidates_at_once = 1'000;

// Stands for the list that a page token belongs to.
std::uint64_t identity_of(const wire::ListPayloadsRequest& request, ListOrder order) {
  std::string text = std::to_string(request.tier_filter()) + '/' +
                     std::to_string(static_cast<int>(order)) + '/' + request.filter();
  return XXH3_64bits(text.data(), text.size());
}

// "2.IDENTITY.NOW.SIZE.ORDER": the list, the time that ages are counted to, and the place behind
// which the page begins.
std::string write_page_token(std::uint64_t identity, const ListReader& reader) {
  std::string token = "2";
  for (const std::uint64_t number : {identity, static_cast<std::uint64_t>(reader.now_ns()),
                                     reader.next()->size_bytes, reader.next()->order}) {
    token += '.' + std::to_string(number);
  }
  return token;
}

bool read_page_token(std::string_view token, std::uint64_t identity, ListQuery& query) {
  if (token.empty()) return true;
  if (!token.starts_with('2')) return false;
  token.remove_prefix(1);
  std::uint64_t numbers[4] = {};
  for (std::uint64_t& number : numbers) {
    if (!token.starts_with('.')) return false;
    const auto [end, error] =
        std::from_chars(token.data() + 1, token.data() + token.size(), number);
    if (error != std::errc()) return false;
    token.remove_prefix(static_cast<std::size_t>(end - token.data()));
  }
  if (!token.empty() || numbers[0] != identity || numbers[1] > INT64_MAX) return false;
  query.now_ns = static_cast<std::int64_t>(numbers[1]);
  query.behind = catalog::ListPlace{numbers[2], numbers[3]};
  return true;
}

bool read_order(std::string_view text, ListOrder& order) {
  std::vector<std::string_view> words;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    if (text.empty()) break;
    words.push_back(text.substr(0, text.find(' ')));
    text.remove_prefix(words.back().size());
  }
  if (words.empty()) return true;
  const bool descends = words.size() == 2 && words[1] == "desc";
  if (words.size() > 2 || (words.size() == 2 && !descends)) return false;
  if (words[0] == "age") {
    order = descends ? ListOrder::oldest_first : ListOrder::newest_first;
  } else if (words[0] == "size_bytes") {
    order = descends ? ListOrder::largest_first : ListOrder::smallest_first;
  } else {
    return false;
  }
  return true;
}

void fill_summary(const TierTable& tiers, const catalog::View& view,
                  wire::PayloadSummary& summary) {
  constexpr std::int64_t ms_ns = 1'000'000;
  summary.mutable_id()->set_value(view.id.bytes.data(), view.id.bytes.size());
  summary.set_tier(tiers.number(view.tier));
  summary.set_state(state_of(view));
  summary.set_size_bytes(view.size_bytes);
  summary.set_created_at_ms(static_cast<std::uint64_t>(view.created_at_ns / ms_ns));
  summary.set_expires_at_ms(static_cast<std::uint64_t>(view.expires_at_ns / ms_ns));
  summary.set_active_leases(view.leases);
  summary.set_version(view.revision);
  fill_labels(view.additions.labels, *summary.mutable_labels());
  summary.set_pinned(view.additions.pinned);
  summary.set_pin_expires_at_ms(
      static_cast<std::uint64_t>(view.additions.pin_expires_at_ns / ms_ns));
}

// The page goes out when all that it shows is durable.
void answer(const Services& services, const Invocation& invocation, std::uint64_t identity,
            const std::shared_ptr<const ListReader>& reader) {
  std::uint64_t lsn = 0;
  for (const catalog::Listed& listed : reader->found()) lsn = std::max(lsn, listed.lsn);
  services.ledger.when_durable(lsn, [invocation = kept(invocation), identity, reader,
                                     &tiers = services.tiers](bool durable) {
    if (!durable) return reply_error(invocation, catalog::Reason::shutting_down);
    wire::ListPayloadsResponse response;
    for (const catalog::Listed& listed : reader->found()) {
      fill_summary(tiers, listed.view, *response.add_payloads());
    }
    if (reader->next()) response.set_next_page_token(write_page_token(identity, *reader));
    constexpr std::uint64_t total_max = INT32_MAX;
    response.set_total_count(static_cast<std::int32_t>(std::min(reader->total(), total_max)));
    reply_message(invocation, response);
  });
}

// Replies and returns false when the request cannot be done.
bool read_query(const Services& services, const Invocation& invocation,
                const wire::ListPayloadsRequest& request, ListQuery& query) {
  const auto refuse = [&](RequestFault fault, const std::string& detail = {}) {
    reply_error(invocation, fault, detail);
    return false;
  };
  if (!read_page_size(invocation, request.page_size(), query.count)) return false;
  if (!read_order(request.order_by(), query.order)) {
    return refuse(RequestFault::order_by_invalid);
  }
  auto filter = parse_filter(
      request.filter(), [&](std::string_view name) { return services.tiers.find_named(name); });
  if (!filter.ok()) return refuse(RequestFault::filter_invalid, filter.status().message());
  query.filter = *std::move(filter);
  query.now_ns = ledger::read_clocks().wall_ns;
  if (!read_page_token(request.page_token(), identity_of(request, query.order), query)) {
    return refuse(RequestFault::page_token_invalid);
  }
  return true;
}

}  // namespace

void list_payloads(const Services& services, const Invocation& invocation) {
  wire::ListPayloadsRequest request;
  ListQuery query;
  if (!parse(invocation, request)) return;
  if (!read_query(services, invocation, request, query)) return;
  if (request.tier_filter() != 0) {
    const auto tier = services.tiers.find(static_cast<std::uint32_t>(request.tier_filter()));
    // A tier that is not here has no payloads.
    if (!tier) return reply_message(invocation, wire::ListPayloadsResponse());
    query.tier = *tier;
  }
  // A filter of many tests looks at fewer payloads, so that every page costs about the same.
  const auto work = std::max<std::size_t>(query.filter.tests / 8, 1);
  const auto budget = candidates_max / static_cast<std::uint32_t>(work);
  const std::uint64_t identity = identity_of(request, query.order);
  const auto reader = std::make_shared<ListReader>(services.ledger, std::move(query));
  const std::uint32_t at_once = std::min(candidates_at_once, budget);
  if (!reader->lacks_size_index() && (reader->read(at_once) || at_once == budget)) {
    return answer(services, invocation, identity, reader);
  }
  services.reader.after(
      0, [services, invocation = kept(invocation), identity, reader, budget](bool can_read) {
        if (!can_read) return reply_error(invocation, catalog::Reason::shutting_down);
        reader->make_size_index();
        reader->read(budget);
        answer(services, invocation, identity, reader);
      });
}

}  // namespace pm::api
