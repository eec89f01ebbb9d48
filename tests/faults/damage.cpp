#include "damage.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <vector>

namespace pm::faults {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t page_bytes = 4096;

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const fs::path& path, const std::string& bytes) {
  // In place, as a medium does: who has it open sees it, and it is the same file.
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string zero_page(std::string& bytes, Campaign& campaign) {
  const std::uint64_t at = campaign.draw((bytes.size() + page_bytes - 1) / page_bytes) * page_bytes;
  const std::uint64_t length = std::min<std::uint64_t>(page_bytes, bytes.size() - at);
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), length, '\0');
  return "zeroes " + std::to_string(length) + " bytes at " + std::to_string(at);
}

std::string swap_pages(std::string& bytes, Campaign& campaign) {
  const std::uint64_t pages = bytes.size() / page_bytes;
  if (pages < 2) return {};
  const std::uint64_t first = campaign.draw(pages);
  const std::uint64_t second = (first + 1 + campaign.draw(pages - 1)) % pages;
  const auto begin = bytes.begin();
  std::swap_ranges(begin + static_cast<std::ptrdiff_t>(first * page_bytes),
                   begin + static_cast<std::ptrdiff_t>((first + 1) * page_bytes),
                   begin + static_cast<std::ptrdiff_t>(second * page_bytes));
  return "swaps pages " + std::to_string(first) + " and " + std::to_string(second);
}

}  // namespace

std::string name_of(Damage damage) {
  constexpr const char* names[] = {"flipped bit", "zeroed page", "truncated", "swapped pages",
                                   "removed"};
  return names[static_cast<int>(damage)];
}

std::string damage_file(const fs::path& path, Damage damage, Campaign& campaign) {
  if (damage == Damage::remove) return fs::remove(path) ? "removed" : "";
  std::string bytes = read_file(path);
  if (bytes.empty()) return {};
  if (damage == Damage::truncate) {
    const std::uint64_t length = campaign.draw(bytes.size());
    fs::resize_file(path, length);
    return "cut to " + std::to_string(length) + " of " + std::to_string(bytes.size());
  }
  const std::string before = bytes;
  std::string what;
  if (damage == Damage::flip_bit) {
    const std::uint64_t at = campaign.draw(bytes.size());
    const auto bit = static_cast<unsigned>(campaign.draw(8));
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
    what = "flips bit " + std::to_string(bit) + " of byte " + std::to_string(at);
  } else if (damage == Damage::zero_page) {
    what = zero_page(bytes, campaign);
  } else {
    what = swap_pages(bytes, campaign);
  }
  if (bytes == before) return {};
  write_file(path, bytes);
  return what;
}

}  // namespace pm::faults
