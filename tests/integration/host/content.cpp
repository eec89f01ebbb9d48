#include "content.h"

#include <openssl/sha.h>

#include <cstring>

namespace pm::integration {

Digest sha256(std::span<const std::byte> bytes) {
  Digest digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

void fill(std::span<std::byte> bytes, std::uint64_t seed) {
  // SplitMix64 (Steele, Lea, Flood 2014), eight bytes at a time.
  for (std::size_t at = 0; at < bytes.size(); at += sizeof seed) {
    seed += 0x9e3779b97f4a7c15;
    std::uint64_t word = seed;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
    word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
    word ^= word >> 31;
    std::memcpy(bytes.data() + at, &word, std::min(sizeof word, bytes.size() - at));
  }
}

Result<Stored> put(client::Client& client, std::uint64_t size_bytes, std::uint64_t seed,
                   client::CreateOptions options) {
  auto payload = client.create(size_bytes, std::move(options));
  if (!payload) return payload.status();
  fill(payload->bytes(), seed);
  Digest digest = sha256(payload->bytes());
  auto committed = payload->commit();
  if (!committed) return committed.status();
  return Stored{*std::move(committed), std::move(digest)};
}

Result<Digest> digest_of(client::Client& client, const client::PayloadId& id) {
  auto lease = client.open(id);
  if (!lease) return lease.status();
  Digest digest = sha256(lease->bytes());
  PM_TRY(lease->release());
  return digest;
}

}  // namespace pm::integration
