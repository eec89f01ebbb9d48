#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "connection.h"
#include "payload/manager/catalog/v1/catalog.pb.h"

// What WritablePayload and ReadLease are made of, and the calls that they share with Client.

namespace pm::client {

namespace detail {
// With `next`, asks for such an allocation as well and keeps it for a create().
Result<Descriptor> commit(
    Connection& connection, const PayloadId& id, std::string_view request_id,
    const payload::manager::catalog::v1::AllocatePayloadRequest* next = nullptr,
    const Checksum& checksum = {});
Status release(Connection& connection, const LeaseId& id);
Status erase(Connection& connection, const PayloadId& id, bool force, std::string_view request_id);
}  // namespace detail

struct WritablePayload::Parts {
  std::shared_ptr<detail::Connection> connection;
  Descriptor descriptor;
  detail::MappedBytes mapped;
  // The request for a payload like this one, to be granted ahead.
  std::optional<payload::manager::catalog::v1::AllocatePayloadRequest> ahead;
  bool settled = false;  // Committed or deleted: nothing is left to give back.
};

struct ReadLease::Parts {
  std::shared_ptr<detail::Connection> connection;
  std::uint64_t session = 0;  // Of the connection when the lease was granted.
  Lease lease;
  detail::MappedBytes mapped;
  bool released = false;
};

}  // namespace pm::client
