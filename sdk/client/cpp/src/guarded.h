#pragma once

#include <exception>
#include <new>

#include "pm/cpp/result.hpp"

namespace pm::client::detail {

// Runs `body`; what the libraries below throw becomes a Status.
template <typename Body>
auto guarded(Body&& body) noexcept -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Status(Code::resource_exhausted, "no memory");
  } catch (const std::exception& error) {
    return Status(Code::internal, error.what());
  } catch (...) {
    return Status(Code::internal, "a library threw");
  }
}

}  // namespace pm::client::detail
