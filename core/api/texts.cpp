#include "texts.h"

namespace pm::api {

bool is_plain_text(std::string_view text) {
  constexpr std::size_t bytes_max = 255;
  if (text.size() > bytes_max) return false;
  for (std::size_t index = 0; index < text.size(); ++index) {
    const auto byte = static_cast<unsigned char>(text[index]);
    if (byte < 0x20 || byte == 0x7f) return false;
    if (byte == 0xc2 && index + 1 < text.size() &&
        static_cast<unsigned char>(text[index + 1]) < 0xa0) {
      return false;
    }
  }
  return true;
}

}  // namespace pm::api
