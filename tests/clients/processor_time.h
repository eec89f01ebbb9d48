#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

namespace pm::clients {

// What a process has used of the processors so far, in milliseconds; see proc(5), stat.
inline std::uint64_t processor_ms(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return 0;
  // utime and stime are the 12th and 13th behind the name.
  std::size_t at = name_end + 1;
  for (int field = 0; field < 12; ++field) at = line.find(' ', at + 1);
  char* end = nullptr;
  const std::uint64_t user = std::strtoull(line.c_str() + at, &end, 10);
  const std::uint64_t system = std::strtoull(end, nullptr, 10);
  return (user + system) * 1'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
}

}  // namespace pm::clients
