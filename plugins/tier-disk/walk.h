#pragma once

#include <cstdint>
#include <functional>

#include "layout.h"
#include "root.h"

namespace pm::disk {

struct WalkTotals {
  std::uint64_t objects = 0;
  std::uint64_t bytes_charged = 0;
  std::uint64_t strangers = 0;  // Names that this tier did not make; they are left alone.
};

// Visits the file of every object below the root, sealed or not, in no order; `length` is the
// file's. Ends early, with PM_OK, when `visit` says false.
using Visit = std::function<bool(const ObjectName& name, std::uint64_t length)>;
Result<WalkTotals> walk(const Root& root, const Visit& visit);

}  // namespace pm::disk
