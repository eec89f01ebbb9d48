#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

namespace pm::catalog {

// Sixteen bytes drawn from the kernel's randomness: a payload (RFC 4122 version 4) or a lease.
struct Id {
  std::array<std::uint8_t, 16> bytes{};

  friend bool operator==(const Id&, const Id&) = default;
};

// "7f0c2a3e-...": the text form of RFC 4122.
std::string to_text(const Id& id);

// The bytes are random already, so eight of them are the hash.
inline std::uint64_t hash_of(const Id& id) {
  std::uint64_t hash = 0;
  std::memcpy(&hash, id.bytes.data() + 8, sizeof hash);
  return hash;
}

inline std::uint64_t hash_of(std::string_view name) { return std::hash<std::string_view>{}(name); }

// Generations count up in steps of one; this spreads them (the finalizer of SplitMix64,
// https://prng.di.unimi.it/splitmix64.c).
inline std::uint64_t hash_of(std::uint64_t key) {
  key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9ULL;
  key = (key ^ (key >> 27)) * 0x94d049bb133111ebULL;
  return key ^ (key >> 31);
}

// Names the caller to whom a reply goes; chosen by the caller, unique while it waits. 0: nobody.
using Ticket = std::uint64_t;

}  // namespace pm::catalog
