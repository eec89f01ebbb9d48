#include "labels.h"

#include <algorithm>

#include "reasons.h"

namespace pm::api {

namespace {

bool is_lower_or_digit(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
}

// The control characters of Unicode: below U+0020, U+007F to U+009F.
bool has_control_character(std::string_view text) {
  for (std::size_t index = 0; index < text.size(); ++index) {
    const auto byte = static_cast<unsigned char>(text[index]);
    if (byte < 0x20 || byte == 0x7f) return true;
    if (byte == 0xc2 && index + 1 < text.size() &&
        static_cast<unsigned char>(text[index + 1]) < 0xa0) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool is_label_key(std::string_view key) {
  constexpr std::size_t bytes_max = 63;
  if (key.empty() || key.size() > bytes_max) return false;
  if (!is_lower_or_digit(key.front()) || !is_lower_or_digit(key.back())) return false;
  return std::all_of(key.begin(), key.end(), [](char letter) {
    return is_lower_or_digit(letter) || letter == '.' || letter == '_' || letter == '/' ||
           letter == '-';
  });
}

bool is_label_value(std::string_view value) {
  constexpr std::size_t bytes_max = 255;
  return value.size() <= bytes_max && !has_control_character(value);
}

Status read_labels(const LabelMap& map, catalog::Labels& labels) {
  for (const auto& [key, value] : map) {
    if (!is_label_key(key)) {
      return status_of(RequestFault::label_invalid, "a key has " + std::to_string(key.size()) +
                                                        " bytes, or letters that it cannot have");
    }
    if (!is_label_value(value)) {
      return status_of(RequestFault::label_invalid, "the value of '" + key + "'");
    }
  }
  if (map.size() > catalog::labels_max) {
    const ReasonText& text = text_of(catalog::Reason::labels_full);
    return {text.code, text.message, text.name};
  }
  labels.reserve(map.size());
  for (const auto& [key, value] : map) labels.push_back({key, value});
  std::sort(labels.begin(), labels.end(),
            [](const catalog::Label& a, const catalog::Label& b) { return a.key < b.key; });
  return {};
}

void fill_labels(const std::shared_ptr<const catalog::Labels>& labels, LabelMap& map) {
  if (labels == nullptr) return;
  for (const catalog::Label& label : *labels) map[label.key] = label.value;
}

}  // namespace pm::api
