#pragma once

#include <memory>
#include <string_view>

#include "connection.h"

// What WritablePayload and ReadLease are made of, and the calls that they share with Client.

namespace pm::client {

namespace detail {
Result<Descriptor> commit(Connection& connection, const PayloadId& id, std::string_view request_id);
Status release(Connection& connection, const LeaseId& id);
Status erase(Connection& connection, const PayloadId& id, bool force, std::string_view request_id);
}  // namespace detail

struct WritablePayload::Parts {
  std::shared_ptr<detail::Connection> connection;
  Descriptor descriptor;
  detail::MappedBytes mapped;
  bool settled = false;  // Committed or deleted: nothing is left to give back.
};

struct ReadLease::Parts {
  std::shared_ptr<detail::Connection> connection;
  Lease lease;
  detail::MappedBytes mapped;
  bool released = false;
};

}  // namespace pm::client
