#pragma once

#include <string>

#include "methods.h"
#include "repository_reader.h"

// What the methods for metadata, events and lineage have in common.

namespace pm::api {

// Of a schema, an actor, an operation and the like.
inline constexpr std::size_t text_bytes_max = 1024;

// Replies TEXT_TOO_LONG and returns false when `value` has more than `bytes_max`.
bool fits(const Invocation& invocation, const std::string& field, const std::string& value,
          std::size_t bytes_max = text_bytes_max);

// What a client is told when the repository could not be read.
Status read_failed(const Status& status);

}  // namespace pm::api
