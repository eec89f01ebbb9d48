#include "ids.h"

namespace pm::catalog {

std::string to_text(const Id& id) {
  static constexpr char digits[] = "0123456789abcdef";
  // In place, as every candidate of a policy has its id written.
  std::string text(36, '-');
  std::size_t at = 0;
  for (std::size_t index = 0; index < id.bytes.size(); ++index) {
    if (index == 4 || index == 6 || index == 8 || index == 10) ++at;
    text[at++] = digits[id.bytes[index] >> 4];
    text[at++] = digits[id.bytes[index] & 0x0f];
  }
  return text;
}

}  // namespace pm::catalog
