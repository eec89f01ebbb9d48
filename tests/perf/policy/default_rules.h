#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "core/catalog/catalog.h"

namespace pm::perf {

// The engine's catalog with many payloads on a fast tier that they fill, over a slow one without
// end; what tiers do is done at once.
class FullCatalog {
 public:
  explicit FullCatalog(std::uint64_t payloads);

  // Seconds that the catalog takes to let one more in: the built-in rules choose somebody who
  // leaves for it, and begin to move it.
  double let_in_and_out();
  // The same when there is room: nobody leaves.
  double let_in();

 private:
  static constexpr std::uint64_t payload_bytes = 4096;

  catalog::Id next_id();
  double allocate(const catalog::Id& id);
  void apply(const catalog::Command& command);
  void do_effects();
  void commit(const catalog::Id& id);

  std::unique_ptr<catalog::Catalog> catalog_;
  catalog::Clocks now_{1'000'000'000, 1'700'000'000'000'000'000};
  catalog::Changes changes_;
  std::deque<catalog::Effect> effects_;
  std::uint64_t ids_ = 0;
  catalog::Id last_;
};

}  // namespace pm::perf
