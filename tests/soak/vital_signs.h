#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

// What a process takes of the machine, over its life.

namespace pm::soak {

struct Sample {
  double at_s = 0;  // Since it was ready.
  std::uint64_t resident_bytes = 0;
  std::uint64_t descriptors = 0;       // But for those of payloads' files.
  std::uint64_t file_descriptors = 0;  // Of payloads' files: a disk tier keeps some open.
  std::uint64_t threads = 0;
  std::uint64_t maps = 0;
};
Sample take_sample(pid_t pid, double at_s);

// A straight line through the resident bytes, by least squares.
struct Slope {
  double bytes_per_s = 0;
  double error_bytes_per_s = 0;  // Standard error.
  double span_s = 0;
};
Slope slope_of(const std::vector<Sample>& samples);

// What grows, in words; nothing when there are too few samples to tell. The first quarter of a
// life, and at least 2 s of it, is the time to get warm.
std::vector<std::string> growth_of_memory(const std::vector<Sample>& samples);
// Descriptors, threads and maps. The samples must be of like times: all of the same load, or all at
// rest. What is being written and who is connected takes descriptors.
std::vector<std::string> growth_of_counts(const std::vector<Sample>& samples);
std::vector<Sample> warm_part(const std::vector<Sample>& samples);

}  // namespace pm::soak
