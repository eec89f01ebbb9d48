#pragma once

#include <pm/tier.h>

#include <pm/cpp/plugin.hpp>

namespace pm::fuzz {

// A host with an identity, which keeps what a plugin says to itself.
const pm_host_t* quiet_host();

inline constexpr char instance_id[] = "0123456789abcdef";
inline constexpr char boot_id[] = "11111111-2222-3333-4444-555555555555";

// An object by one byte, so that two steps of an input easily mean the same one.
inline pm_object_id_t object_number(std::uint8_t number) {
  pm_object_id_t object{};
  for (std::uint8_t& byte : object.payload) byte = number % 8;
  object.generation = number / 8 % 4;
  return object;
}

}  // namespace pm::fuzz
