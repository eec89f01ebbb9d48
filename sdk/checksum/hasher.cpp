#include "hasher.h"

#include <openssl/evp.h>
#include <xxhash.h>

#include <boost/crc.hpp>
#include <cstring>

namespace pm {

namespace {

constexpr std::uint32_t castagnoli = 0x1EDC6F41;
using BoostCrc32c = boost::crc_optimal<32, castagnoli, 0xFFFFFFFF, 0xFFFFFFFF, true, true>;

std::uint32_t reflected(std::uint32_t value) {
  std::uint32_t result = 0;
  for (int bit = 0; bit < 32; ++bit) {
    result = (result << 1) | (value & 1);
    value >>= 1;
  }
  return result;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t extend_by_instruction(std::uint32_t crc,
                                                                      const void* data,
                                                                      std::size_t length) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  std::uint64_t state = crc ^ 0xFFFFFFFF;
  for (; length >= sizeof(std::uint64_t); length -= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof word);
    state = __builtin_ia32_crc32di(state, word);
    bytes += sizeof word;
  }
  auto narrow = static_cast<std::uint32_t>(state);
  for (; length > 0; --length) narrow = __builtin_ia32_crc32qi(narrow, *bytes++);
  return narrow ^ 0xFFFFFFFF;
}
#endif

}  // namespace

std::uint32_t extend_crc32c_portable(std::uint32_t crc, const void* data, std::size_t length) {
  // Boost takes the remainder as it stands in its register: neither reflected nor inverted.
  BoostCrc32c state(reflected(crc ^ 0xFFFFFFFF));
  state.process_bytes(data, length);
  return state.checksum();
}

std::uint32_t extend_crc32c(std::uint32_t crc, const void* data, std::size_t length) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return extend_by_instruction(crc, data, length);
#endif
  return extend_crc32c_portable(crc, data, length);
}

struct Hasher::State {
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<XXH3_state_t, Free> xxh3;
  std::unique_ptr<EVP_MD_CTX, Free> sha256;
  std::uint32_t crc32c = 0;
  bool failed = false;
};

Hasher::Hasher(HashKind kind) : state_(std::make_unique<State>()) {
  if (kind == HashKind::xxh3_128) {
    state_->xxh3.reset(XXH3_createState());
    state_->failed = state_->xxh3 == nullptr || XXH3_128bits_reset(state_->xxh3.get()) != XXH_OK;
  } else if (kind == HashKind::sha256) {
    state_->sha256.reset(EVP_MD_CTX_new());
    state_->failed = state_->sha256 == nullptr ||
                     EVP_DigestInit_ex(state_->sha256.get(), EVP_sha256(), nullptr) != 1;
  }
}

Hasher::~Hasher() = default;

void Hasher::add(const void* data, std::size_t length) {
  if (state_->failed) return;
  if (state_->xxh3 != nullptr) {
    XXH3_128bits_update(state_->xxh3.get(), data, length);
  } else if (state_->sha256 != nullptr) {
    state_->failed = EVP_DigestUpdate(state_->sha256.get(), data, length) != 1;
  } else {
    state_->crc32c = extend_crc32c(state_->crc32c, data, length);
  }
}

Result<Digest> Hasher::finish() {
  Digest digest{};
  if (!state_->failed && state_->xxh3 != nullptr) {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_->xxh3.get()));
    std::memcpy(digest.data(), canonical.digest, sizeof canonical.digest);
  } else if (!state_->failed && state_->sha256 != nullptr) {
    state_->failed = EVP_DigestFinal_ex(state_->sha256.get(), digest.data(), nullptr) != 1;
  } else {
    for (std::size_t index = 0; index < sizeof state_->crc32c; ++index) {
      digest[index] = static_cast<std::uint8_t>(state_->crc32c >> (24 - 8 * index));
    }
  }
  if (state_->failed) return Status(Code::resource_exhausted, "no memory for a checksum");
  return digest;
}

}  // namespace pm
