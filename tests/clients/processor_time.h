#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace pm::clients {

// What a process's threads have used of the processors so far, in milliseconds, but for those of
// certain names; see proc(5), stat. Threads that have ended do not count.
inline std::uint64_t processor_ms(pid_t pid, const std::vector<std::string>& names_left_out) {
  std::uint64_t ticks = 0;
  std::error_code error;
  const std::string folder = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& thread : std::filesystem::directory_iterator(folder, error)) {
    std::ifstream file(thread.path() / "stat");
    std::string line;
    std::getline(file, line);
    const std::size_t name_begin = line.find('(');
    const std::size_t name_end = line.rfind(')');
    if (name_end == std::string::npos) continue;
    const std::string name = line.substr(name_begin + 1, name_end - name_begin - 1);
    if (std::ranges::find(names_left_out, name) != names_left_out.end()) continue;
    // utime and stime are the 12th and 13th behind the name.
    std::size_t at = name_end + 1;
    for (int field = 0; field < 12; ++field) at = line.find(' ', at + 1);
    char* end = nullptr;
    ticks += std::strtoull(line.c_str() + at, &end, 10);
    ticks += std::strtoull(end, nullptr, 10);
  }
  return ticks * 1'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
}

}  // namespace pm::clients
