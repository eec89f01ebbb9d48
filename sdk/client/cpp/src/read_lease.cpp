// ReadLease: of both kinds, by a call and without one.

#include <utility>

#include "directory_reader.h"
#include "parts.h"

namespace pm::client {

using detail::guarded;

ReadLease::ReadLease(std::unique_ptr<Parts> parts) noexcept : parts_(parts.release()) {}

ReadLease::ReadLease(std::shared_ptr<detail::Connection> connection,
                     const detail::Hold& hold) noexcept
    : connection_(std::move(connection)), hold_(hold) {}

ReadLease::ReadLease(ReadLease&& other) noexcept
    : connection_(std::move(other.connection_)),
      hold_(std::exchange(other.hold_, {})),
      parts_(other.parts_.exchange(nullptr)) {}

ReadLease& ReadLease::operator=(ReadLease&& other) noexcept {
  if (this != &other) {
    static_cast<void>(release());
    connection_ = std::move(other.connection_);
    hold_ = std::exchange(other.hold_, {});
    delete parts_.exchange(other.parts_.exchange(nullptr));
  }
  return *this;
}

ReadLease::~ReadLease() {
  static_cast<void>(release());
  delete parts_.load();
}

const Lease& ReadLease::lease() const noexcept {
  static const Lease none;
  if (const Parts* made = parts_.load(std::memory_order_acquire)) return made->lease;
  if (!is_direct()) return none;
  try {
    auto parts = std::make_unique<Parts>();
    Descriptor& shown = parts->lease.descriptor;
    shown.id = hold_.id;
    shown.tier = static_cast<Tier>(hold_.tier);
    shown.state = State::active;
    shown.version = hold_.version;
    shown.size_bytes = hold_.length_bytes;
    shown.location.kind = LocationKind::memory;
    shown.location.name = hold_.slab->name.data();
    shown.location.offset_bytes = hold_.offset_bytes;
    shown.location.length_bytes = hold_.length_bytes;
    shown.location.mapping_bytes = hold_.slab->bytes;
    shown.location.slab = hold_.slab->number;
    Parts* first = nullptr;
    // Others may be here as well: the first one's stays, and is what all of them get.
    if (parts_.compare_exchange_strong(first, parts.get())) first = parts.release();
    return first->lease;
  } catch (const std::bad_alloc&) {
    return none;
  }
}

std::span<const std::byte> ReadLease::bytes() const noexcept {
  if (is_direct()) return {hold_.bytes, hold_.bytes == nullptr ? 0 : hold_.length_bytes};
  const Parts* parts = parts_.load(std::memory_order_acquire);
  return parts != nullptr ? parts->mapped.bytes : std::span<std::byte>();
}

Status ReadLease::release() noexcept {
  if (is_direct()) return release_hold();
  return guarded([&]() -> Status {
    Parts* parts = parts_.load();
    if (parts == nullptr || parts->released) return {};
    parts->mapped = {};
    detail::Connection& connection = *parts->connection;
    // With the session that it was granted in, the lease has ended as well.
    const bool has_ended = !connection.is_forked() && connection.session() != parts->session;
    const Status status = has_ended ? Status() : detail::release(connection, parts->lease.id);
    parts->released = status.ok();
    return status;
  });
}

Status ReadLease::release_hold() noexcept {
  if (hold_.bytes == nullptr) return {};
  hold_.bytes = nullptr;
  // The page is the parent's: what a child wrote there would end the parent's hold.
  if (connection_->is_forked()) return detail::Connection::forked();
  hold_.reader->let_go(hold_);
  return {};
}

}  // namespace pm::client
