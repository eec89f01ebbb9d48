#pragma once

#include <cstdint>
#include <functional>
#include <pm/cpp/result.hpp>

#include "core/ledger/stream_schema.h"
#include "repository_reader.h"

namespace pm::api {

// A part of a stream as it lies in the repository.
struct StreamPage {
  std::uint64_t stream = 0;
  std::uint64_t begin = 0;           // Offsets from here
  std::uint64_t end = 0;             // up to here, exclusive,
  std::int64_t from_ns = INT64_MIN;  // appended at this time or later,
  std::uint64_t entries_max = 0;     // at most so many.
};

// Visits the entries in the order of their offsets, until `visit` returns false. [worker]
Status read_page(const RepositoryReader& reader, const StreamPage& page,
                 const std::function<bool(const ledger::StreamEntryRow&)>& visit);

}  // namespace pm::api
