#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "pm/client/client.h"

// What a client process is about when something happens to it.

namespace pm::clients {

enum class Pose {
  leases,      // Reads what it leased, again and again.
  allocates,   // Has allocations, not mapped, and one that was granted ahead.
  writes,      // Writes into a block of the slab, a segment and a disk file, again and again.
  waits,       // Its allocation waits for room on the tier "fast".
  works,       // Puts, reads, moves and deletes payloads of its own.
  late,        // Leases and writes; goes on when it is told to, after their time.
  later,       // The same, but does not touch its block of the slab any more.
  count
};
const char* name_of(Pose pose);

// The life of allocations on the hosts of these tests.
constexpr std::uint64_t uncommitted_ms_max = 1'000;
constexpr std::uint64_t lease_ms_max = 900;

// What the client program is told; `readable` are committed payloads of others.
struct Part {
  std::string address;
  std::filesystem::path story;
  std::filesystem::path go;  // Late ones wait for this file.
  std::uint32_t seed = 0;
  Pose pose = Pose::leases;
  std::vector<client::PayloadId> readable;
};
std::vector<std::string> command_of(const std::filesystem::path& program, const Part& part);
// The inverse; throws when that is no such command.
Part part_of(int count, char** arguments);

// Plays it in this process. Returns of late ones only.
void play(const Part& part);

}  // namespace pm::clients
