#include "ids.h"

#include <sys/random.h>

#include <array>
#include <cstdlib>
#include <cstring>

namespace pm::api {

namespace {

// Takes the kernel's randomness a page at a time: one system call for 256 ids. A child of fork()
// would repeat them, and the host never forks.
class RandomBytes {
 public:
  void take(std::uint8_t* target, std::size_t length) {
    if (left_ < length) refill();
    left_ -= length;
    std::memcpy(target, bytes_.data() + left_, length);
    // What was handed out is forgotten here, so that memory does not tell of ids.
    std::memset(bytes_.data() + left_, 0, length);
  }

 private:
  void refill() {
    std::size_t have = 0;
    while (have < bytes_.size()) {
      const ssize_t got = ::getrandom(bytes_.data() + have, bytes_.size() - have, 0);
      // It only fails before the kernel has booted up, or by a signal.
      if (got > 0) have += static_cast<std::size_t>(got);
    }
    left_ = bytes_.size();
  }

  std::array<std::uint8_t, 4096> bytes_{};
  std::size_t left_ = 0;
};

thread_local RandomBytes random_bytes;

}  // namespace

catalog::Id random_id() {
  catalog::Id id;
  random_bytes.take(id.bytes.data(), id.bytes.size());
  return id;
}

catalog::Id random_payload_id() {
  catalog::Id id = random_id();
  // RFC 4122, section 4.4: version 4, variant 10.
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x40);
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
  return id;
}

bool read_id(std::string_view bytes, catalog::Id& id) {
  if (bytes.size() != id.bytes.size()) return false;
  std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
  return true;
}

}  // namespace pm::api
