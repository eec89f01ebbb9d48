#include "words.h"

#include <algorithm>

namespace pm::policy {

namespace {

// Whether the byte behind `first` may be `second`: the rest is an overlong form, a surrogate, or
// beyond the last character.
bool may_follow(unsigned char first, unsigned char second) {
  switch (first) {
    case 0xe0: return second >= 0xa0;
    case 0xed: return second < 0xa0;
    case 0xf0: return second >= 0x90;
    case 0xf4: return second < 0x90;
    default: return true;
  }
}

// Bytes of the character at the beginning of `text`; 0: it is none.
std::size_t character_bytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 && first <= 0xf4  ? 4
                             : first >= 0xe0 && first < 0xf0 ? 3
                             : first >= 0xc2 && first < 0xe0 ? 2
                                                             : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t at = 1; at < length; ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xc0) != 0x80) return 0;
  }
  return may_follow(first, static_cast<unsigned char>(text[1])) ? length : 0;
}

}  // namespace

std::string printable(std::string_view text, std::size_t bytes_max) {
  constexpr unsigned char printable_first = 0x20;
  constexpr unsigned char removed = 0x7f;
  std::string words;
  while (!text.empty()) {
    const std::size_t length = character_bytes(text);
    const auto first = static_cast<unsigned char>(text.front());
    if (words.size() + std::max<std::size_t>(length, 1) > bytes_max) break;
    if (length == 0 || first < printable_first || first == removed) {
      words += length == 0 ? '?' : ' ';
    } else {
      words += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return words;
}

}  // namespace pm::policy
