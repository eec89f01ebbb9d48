#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/catalog/list_walk.h"
#include "core/ledger/ledger.h"
#include "filter/filter.h"

namespace pm::api {

// What a page of a list is to show.
struct ListQuery {
  catalog::TierIndex tier = catalog::no_tier;  // Only those shown there.
  Filter filter;
  catalog::ListOrder order = catalog::ListOrder::newest_first;
  std::int64_t now_ns = 0;  // Wall time that ages are counted to: that of the first page.
  std::optional<catalog::ListPlace> behind;
  std::uint32_t count = 0;
};

// Reads one page: takes the lock for a bounded number of payloads at a time, and tries the filter
// on them outside of it. Where the filter is a conjunction with a tier or a label, only the
// payloads of that, whichever has the fewest, are looked at. For one thread at a time.
class ListReader {
 public:
  ListReader(ledger::Ledger& ledger, ListQuery query);

  // The order by size needs an index that is made when it is first asked for.
  bool lacks_size_index() const;
  // Takes the lock for 256 payloads at a time until it is there. [worker]
  void make_size_index();

  // Goes on until about `candidates` have been looked at in all; false when the page has room for
  // more and they are not all.
  bool read(std::uint32_t candidates);

  const std::vector<catalog::Listed>& found() const { return found_; }
  std::uint64_t total() const { return total_; }  // On the tier, the filter left aside.
  // Behind what was looked at last; nothing: the list has ended.
  const std::optional<catalog::ListPlace>& next() const { return next_; }
  std::int64_t now_ns() const { return query_.now_ns; }

 private:
  void plan(const catalog::Catalog& catalog);
  void collect(const FilterNode& node);
  bool fits(const catalog::View& view) const;
  std::uint32_t slice_size() const;

  ledger::Ledger& ledger_;
  const ListQuery query_;
  std::vector<const FilterTest*> required_;  // All of them must hold, whatever else is asked.
  catalog::ListWalk walk_;
  bool planned_ = false;
  bool ended_ = false;  // Nothing can be found, or nothing more.
  std::uint32_t seen_ = 0;
  std::vector<catalog::Listed> slice_;
  std::size_t fitting_ = 0;  // Of the slice before.
  std::vector<catalog::Listed> found_;
  std::optional<catalog::ListPlace> next_;
  std::uint64_t total_ = 0;
};

}  // namespace pm::api
