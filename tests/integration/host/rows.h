#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace pm::integration {

// How many rows a table of a host's SQLite file has; -1 when that cannot be read.
std::int64_t count_rows(const std::filesystem::path& file, const std::string& table);

}  // namespace pm::integration
