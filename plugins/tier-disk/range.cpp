#include "range.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace pm::disk {

namespace {

// Below this a transfer through the page cache is faster than a round trip to the device, and the
// page cache gathers neighbours.
constexpr std::uint64_t direct_bytes_min = 64 * 1024;

// Linux moves at most 0x7ffff000 bytes in one call (read(2)); this keeps steps block-aligned.
constexpr std::uint64_t step_bytes_max = 1u << 30;

bool is_aligned(std::uint64_t value) { return value % block_bytes == 0; }

}  // namespace

Pieces split(void* data, std::uint64_t offset, std::uint64_t length, bool direct) {
  char* const bytes = static_cast<char*>(data);
  const std::uint64_t head = std::min(length, round_up_to_block(offset) - offset);
  const std::uint64_t body = (length - head) / block_bytes * block_bytes;
  if (!direct || body < direct_bytes_min ||
      !is_aligned(reinterpret_cast<std::uintptr_t>(bytes + head)))
    return {{{{offset, bytes, length, false}}}, 1};

  Pieces pieces{};
  const auto add = [&](std::uint64_t start, std::uint64_t size, bool is_direct) {
    if (size > 0) pieces.items[pieces.count++] = {offset + start, bytes + start, size, is_direct};
  };
  add(0, head, false);
  add(head, body, true);
  add(head + body, length - head - body, false);
  return pieces;
}

Result<std::uint64_t> move_piece(File& file, const Piece& piece, bool is_write,
                                 std::uint64_t done) {
  bool direct = piece.direct && file.direct() >= 0;
  while (done < piece.length) {
    const std::uint64_t step = std::min(piece.length - done, step_bytes_max);
    char* const data = piece.data + done;
    const auto offset = static_cast<off_t>(piece.offset + done);
    // What follows a short transfer may have lost its alignment.
    direct = direct && is_aligned(piece.offset + done) && is_aligned(step);
    const int fd = direct ? file.direct() : file.cached();
    const ssize_t count =
        is_write ? ::pwrite(fd, data, step, offset) : ::pread(fd, data, step, offset);
    if (count > 0) {
      done += static_cast<std::uint64_t>(count);
    } else if (count == 0 && !is_write) {
      break;
    } else if (count == 0) {
      return Status(Code::internal, "writing " + file.shown() + " makes no progress");
    } else if (errno == EINVAL && direct) {
      direct = false;  // Some file systems take O_DIRECT at open and refuse it here.
    } else if (errno != EINTR && errno != EAGAIN) {
      return errno_status(errno, (is_write ? "cannot write " : "cannot read ") + file.shown(),
                          is_write ? Code::unavailable : Code::data_loss);
    }
  }
  return done;
}

Result<std::uint64_t> move_range(File& file, void* data, std::uint64_t offset, std::uint64_t length,
                                 bool is_write) {
  const bool direct = length >= direct_bytes_min && file.direct() >= 0;
  const Pieces pieces = split(data, offset, length, direct);
  std::uint64_t total = 0;
  for (unsigned i = 0; i < pieces.count; ++i) {
    auto moved = move_piece(file, pieces.items[i], is_write, 0);
    if (!moved.ok()) return moved;
    total += *moved;
    if (*moved < pieces.items[i].length) break;
  }
  return total;
}

}  // namespace pm::disk
