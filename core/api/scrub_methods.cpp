#include <atomic>
#include <memory>

#include "core/scrub/scrubber.h"
#include "google/rpc/status.pb.h"
#include "ids.h"
#include "methods.h"
#include "payload/manager/admin/v1/scrub.pb.h"
#include "times.h"

// Scrub, GetScrub: looking for bit rot.

namespace pm::api {

namespace wire = payload::manager::admin::v1;

namespace {

void fill_counts(const scrub::Counts& counts, wire::ScrubCounts& row) {
  row.set_copies(counts.copies);
  row.set_bytes(counts.bytes);
  row.set_checksums(counts.checksums);
  row.set_bad(counts.bad);
  row.set_repaired(counts.repaired);
  row.set_lost(counts.lost);
  row.set_unreadable(counts.unreadable);
}

void fill_pass(const TierTable& tiers, const scrub::Pass& pass, wire::ScrubPass& row) {
  row.set_number(pass.number);
  row.set_tier(tiers.name(pass.tier));
  row.set_requested(pass.requested);
  row.set_bytes_per_second(pass.bytes_per_second);
  set_time(pass.begun_at_ns, *row.mutable_begun_at());
  if (pass.ended_at_ns != 0) set_time(pass.ended_at_ns, *row.mutable_ended_at());
  fill_counts(pass.counts, *row.mutable_counts());
}

// A Scrub of payloads: each is asked for by itself, and all are answered together.
class PayloadsScrub : public std::enable_shared_from_this<PayloadsScrub> {
 public:
  PayloadsScrub(const Services& services, const Invocation& invocation, int count)
      : services_(services), invocation_(kept(invocation)), left_(count) {
    for (int number = 0; number < count; ++number) response_.add_results();
  }

  void check(int number, const catalog::Id& id) {
    wire::ScrubResult& result = *response_.mutable_results(number);
    result.mutable_id()->set_value(id.bytes.data(), id.bytes.size());
    const auto self = shared_from_this();
    const bool taken =
        services_.scrubber.check_payload(id, [self, number, id](const scrub::Outcome& outcome) {
          self->services_.ledger.when_durable(outcome.lsn, [self, number, id, outcome](bool is) {
            self->finish(number, id, outcome, is ? outcome.reason : catalog::Reason::shutting_down);
          });
        });
    if (!taken) finish(number, id, {}, catalog::Reason::waiters_full);
  }

 private:
  void finish(int number, const catalog::Id& id, const scrub::Outcome& outcome,
              catalog::Reason reason) {
    wire::ScrubResult& result = *response_.mutable_results(number);
    fill_counts(outcome.counts, *result.mutable_counts());
    if (reason != catalog::Reason::none) {
      ErrorFacts facts{{"payload", to_text(id)}};
      if (outcome.lost_on != catalog::no_tier) {
        facts.emplace_back("tier", services_.tiers.name(outcome.lost_on));
      }
      result.mutable_error()->ParseFromString(error_details(status_of(reason), facts));
    }
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) reply_message(invocation_, response_);
  }

  const Services services_;
  const Invocation invocation_;
  wire::ScrubResponse response_;
  std::atomic<int> left_;
};

}  // namespace

void scrub(const Services& services, const Invocation& invocation) {
  wire::ScrubRequest request;
  if (!parse(invocation, request)) return;
  constexpr int ids_max = 256;
  if (request.ids_size() > ids_max) {
    return reply_error(invocation, RequestFault::too_many_items, "at most 256 ids");
  }
  std::vector<catalog::Id> ids(static_cast<std::size_t>(request.ids_size()));
  for (int number = 0; number < request.ids_size(); ++number) {
    const std::string& bytes = request.ids(number).value();
    if (!read_payload_id(invocation, bytes, ids[static_cast<std::size_t>(number)])) return;
  }
  if (!ids.empty()) {
    const auto all =
        std::make_shared<PayloadsScrub>(services, invocation, static_cast<int>(ids.size()));
    int number = 0;
    for (const catalog::Id& id : ids) all->check(number++, id);
    return;
  }
  catalog::TierIndex tier = catalog::no_tier;
  if (!request.tier().empty()) {
    const auto found = services.tiers.find_named(request.tier());
    if (!found) return reply_error(invocation, catalog::Reason::tier_unknown);
    tier = *found;
  }
  const auto pass = services.scrubber.begin_pass(tier, request.bytes_per_second());
  if (!pass) return reply_error(invocation, RequestFault::scrub_under_way);
  wire::ScrubResponse response;
  fill_pass(services.tiers, *pass, *response.mutable_pass());
  reply_message(invocation, response);
}

void get_scrub(const Services& services, const Invocation& invocation) {
  wire::GetScrubRequest request;
  if (!parse(invocation, request)) return;
  wire::GetScrubResponse response;
  std::int64_t next_at_ns = 0;
  for (const scrub::Pass& pass : services.scrubber.passes(next_at_ns)) {
    fill_pass(services.tiers, pass, *response.add_passes());
  }
  if (next_at_ns != 0) set_time(next_at_ns, *response.mutable_next_at());
  reply_message(invocation, response);
}

}  // namespace pm::api
