// Client: one method of the contract each, and create() and open(), which map as well.

#include "pm/client/client.h"

#include <optional>
#include <utility>

#include "connection.h"
#include "convert.h"
#include "methods.h"
#include "parts.h"
#include "verify.h"

namespace pm::client {

namespace catalog = payload::manager::catalog::v1;
namespace runtime = payload::manager::runtime::v1;
using detail::guarded;

namespace {

// Of the other options, a lease without a call is as good as one by a call.
bool needs_no_host(const LeaseOptions& options) noexcept {
  return options.min_tier == Tier::unspecified && options.duration_ms == 0 && !options.verify &&
         options.holder.empty();
}

Status session_ended() {
  return {Code::unavailable, "the connection to the host broke, and the allocation ended with it"};
}

}  // namespace

Client::Client(std::shared_ptr<detail::Connection> connection) noexcept
    : connection_(std::move(connection)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::connect(std::string address, ConnectOptions options) noexcept {
  return guarded([&]() -> Result<Client> {
    auto connection = detail::Connection::make(std::move(address), std::move(options));
    if (!connection) return connection.status();
    return Client(*std::move(connection));
  });
}

const std::string& Client::address() const noexcept { return connection_->address(); }

Result<WritablePayload> Client::create(std::uint64_t size_bytes, CreateOptions options) noexcept {
  return guarded([&]() -> Result<WritablePayload> {
    // Before the lock of the grants: a thread of the parent may have held it.
    if (connection_->is_forked()) return detail::Connection::forked();
    auto parts = std::make_unique<WritablePayload::Parts>();
    parts->connection = connection_;
    std::optional<Descriptor> granted;
    std::uint64_t session = 0;
    if (options.ahead && options.request_id.empty()) {
      parts->ahead = detail::allocate_request(size_bytes, options);
      session = connection_->live_session();
      granted = connection_->grants().take(parts->ahead->SerializeAsString(), session);
      for (const PayloadId& id : connection_->grants().take_stale()) {
        static_cast<void>(erase(id));  // A failure leaves it to the host's limit.
      }
    }
    const bool is_granted = granted.has_value();
    if (is_granted) {
      parts->descriptor = *std::move(granted);
    } else {
      auto descriptor = allocate(size_bytes, options);
      if (!descriptor) return descriptor.status();
      parts->descriptor = *std::move(descriptor);
    }
    // From here on the allocation is given back on every way out.
    WritablePayload payload(std::move(parts));
    auto mapped = connection_->map(payload.descriptor(), size_bytes, detail::Access::write,
                                   payload.id().bytes);
    if (!mapped) return mapped.status();
    // Nobody has asked the host: it may have died meanwhile, and what is mapped be another's.
    if (is_granted && connection_->live_session() != session) return session_ended();
    payload.parts_->mapped = *std::move(mapped);
    return payload;
  });
}

Result<ReadLease> Client::open(const PayloadId& id, const LeaseOptions& options) noexcept {
  if (needs_no_host(options)) {
    detail::Hold hold;
    if (connection_->hold(id, &hold)) return ReadLease(connection_, hold);
  }
  return guarded([&]() -> Result<ReadLease> {
    LeaseOptions whole = options;
    whole.range_offset_bytes = whole.range_length_bytes = 0;
    return options.verify ? open_verified(id, whole) : open_once(id, whole);
  });
}

// Whether what was opened, or could not be, shows that a copy is not what was committed.
Status Client::verify(const Result<ReadLease>& held) {
  if (held.ok()) return detail::verify(held->descriptor().checksum, held->bytes());
  const Status& status = held.status();
  const bool is_gone =
      status.code() == Code::failed_precondition && status.reason() == "NOT_REACHABLE";
  if (!is_gone && status.reason() != "TRUNCATED") return {};
  return {Code::data_loss, status.message(), status.reason()};
}

Result<ReadLease> Client::open_verified(const PayloadId& id, const LeaseOptions& options) {
  auto held = open_once(id, options);
  if (verify(held).ok()) return held;
  if (held.ok()) static_cast<void>(held->release());
  // The host reads for itself, and gives up the copy or the payload if it finds the same. It may
  // not be able to mend it now, and still have another one.
  const Status checked = detail::check_copies(*connection_, id);
  if (checked.code() == Code::data_loss) return checked;
  held = open_once(id, options);
  const Status verified = verify(held);
  if (verified.ok() && held.ok()) return held;
  if (!checked.ok() && checked.code() != Code::unimplemented) return checked;
  return verified.ok() ? held.status() : verified;
}

Result<ReadLease> Client::open_once(const PayloadId& id, const LeaseOptions& options) {
  auto granted = lease(id, options);
  if (!granted) return granted.status();
  auto made = std::make_unique<ReadLease::Parts>();
  ReadLease::Parts* parts = made.get();
  parts->connection = connection_;
  // Read after the answer: at worst it is of a later session, where a release finds nothing.
  parts->session = connection_->session();
  parts->lease = *std::move(granted);
  ReadLease held(std::move(made));
  auto mapped = connection_->map(held.descriptor(), held.descriptor().size_bytes,
                                 detail::Access::read, held.lease().id.bytes);
  if (!mapped) return mapped.status();
  parts->mapped = *std::move(mapped);
  return held;
}

Result<Descriptor> Client::allocate(std::uint64_t size_bytes,
                                    const CreateOptions& options) noexcept {
  return guarded([&]() -> Result<Descriptor> {
    catalog::AllocatePayloadResponse reply;
    PM_TRY(connection_->call(detail::method::allocate,
                             detail::allocate_request(size_bytes, options), &reply));
    return detail::descriptor_from(reply.payload_descriptor());
  });
}

Result<Descriptor> Client::commit(const PayloadId& id, std::string_view request_id,
                                  const Checksum& checksum) noexcept {
  return guarded([&] { return detail::commit(*connection_, id, request_id, nullptr, checksum); });
}

Result<Lease> Client::lease(const PayloadId& id, const LeaseOptions& options) noexcept {
  return guarded([&]() -> Result<Lease> {
    runtime::AcquireReadLeaseRequest request;
    detail::set_id(request.mutable_id(), id);
    request.set_min_tier(detail::tier_to(options.min_tier));
    request.set_promotion_policy(detail::policy_to(options.policy));
    request.set_min_lease_duration_ms(options.duration_ms);
    request.set_range_offset_bytes(options.range_offset_bytes);
    request.set_range_length_bytes(options.range_length_bytes);
    request.set_holder(options.holder);
    runtime::AcquireReadLeaseResponse reply;
    PM_TRY(connection_->call(detail::method::lease, request, &reply));
    return detail::lease_from(reply);
  });
}

Status Client::release(const LeaseId& id) noexcept {
  return guarded([&] { return detail::release(*connection_, id); });
}

Result<Descriptor> Client::resolve(const PayloadId& id) noexcept {
  return guarded([&]() -> Result<Descriptor> {
    runtime::ResolveSnapshotRequest request;
    detail::set_id(request.mutable_id(), id);
    runtime::ResolveSnapshotResponse reply;
    PM_TRY(connection_->call(detail::method::resolve, request, &reply));
    return detail::descriptor_from(reply.payload_descriptor());
  });
}

Status Client::erase(const PayloadId& id, bool force, std::string_view request_id) noexcept {
  return guarded([&] { return detail::erase(*connection_, id, force, request_id); });
}

Result<Descriptor> Client::promote(const PayloadId& id, Tier to,
                                   const PromoteOptions& options) noexcept {
  return guarded([&]() -> Result<Descriptor> {
    catalog::PromoteRequest request;
    detail::set_id(request.mutable_id(), id);
    request.set_target_tier(detail::tier_to(to));
    request.set_policy(detail::policy_to(options.policy));
    request.set_request_id(options.request_id);
    request.set_drop_source(options.drop_source);
    request.set_layout(detail::layout_to(options.layout));
    catalog::PromoteResponse reply;
    PM_TRY(connection_->call(detail::method::promote, request, &reply));
    return detail::descriptor_from(reply.payload_descriptor());
  });
}

Result<std::vector<SpillOutcome>> Client::spill(std::span<const PayloadId> ids,
                                                const SpillOptions& options) noexcept {
  return guarded([&]() -> Result<std::vector<SpillOutcome>> {
    catalog::SpillRequest request;
    for (const PayloadId& id : ids) detail::set_id(request.add_ids(), id);
    request.set_policy(options.best_effort ? payload::manager::core::v1::SPILL_POLICY_BEST_EFFORT
                                           : payload::manager::core::v1::SPILL_POLICY_BLOCKING);
    request.set_wait_for_leases(options.wait_for_leases);
    request.set_target_tier(detail::tier_to(options.to));
    request.set_request_id(options.request_id);
    catalog::SpillResponse reply;
    PM_TRY(connection_->call(detail::method::spill, request, &reply));
    std::vector<SpillOutcome> outcomes;
    for (const auto& result : reply.results()) {
      auto outcome = detail::spill_outcome_from(result);
      if (!outcome) return outcome.status();
      outcomes.push_back(*std::move(outcome));
    }
    if (outcomes.size() != ids.size()) {
      return Status(Code::internal, "the server answered " + std::to_string(outcomes.size()) +
                                        " outcomes for " + std::to_string(ids.size()) +
                                        " payloads");
    }
    return outcomes;
  });
}

Result<Page> Client::list(const ListOptions& options) noexcept {
  return guarded([&]() -> Result<Page> {
    catalog::ListPayloadsRequest request;
    request.set_tier_filter(detail::tier_to(options.tier));
    request.set_page_size(options.page_size);
    request.set_page_token(options.page_token);
    request.set_filter(options.filter);
    request.set_order_by(options.order_by);
    catalog::ListPayloadsResponse reply;
    PM_TRY(connection_->call(detail::method::list, request, &reply));
    Page page;
    for (const auto& message : reply.payloads()) {
      auto summary = detail::summary_from(message);
      if (!summary) return summary.status();
      page.payloads.push_back(*std::move(summary));
    }
    page.next_page_token = reply.next_page_token();
    page.total_count = reply.total_count();
    return page;
  });
}

Status Client::list_each(ListOptions options,
                         const std::function<bool(const Summary&)>& visit) noexcept {
  return guarded([&]() -> Status {
    for (;;) {
      auto page = list(options);
      if (!page) return page.status();
      for (const Summary& summary : page->payloads) {
        if (!visit(summary)) return {};
      }
      if (page->next_page_token.empty()) return {};
      if (page->next_page_token == options.page_token) {
        return {Code::internal, "the server's list does not advance: it repeats a page token"};
      }
      options.page_token = std::move(page->next_page_token);
    }
  });
}

Result<Stats> Client::stats() noexcept {
  return guarded([&]() -> Result<Stats> {
    payload::manager::admin::v1::StatsResponse reply;
    PM_TRY(connection_->call(detail::method::stats, payload::manager::admin::v1::StatsRequest(),
                             &reply));
    return detail::stats_from(reply);
  });
}

Result<std::string> Client::call(const std::string& method, const std::string& request) noexcept {
  return guarded([&] { return connection_->call_raw(method, request); });
}

Status Client::stream(const std::string& method, const std::string& request,
                      const std::function<bool(const std::string&)>& visit) noexcept {
  return guarded([&] { return connection_->stream(method, request, visit); });
}

}  // namespace pm::client
