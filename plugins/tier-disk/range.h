#pragma once

#include <array>
#include <cstdint>

#include "file.h"

// How a range of bytes is moved between memory and a file.
//
// Direct and cached transfers never share a block: only whole blocks go direct, and the kernel
// keeps the page cache coherent with those (it writes back and drops the pages they cover).

namespace pm::disk {

struct Piece {
  std::uint64_t offset;
  char* data;
  std::uint64_t length;
  bool direct;
};

struct Pieces {
  std::array<Piece, 3> items;
  unsigned count;
};

// Splits a range into an unaligned head, whole blocks and an unaligned tail; the middle is direct
// where that is allowed, worth it, and the memory is aligned with the file. At least one piece.
Pieces split(void* data, std::uint64_t offset, std::uint64_t length, bool direct);

// Moves a piece of which `done` bytes are through already. The result counts those, too, and is
// less than the piece only when a read met the end of the file.
Result<std::uint64_t> move_piece(File& file, const Piece& piece, bool is_write, std::uint64_t done);

// Moves a whole range; the result is as above.
Result<std::uint64_t> move_range(File& file, void* data, std::uint64_t offset, std::uint64_t length,
                                 bool is_write);

}  // namespace pm::disk
