#include "out_of_memory.h"

#include <unistd.h>

#include <new>

namespace pm {

namespace {

int exit_code_of_process = 1;

// No memory can be had here, so not even the log can be used.
[[noreturn]] void end() {
  constexpr char words[] =
      "error host: fatal, out of memory, the host ends at once; what was acknowledged is recovered "
      "at the next start\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, words, sizeof words - 1);
  ::_exit(exit_code_of_process);
}

}  // namespace

void end_when_out_of_memory(int exit_code) {
  exit_code_of_process = exit_code;
  std::set_new_handler(end);
}

}  // namespace pm
