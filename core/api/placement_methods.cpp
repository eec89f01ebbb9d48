#include <atomic>
#include <deque>

#include "google/protobuf/empty.pb.h"
#include "ids.h"
#include "local_engine.h"
#include "methods.h"
#include "payload/manager/catalog/v1/catalog.pb.h"

// Promote, spill.

namespace pm::api {

namespace wire = payload::manager::catalog::v1;
namespace core = payload::manager::core::v1;

namespace {

void respond_promoted(CommandCall& call, const catalog::Reply& reply) {
  wire::PromoteResponse response;
  const Status status = call.tiers().describe(reply.view, *response.mutable_payload_descriptor());
  if (!status.ok()) return call.finish(status, {{"payload", to_text(reply.view.id)}});
  call.finish(response);
}

// A Spill of many payloads: one command for each, one answer for all.
class SpillCall final : public Call {
 public:
  SpillCall(const Services& services, const Invocation& invocation,
            const wire::SpillRequest& request);

  void begin(const Invocation& invocation, const wire::SpillRequest& request,
             catalog::TierIndex target);
  void cancel() override;

 private:
  class Item final : public ledger::ReplyHandler {
   public:
    explicit Item(SpillCall& call) : call_(call) {}
    void on_reply(const catalog::Reply& reply) override { call_.on_item(*this, reply); }
    wire::SpillResult* result = nullptr;

   private:
    SpillCall& call_;
  };

  void on_item(const Item& item, const catalog::Reply& reply);
  static void refuse(wire::SpillResult& result, const Status& status);
  void item_done();

  wire::SpillResponse response_;
  std::deque<Item> items_;
  std::atomic<std::size_t> left_;
};

SpillCall::SpillCall(const Services& services, const Invocation& invocation,
                     const wire::SpillRequest& request)
    : Call(services, invocation), left_(static_cast<std::size_t>(request.ids_size()) + 1) {
  for (const core::PayloadID& id : request.ids()) {
    Item& item = items_.emplace_back(*this);
    item.result = response_.add_results();
    *item.result->mutable_id() = id;
  }
}

void SpillCall::begin(const Invocation& invocation, const wire::SpillRequest& request,
                      catalog::TierIndex target) {
  int number = 0;
  for (Item& item : items_) {
    catalog::Spill command;
    if (!read_id(item.result->id().value(), command.id)) {
      refuse(*item.result, status_of(RequestFault::payload_id_malformed));
      item_done();
      continue;
    }
    command.ticket = ledger::ticket_of(&item);
    if (!request.request_id().empty()) {
      command.request =
          request_key(invocation, request.request_id() + '#' + std::to_string(number));
    }
    ++number;
    command.tier = target;
    command.best_effort = request.policy() == core::SPILL_POLICY_BEST_EFFORT;
    command.wait_for_leases = request.wait_for_leases();
    command.deadline_ns = wait_deadline_ns(invocation);
    services().ledger.submit(command);
  }
  item_done();  // The one that this function held, so that the call outlives it.
}

void SpillCall::on_item(const Item& item, const catalog::Reply& reply) {
  if (reply.reason != catalog::Reason::none) {
    refuse(*item.result, status_of(reply));
  } else {
    item.result->set_ok(true);
    // What was spilled to a tier that keeps nothing has no place any more.
    if (reply.has_view) {
      const Status status =
          services().tiers.describe(reply.view, *item.result->mutable_payload_descriptor());
      if (!status.ok()) refuse(*item.result, status);
    }
  }
  item_done();
}

void SpillCall::refuse(wire::SpillResult& result, const Status& status) {
  result.set_ok(false);
  result.set_error_code(static_cast<int>(status.code()));
  result.set_error_message(status.message());
  result.set_error_reason(status.reason());
}

void SpillCall::item_done() {
  if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) finish(response_);
}

void SpillCall::cancel() {
  for (Item& item : items_) services().ledger.submit(catalog::Cancel{ledger::ticket_of(&item)});
}

}  // namespace

void promote_payload(const Services& services, const Invocation& invocation) {
  wire::PromoteRequest request;
  catalog::Promote command;
  if (!parse(invocation, request) || !accepts_changes(services, invocation)) return;
  if (!read_payload_id(invocation, request.id().value(), command.id)) return;
  if (request.target_tier() == core::TIER_UNSPECIFIED) {
    return reply_error(invocation, catalog::Reason::tier_unspecified);
  }
  const auto tier = services.tiers.find(static_cast<std::uint32_t>(request.target_tier()));
  if (!tier) return reply_error(invocation, catalog::Reason::tier_unknown);
  command.request = request_key(invocation, request.request_id());
  command.tier = *tier;
  command.best_effort = request.policy() == core::PROMOTION_POLICY_BEST_EFFORT;
  command.drop_source = request.drop_source();
  const auto layout = layout_for(*invocation.info, request.layout());
  if (!layout) return reply_error(invocation, RequestFault::layout_needs_session);
  command.layout = *layout;
  command.owner_uid = caller_uid(invocation);
  command.deadline_ns = wait_deadline_ns(invocation);
  submit(services, invocation, command, &respond_promoted, command.id);
}

// A hint: what cannot be done now is left undone, and only what is wrong with the request is told.
void prefetch_payload(const Services& services, const Invocation& invocation) {
  wire::PrefetchRequest request;
  catalog::Promote command;
  if (!parse(invocation, request) || !accepts_changes(services, invocation)) return;
  if (!read_payload_id(invocation, request.id().value(), command.id)) return;
  if (request.target_tier() == core::TIER_UNSPECIFIED) {
    return reply_error(invocation, catalog::Reason::tier_unspecified);
  }
  const auto tier = services.tiers.find(static_cast<std::uint32_t>(request.target_tier()));
  if (!tier) return reply_error(invocation, catalog::Reason::tier_unknown);
  command.tier = *tier;
  command.best_effort = true;
  command.only_up = true;
  submit(services, invocation, command, &respond_empty, command.id);
}

void pin_payload(const Services& services, const Invocation& invocation) {
  wire::PinRequest request;
  catalog::Pin command;
  if (!parse(invocation, request) || !accepts_changes(services, invocation)) return;
  if (!read_payload_id(invocation, request.id().value(), command.id)) return;
  constexpr std::uint64_t ms_ns = 1'000'000;
  if (request.duration_ms() > duration_ms_max) {
    return reply_error(invocation, RequestFault::duration_too_long);
  }
  command.request = request_key(invocation, request.request_id());
  command.duration_ns = request.duration_ms() * ms_ns;
  submit(services, invocation, command, &respond_empty, command.id);
}

void unpin_payload(const Services& services, const Invocation& invocation) {
  wire::UnpinRequest request;
  catalog::Unpin command;
  if (!parse(invocation, request) || !accepts_changes(services, invocation)) return;
  if (!read_payload_id(invocation, request.id().value(), command.id)) return;
  command.request = request_key(invocation, request.request_id());
  submit(services, invocation, command, &respond_empty, command.id);
}

void spill_payloads(const Services& services, const Invocation& invocation) {
  wire::SpillRequest request;
  if (!parse(invocation, request) || !accepts_changes(services, invocation)) return;
  constexpr int ids_max = 256;
  if (request.ids_size() > ids_max) {
    return reply_error(invocation, RequestFault::too_many_items, "at most 256 ids");
  }
  catalog::TierIndex target = catalog::no_tier;
  if (request.target_tier() != core::TIER_UNSPECIFIED) {
    const auto tier = services.tiers.find(static_cast<std::uint32_t>(request.target_tier()));
    if (!tier) return reply_error(invocation, catalog::Reason::tier_unknown);
    target = *tier;
  }
  (new SpillCall(services, invocation, request))->begin(invocation, request, target);
}

}  // namespace pm::api
