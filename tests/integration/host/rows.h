#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace pm::integration {

// How many rows a table of a host's SQLite file has; -1 when that cannot be read.
std::int64_t count_rows(const std::filesystem::path& file, const std::string& table);

// A copy of a committed payload, as the rows of a host's SQLite file name it.
struct RowCopy {
  std::string payload;  // UUID.
  std::string tier;     // Its name.
  std::uint64_t generation = 0;
  std::uint64_t size_bytes = 0;  // Of the payload.
};

// Nothing: the file cannot be read, or a row makes no sense.
std::optional<std::vector<RowCopy>> read_copies(const std::filesystem::path& file);

}  // namespace pm::integration
