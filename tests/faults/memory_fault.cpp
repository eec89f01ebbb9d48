// Preloaded into a host: the PM_MEMORY_FAULT-th call of operator new, in the host and in all that
// it loads, finds no memory. Without the variable it tells at the end how many calls there were.

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace {

std::atomic<long> calls{0};
long failing = 0;  // 0: none.

__attribute__((constructor)) void read_plan() {
  const char* text = std::getenv("PM_MEMORY_FAULT");
  failing = text == nullptr ? 0 : std::atol(text);
}

__attribute__((destructor)) void tell() {
  std::fprintf(stderr, "memory-fault: %ld calls in all\n", calls.load());
}

}  // namespace

void* operator new(std::size_t length) {
  const long number = calls.fetch_add(1, std::memory_order_relaxed) + 1;
  void* memory = number == failing ? nullptr : std::malloc(length == 0 ? 1 : length);
  if (memory != nullptr) return memory;
  constexpr char words[] = "memory-fault: takes effect\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, words, sizeof words - 1);
  if (const std::new_handler handler = std::get_new_handler()) handler();
  constexpr char early[] = "memory-fault: before main()\n";
  [[maybe_unused]] const auto told = ::write(STDERR_FILENO, early, sizeof early - 1);
  throw std::bad_alloc();
}

void* operator new[](std::size_t length) { return operator new(length); }
