#include "core/mover/checksum.h"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace pm::mover {
namespace {

using catalog::ChecksumKind;

std::string hex(const catalog::Checksum& checksum) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t index = 0; index < checksum.length(); ++index) {
    text += digits[checksum.bytes[index] >> 4];
    text += digits[checksum.bytes[index] & 15];
  }
  return text;
}

std::string hash(ChecksumKind kind, const std::string& bytes, std::size_t step = 1 << 20) {
  ChecksumHasher hasher(kind);
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    hasher.add(bytes.data() + at, std::min(step, bytes.size() - at));
  }
  const auto checksum = hasher.finish();
  EXPECT_TRUE(checksum.ok());
  return hex(*checksum);
}

// FIPS 180-4, as in the examples that NIST publishes with it.
TEST(checksum, sha256_is_that_of_the_standard) {
  EXPECT_EQ(hash(ChecksumKind::sha256, "abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash(ChecksumKind::sha256, ""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

// RFC 3720, appendix B.4; the first is the check value of the catalogue of CRCs.
TEST(checksum, crc32c_is_that_of_the_standard) {
  EXPECT_EQ(hash(ChecksumKind::crc32c, "123456789"), "e3069283");
  EXPECT_EQ(hash(ChecksumKind::crc32c, std::string(32, '\0')), "8a9136aa");
  EXPECT_EQ(hash(ChecksumKind::crc32c, std::string(32, '\xff')), "62a8ab43");
  EXPECT_EQ(hash(ChecksumKind::crc32c, ""), "00000000");
}

TEST(checksum, xxh3_128_is_in_canonical_form) {
  EXPECT_EQ(hash(ChecksumKind::xxh3_128, ""), "99aa06d3014798d86001c324468d497f");
  const std::string bytes = "The quick brown fox jumps over the lazy dog";
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  catalog::Checksum expected;
  expected.kind = ChecksumKind::xxh3_128;
  std::memcpy(expected.bytes.data(), canonical.digest, sizeof canonical.digest);
  EXPECT_EQ(hash(ChecksumKind::xxh3_128, bytes), hex(expected));
}

TEST(checksum, does_not_depend_on_the_pieces) {
  std::mt19937 random(7);
  std::string bytes(100'003, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  for (const auto kind : {ChecksumKind::xxh3_128, ChecksumKind::sha256, ChecksumKind::crc32c}) {
    const std::string whole = hash(kind, bytes);
    for (const std::size_t step : {1u, 7u, 4'096u, 65'537u}) {
      EXPECT_EQ(hash(kind, bytes, step), whole) << "pieces of " << step;
    }
  }
}

TEST(checksum, crc32c_by_the_instruction_is_that_of_the_table) {
  std::mt19937 random(8);
  std::vector<unsigned char> bytes(5'000);
  for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random());
  std::uint32_t fast = 0;
  std::uint32_t portable = 0;
  for (std::size_t at = 0, step = 0; at + step <= bytes.size(); at += step, ++step) {
    fast = extend_crc32c(fast, bytes.data() + at, step);
    portable = extend_crc32c_portable(portable, bytes.data() + at, step);
    ASSERT_EQ(fast, portable) << "after " << at + step << " bytes";
  }
}

}  // namespace
}  // namespace pm::mover
