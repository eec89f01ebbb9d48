#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "google/protobuf/message_lite.h"
#include "grants.h"
#include "guarded.h"
#include "mapping.h"
#include "pm/client/client.h"
#include "transport.h"

namespace pm::client::detail {

// The way to the host and the mappings. Shared by a Client and all that it hands out.
class Connection {
 public:
  // The address chooses the transport.
  static Result<std::shared_ptr<Connection>> make(std::string address, ConnectOptions options);
  Connection(std::string address, std::uint64_t deadline_ms, std::unique_ptr<Transport> transport);
  // Gives back what was granted ahead.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const std::string& address() const noexcept { return address_; }
  Grants& grants() noexcept { return grants_; }

  // Whether this is another process than the one that made it. Nothing of the transport may be
  // touched then: its threads are not here, and its locks may be held for ever.
  bool is_forked() const noexcept;
  static Status forked();

  // Calls a method with the deadline of the options, and waits for the answer.
  Result<std::string> call_raw(const std::string& method, const std::string& request);
  Status call(const char* method, const google::protobuf::MessageLite& request,
              google::protobuf::MessageLite* reply);
  // See Transport.
  Status post(const char* method, const google::protobuf::MessageLite& request);
  Status stream(const std::string& method, const std::string& request,
                const Transport::Visit& visit);
  std::uint64_t session() const noexcept { return transport_->session(); }
  std::uint64_t live_session() noexcept { return transport_->live_session(); }
  bool hold(const PayloadId& id, Hold* hold) noexcept {
    return !is_forked() && transport_->hold(id, hold);
  }

  // Maps `size_bytes` of the place that `descriptor` names. Where a name does not do, the host is
  // asked for a descriptor of `id`, a lease's or an allocated payload's.
  Result<MappedBytes> map(const Descriptor& descriptor, std::uint64_t size_bytes, Access access,
                          const HandleId& id);

 private:
  Deadline deadline() const noexcept;

  const std::string address_;
  const std::uint64_t deadline_ms_;
  const unsigned forks_;  // Of this process and its parents, when it was made.
  const std::unique_ptr<Transport> transport_;
  Mapper mapper_;
  Grants grants_;
};

}  // namespace pm::client::detail
