#include <cstdio>
#include <exception>

#include "pose.h"

// One client, to be killed or stopped from outside.
int main(int count, char** arguments) {
  try {
    pm::clients::play(pm::clients::part_of(count, arguments));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
