#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "file_descriptor.h"
#include "pm/client/client.h"

// The way to the host: methods of the contract by name, their messages as bytes.

namespace pm::client::detail {

using Clock = std::chrono::steady_clock;
// When a call's caller stops waiting; max(): never.
using Deadline = Clock::time_point;

// What a descriptor is asked for; see pm::local::OpenWhat.
enum class Handle : std::uint32_t { leased = 0, allocated = 1, slab = 2 };
using HandleId = std::array<std::uint8_t, 16>;

// Not to be called in a forked child, nor destroyed there; Connection sees to that.
// [thread-safe]
class Transport {
 public:
  using Visit = std::function<bool(const std::string&)>;

  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  virtual Result<std::string> call(const std::string& method, const std::string& request,
                                   Deadline deadline) = 0;
  // A call that nobody needs the answer of; where the transport can, it does not wait for one.
  virtual Status post(const std::string& method, const std::string& request, Deadline deadline) {
    return call(method, request, deadline).status();
  }
  // Until `visit` returns false, which ends the call with OK.
  virtual Status stream(const std::string& method, const std::string& request,
                        const Visit& visit) = 0;

  // The session to which the host ties what calls take: it gives all back when the session ends.
  // 0: this transport has none.
  virtual std::uint64_t session() const noexcept { return 0; }
  // The same, once the connection has been looked at; 0 also when it has ended.
  virtual std::uint64_t live_session() noexcept { return session(); }
  virtual bool has_sessions() const noexcept { return false; }

  // A descriptor of the bytes of a lease or an allocation of this session.
  virtual Result<FileDescriptor> open(Handle what, const HandleId& id, Deadline deadline) {
    static_cast<void>(what), static_cast<void>(id), static_cast<void>(deadline);
    return Status(Code::unimplemented, "no descriptors come over this connection");
  }
  // Holds a payload without a call. False: not here, not now, or not this one; ask by a call.
  virtual bool hold(const PayloadId& id, Hold* hold) noexcept {
    static_cast<void>(id), static_cast<void>(hold);
    return false;
  }
};

// By the form of `address`; checks the options that concern it.
Result<std::unique_ptr<Transport>> make_grpc_transport(const std::string& address,
                                                       const ConnectOptions& options);
Result<std::unique_ptr<Transport>> make_local_transport(const std::string& path,
                                                        const ConnectOptions& options);

}  // namespace pm::client::detail
