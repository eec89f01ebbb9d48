#pragma once

#include <memory>
#include <pm/cpp/result.hpp>
#include <string>
#include <string_view>

#include "core/catalog/extras.h"
#include "google/protobuf/map.h"

namespace pm::api {

using LabelMap = google::protobuf::Map<std::string, std::string>;

// [a-z0-9]([a-z0-9._/-]*[a-z0-9])?, at most 63 characters.
bool is_label_key(std::string_view key);

// Reads labels in the order that the catalog wants. Values are plain text (texts.h).
// LABEL_INVALID says which one is wrong; LABELS_FULL: more than a payload may have.
Status read_labels(const LabelMap& map, catalog::Labels& labels);

void fill_labels(const std::shared_ptr<const catalog::Labels>& labels, LabelMap& map);

}  // namespace pm::api
