#include <atomic>
#include <string>
#include <vector>

#include "methods.h"
#include "payload/manager/catalog/v1/catalog.pb.h"
#include "payload/manager/runtime/v1/lease.pb.h"

// Many requests of one method in one call. Each is done by itself, as if it had come alone, so
// that a long batch holds up nobody else; its outcome stands in the same place.

namespace pm::api {

namespace catalog_wire = payload::manager::catalog::v1;
namespace runtime_wire = payload::manager::runtime::v1;

namespace {

constexpr int items_max = 1000;

// Takes an item's answer in where the outcome has room for it; else it is empty.
template <typename Outcome>
concept HasResponse = requires(Outcome& outcome) {
  outcome.mutable_response();
};

template <typename Request, typename Response>
class BatchCall final : public Call {
 public:
  using Outcome = typename Response::Outcome;

  BatchCall(const Services& services, const Invocation& invocation, const Request& request)
      : Call(services, invocation), left_(request.items_size() + 1) {
    items_.reserve(static_cast<std::size_t>(request.items_size()));
    for (int index = 0; index < request.items_size(); ++index) {
      items_.push_back({this, services.calls.next_id(), response_.add_outcomes()});
    }
  }

  void begin(const Invocation& invocation, const Request& request, Method method,
             std::string_view method_name) {
    std::string bytes;
    for (int index = 0; index < request.items_size(); ++index) {
      Item& item = items_[static_cast<std::size_t>(index)];
      bytes.clear();
      request.items(index).AppendToString(&bytes);
      Invocation single = invocation;
      single.id = item.id;
      single.method = method_name;
      single.request = bytes;
      single.on_reply = &BatchCall::on_item;
      single.data = &item;
      method(services(), single);
    }
    item_done();  // The one that this function held, so that the call outlives it.
  }

  void cancel() override {
    for (const Item& item : items_) services().calls.cancel(item.id);
  }

 private:
  struct Item {
    BatchCall* call;
    std::uint64_t id;
    Outcome* outcome;
  };

  static void on_item(void* data, const pm_reply_t* reply) {
    const Item& item = *static_cast<const Item*>(data);
    if (reply->status != PM_OK) {
      item.outcome->mutable_status()->ParseFromArray(reply->details,
                                                     static_cast<int>(reply->details_length));
    } else if constexpr (HasResponse<Outcome>) {
      item.outcome->mutable_response()->ParseFromArray(reply->bytes,
                                                       static_cast<int>(reply->length));
    }
    item.call->item_done();
  }

  void item_done() {
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) finish(response_);
  }

  Response response_;
  std::vector<Item> items_;
  std::atomic<int> left_;
};

template <typename Request, typename Response>
void batch(const Services& services, const Invocation& invocation, Method method,
           std::string_view method_name) {
  Request request;
  if (!parse(invocation, request)) return;
  if (request.items_size() == 0) return reply_error(invocation, RequestFault::no_items);
  if (request.items_size() > items_max) {
    return reply_error(invocation, RequestFault::too_many_items,
                       "at most " + std::to_string(items_max) + " items");
  }
  auto* call = new BatchCall<Request, Response>(services, invocation, request);
  call->begin(invocation, request, method, method_name);
}

}  // namespace

// The name of the single method goes into the memory of request ids: a repeat may come alone.

void batch_allocate(const Services& services, const Invocation& invocation) {
  batch<catalog_wire::BatchAllocateRequest, catalog_wire::BatchAllocateResponse>(
      services, invocation, &allocate_payload,
      "/payload.manager.services.v1.PayloadCatalogService/AllocatePayload");
}

void batch_commit(const Services& services, const Invocation& invocation) {
  batch<catalog_wire::BatchCommitRequest, catalog_wire::BatchCommitResponse>(
      services, invocation, &commit_payload,
      "/payload.manager.services.v1.PayloadCatalogService/CommitPayload");
}

void batch_delete(const Services& services, const Invocation& invocation) {
  batch<catalog_wire::BatchDeleteRequest, catalog_wire::BatchDeleteResponse>(
      services, invocation, &delete_payload,
      "/payload.manager.services.v1.PayloadCatalogService/Delete");
}

void batch_acquire_read_lease(const Services& services, const Invocation& invocation) {
  batch<runtime_wire::BatchAcquireReadLeaseRequest, runtime_wire::BatchAcquireReadLeaseResponse>(
      services, invocation, &acquire_read_lease,
      "/payload.manager.services.v1.PayloadDataService/AcquireReadLease");
}

void batch_release_lease(const Services& services, const Invocation& invocation) {
  batch<runtime_wire::BatchReleaseLeaseRequest, runtime_wire::BatchReleaseLeaseResponse>(
      services, invocation, &release_lease,
      "/payload.manager.services.v1.PayloadDataService/ReleaseLease");
}

}  // namespace pm::api
