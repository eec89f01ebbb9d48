#pragma once

#include <cstdint>
#include <string>

// What the disk tier is measured against: a bare loop of O_DIRECT transfers by io_uring.

namespace pm::perf {

// Moves `bytes` in steps of `chunk_bytes`, `depth` at a time, and returns the seconds. Writing
// goes to a new file and includes its fsync; reading starts with open(2). `memory` holds depth
// aligned chunks. Ends the program on an error.
double move_raw(const std::string& path, bool is_write, char* memory, std::uint64_t bytes,
                std::uint64_t chunk_bytes, unsigned depth);

// Seconds of CLOCK_MONOTONIC.
double now();

[[noreturn]] void fail(const std::string& what);

}  // namespace pm::perf
