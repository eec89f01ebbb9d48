#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "plugin_subject.h"
#include "store.h"

// Opens the store at argv[1] and applies batches without end, until it is killed. After each one
// that was acknowledged it writes the batch's sequence, 8 bytes, to the standard output. Each
// batch gives 20 things the sequence as their amount, and grows the store by one.
int main(int argc, char** argv) {
  using namespace pm::contract;
  if (argc != 2) return 2;
  Store store(sqlite_subject(argv[1]));
  if (store.status() != PM_OK) {
    std::fprintf(stderr, "open: %s\n", store.error().c_str());
    return 1;
  }
  for (;;) {
    const std::uint64_t sequence = store.next_sequence();
    std::vector<Operation> operations;
    for (int i = 0; i < 20; ++i)
      operations.push_back(
          put(thing, make_thing(std::string(1, static_cast<char>(i)), sequence, 0, "blob")));
    operations.push_back(put(counter, make_counter(sequence, sequence)));
    const std::uint32_t durability =
        sequence % 8 == 0 ? PM_DURABILITY_POWER : PM_DURABILITY_PROCESS;
    if (store.apply(operations, durability) != PM_OK) {
      std::fprintf(stderr, "apply: %s\n", take_error().c_str());
      return 1;
    }
    if (::write(STDOUT_FILENO, &sequence, sizeof sequence) != sizeof sequence) return 0;
  }
}
