// WritablePayload, and the calls by which it and ReadLease end.

#include <utility>

#include "convert.h"
#include "google/protobuf/empty.pb.h"
#include "methods.h"
#include "parts.h"

namespace pm::client {

namespace catalog = payload::manager::catalog::v1;
namespace runtime = payload::manager::runtime::v1;
using detail::guarded;

namespace detail {

Result<Descriptor> commit(Connection& connection, const PayloadId& id, std::string_view request_id,
                          const catalog::AllocatePayloadRequest* next, const Checksum& checksum) {
  if (connection.is_forked()) return Connection::forked();
  catalog::CommitPayloadRequest request;
  set_id(request.mutable_id(), id);
  if (checksum.algorithm != ChecksumAlgorithm::none) {
    auto& wanted = *request.mutable_checksum();
    wanted.set_algorithm(
        static_cast<payload::manager::core::v1::ChecksumAlgorithm>(checksum.algorithm));
    wanted.set_value(checksum.value);
  }
  request.set_request_id(std::string(request_id));
  Grants& grants = connection.grants();
  const std::uint64_t session = connection.session();
  const bool asks = next != nullptr && grants.begin(session);
  if (asks) *request.mutable_next() = *next;
  catalog::CommitPayloadResponse reply;
  const Status status = connection.call(method::commit, request, &reply);
  if (asks) {
    // The number only grows: the same one before and after is the one that it was granted in.
    const bool is_granted =
        status.ok() && reply.has_next_descriptor() && connection.session() == session;
    auto granted = is_granted ? descriptor_from(reply.next_descriptor())
                              : Result<Descriptor>(Status(Code::resource_exhausted, "not granted"));
    if (granted.ok()) {
      grants.keep(next->SerializeAsString(), *std::move(granted), session);
    } else {
      grants.give_up();
    }
  }
  PM_TRY(status);
  return descriptor_from(reply.payload_descriptor());
}

Status release(Connection& connection, const LeaseId& id) {
  runtime::ReleaseLeaseRequest request;
  set_id(request.mutable_lease_id(), id);
  return connection.post(method::release, request);
}

Status erase(Connection& connection, const PayloadId& id, bool force, std::string_view request_id) {
  catalog::DeleteRequest request;
  set_id(request.mutable_id(), id);
  request.set_force(force);
  request.set_request_id(std::string(request_id));
  google::protobuf::Empty reply;
  return connection.call(method::erase, request, &reply);
}

}  // namespace detail

namespace {

Status ended() { return {Code::failed_precondition, "this handle has ended or was moved from"}; }

}  // namespace

WritablePayload::WritablePayload(std::unique_ptr<Parts> parts) noexcept
    : parts_(std::move(parts)) {}
WritablePayload::WritablePayload(WritablePayload&&) noexcept = default;

WritablePayload& WritablePayload::operator=(WritablePayload&& other) noexcept {
  if (this != &other) {
    if (parts_ && !parts_->settled) static_cast<void>(discard());
    parts_ = std::move(other.parts_);
  }
  return *this;
}

WritablePayload::~WritablePayload() {
  // Nobody is left to hear of a failure; the host reclaims what its clients forget.
  if (parts_ && !parts_->settled) static_cast<void>(discard());
}

const Descriptor& WritablePayload::descriptor() const noexcept {
  static const Descriptor none;
  return parts_ ? parts_->descriptor : none;
}

std::span<std::byte> WritablePayload::bytes() noexcept {
  return parts_ ? parts_->mapped.bytes : std::span<std::byte>();
}

Result<Descriptor> WritablePayload::commit(std::string_view request_id) noexcept {
  return guarded([&]() -> Result<Descriptor> {
    if (!parts_ || parts_->settled) return ended();
    // Committed bytes never change: the writable mapping goes first.
    parts_->mapped = {};
    auto descriptor = detail::commit(*parts_->connection, parts_->descriptor.id, request_id,
                                     parts_->ahead ? &*parts_->ahead : nullptr);
    if (!descriptor) return descriptor.status();
    parts_->descriptor = *descriptor;
    parts_->settled = true;
    return descriptor;
  });
}

Status WritablePayload::discard() noexcept {
  return guarded([&]() -> Status {
    if (!parts_ || parts_->settled) return ended();
    parts_->mapped = {};
    const Status status = detail::erase(*parts_->connection, parts_->descriptor.id, false, {});
    parts_->settled = status.ok();
    return status;
  });
}

}  // namespace pm::client
