#include "labels.h"

#include <algorithm>

#include "reasons.h"
#include "texts.h"

namespace pm::api {

namespace {

bool is_lower_or_digit(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
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

Status read_labels(const LabelMap& map, catalog::Labels& labels) {
  for (const auto& [key, value] : map) {
    if (!is_label_key(key)) {
      return status_of(RequestFault::label_invalid, "a key has " + std::to_string(key.size()) +
                                                        " bytes, or letters that it cannot have");
    }
    if (!is_plain_text(value)) {
      return status_of(RequestFault::label_invalid, "the value of '" + key + "'");
    }
  }
  if (map.size() > catalog::labels_max) return status_of(catalog::Reason::labels_full);
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
