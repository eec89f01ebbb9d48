#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "campaign.h"

namespace pm::faults {

// What media do to files while nobody looks.
enum class Damage { flip_bit, zero_page, truncate, swap_pages, remove };
std::string name_of(Damage damage);

// Does it to the file, at a place that is drawn; says what it did. Empty: the file is too small for
// it, or was so already.
std::string damage_file(const std::filesystem::path& path, Damage damage, Campaign& campaign);

}  // namespace pm::faults
