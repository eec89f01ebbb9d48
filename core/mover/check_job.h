#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "checksum.h"
#include "core/catalog/copy_check.h"

namespace pm::mover {

struct CheckResult {
  // Unknown: it could not be read, or was not read to its end. That says nothing of the bytes.
  catalog::CopyChecked::Verdict verdict = catalog::CopyChecked::Verdict::unknown;
  bool stopped = false;        // By `may_read`.
  bool is_away = false;        // Its tier did not answer, or not in time.
  catalog::Checksum checksum;  // Of a good copy: what was read.
  std::string words;           // What is wrong, if something is.
};

// Asked before each read of so many bytes; may wait. False: no more is to be read.
using MayRead = std::function<bool(std::uint64_t bytes)>;

// Reads a sealed object, whole, and holds its bytes against `expected`. An object that seems bad is
// read once more: one bad read must not cost a payload a copy. Without an expected checksum,
// XXH3-128 is computed, of two reads that must agree. [as `read`]
CheckResult check_copy(const ReadPart& read, std::uint64_t length,
                       const catalog::Checksum& expected, const MayRead& may_read);

}  // namespace pm::mover
