#include "ids.h"

namespace pm::catalog {

std::string to_text(const Id& id) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (std::size_t index = 0; index < id.bytes.size(); ++index) {
    if (index == 4 || index == 6 || index == 8 || index == 10) text += '-';
    text += digits[id.bytes[index] >> 4];
    text += digits[id.bytes[index] & 0x0f];
  }
  return text;
}

}  // namespace pm::catalog
