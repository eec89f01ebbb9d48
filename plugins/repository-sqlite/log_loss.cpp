#include "log_loss.h"

#include <array>
#include <bit>
#include <cstring>
#include <fstream>
#include <vector>

namespace pm::repository_sqlite {

namespace {

using Salts = std::array<std::uint32_t, 2>;  // Drawn anew whenever the log begins anew.

struct Frames {
  std::uint32_t count = 0;  // Up to the end of the last transaction.
  Salts salts{};            // As they stand in the file.
};

// The running checksum of the log and of its index (walformat.html, section 4.4).
struct Checksum {
  std::uint32_t first = 0;
  std::uint32_t second = 0;

  // An even number of 32-bit words.
  void add(const char* bytes, std::size_t length, bool is_swapped) {
    for (std::size_t at = 0; at + 8 <= length; at += 8) {
      std::uint32_t words[2];
      std::memcpy(words, bytes + at, sizeof words);
      if (is_swapped) {
        words[0] = __builtin_bswap32(words[0]);
        words[1] = __builtin_bswap32(words[1]);
      }
      first += words[0] + second;
      second += words[1] + first;
    }
  }
};

std::uint32_t big_endian(const char* bytes) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return std::endian::native == std::endian::big ? value : __builtin_bswap32(value);
}

// The first of the index's two equal headers, in the machine's order of bytes. It is written last.
struct IndexHeader {
  std::uint32_t version;
  std::uint32_t unused;
  std::uint32_t change_counter;
  std::uint8_t is_initialized;
  std::uint8_t is_big_endian;
  std::uint16_t page_bytes;
  std::uint32_t frames;
  std::uint32_t pages;
  std::uint32_t frame_checksum[2];
  Salts salts;
  std::uint32_t checksum[2];
};
static_assert(sizeof(IndexHeader) == 48);

// None when there is no index, or none that is whole.
std::optional<Frames> read_index(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  IndexHeader header{};
  file.read(reinterpret_cast<char*>(&header), sizeof header);
  if (file.gcount() != sizeof header) return std::nullopt;
  Checksum checksum;
  checksum.add(reinterpret_cast<const char*>(&header), sizeof header - sizeof header.checksum,
               false);
  constexpr std::uint32_t known_version = 3007000;
  if (header.version != known_version || header.is_initialized == 0 ||
      header.checksum[0] != checksum.first || header.checksum[1] != checksum.second)
    return std::nullopt;
  return Frames{header.frames, header.salts};
}

constexpr std::size_t log_header_bytes = 32;
constexpr std::size_t frame_header_bytes = 24;

// What SQLite's recovery will find.
Frames read_log(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, log_header_bytes> header{};
  file.read(header.data(), header.size());
  constexpr std::uint32_t magic = 0x377f0682;  // The lowest bit: checksums are big-endian.
  const std::uint32_t found_magic = big_endian(header.data());
  const std::uint32_t page_bytes = big_endian(&header[8]);
  if (file.gcount() != log_header_bytes || (found_magic & ~1u) != magic || page_bytes < 512 ||
      page_bytes > 65536)
    return {};
  const bool is_swapped = ((found_magic & 1) != 0) != (std::endian::native == std::endian::big);
  Checksum checksum;
  checksum.add(header.data(), 24, is_swapped);
  if (checksum.first != big_endian(&header[24]) || checksum.second != big_endian(&header[28]))
    return {};
  Frames found;
  std::memcpy(found.salts.data(), &header[16], sizeof found.salts);

  std::vector<char> frame(frame_header_bytes + page_bytes);
  for (std::uint32_t number = 1;; ++number) {
    file.read(frame.data(), static_cast<std::streamsize>(frame.size()));
    if (static_cast<std::size_t>(file.gcount()) != frame.size()) return found;
    checksum.add(frame.data(), 8, is_swapped);
    checksum.add(frame.data() + frame_header_bytes, page_bytes, is_swapped);
    const bool is_whole = std::memcmp(&frame[8], found.salts.data(), sizeof found.salts) == 0 &&
                          checksum.first == big_endian(&frame[16]) &&
                          checksum.second == big_endian(&frame[20]);
    if (!is_whole) return found;
    if (big_endian(&frame[4]) != 0) found.count = number;  // The last of a transaction.
  }
}

}  // namespace

Status check_log(const std::string& database_path) {
  const std::optional<Frames> written = read_index(database_path + "-shm");
  if (!written || written->count == 0) return {};
  const Frames found = read_log(database_path + "-wal");
  const std::uint32_t count = found.salts == written->salts ? found.count : 0;
  if (count >= written->count) return {};
  return {Code::data_loss, database_path + "-wal has " + std::to_string(count) +
                               " whole pages of " + std::to_string(written->count) +
                               " that were written; to go on without the rest, remove " +
                               database_path + "-shm"};
}

}  // namespace pm::repository_sqlite
