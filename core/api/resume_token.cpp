#include "resume_token.h"

#include <xxhash.h>

#include "core/ledger/byte_codec.h"

namespace pm::api {

namespace {

constexpr std::uint8_t version = 1;

std::uint32_t check_of(std::string_view bytes) {
  return static_cast<std::uint32_t>(XXH3_64bits(bytes.data(), bytes.size()));
}

}  // namespace

std::string write_resume_token(const ResumeToken& token) {
  ledger::ByteWriter writer;
  writer.integer(version);
  writer.integer(token.life);
  writer.integer(token.sequence);
  std::string bytes = writer.take();
  const std::uint32_t check = check_of(bytes);
  bytes.append(reinterpret_cast<const char*>(&check), sizeof check);
  return bytes;
}

std::optional<ResumeToken> read_resume_token(std::string_view text) {
  ledger::ByteReader reader(text);
  const auto format = reader.integer<std::uint8_t>();
  ResumeToken token;
  token.life = reader.integer<std::uint64_t>();
  token.sequence = reader.integer<std::uint64_t>();
  const auto check = reader.integer<std::uint32_t>();
  if (!reader.ok() || !reader.at_end() || format != version) return std::nullopt;
  if (check != check_of(text.substr(0, text.size() - sizeof check))) return std::nullopt;
  return token;
}

}  // namespace pm::api
