#pragma once

#include <cstdlib>
#include <initializer_list>

namespace pm::integration {

// The first of these environment variables that is set.
inline long number_from(std::initializer_list<const char*> names, long otherwise) {
  for (const char* name : names) {
    if (const char* text = std::getenv(name)) return std::atol(text);
  }
  return otherwise;
}

}  // namespace pm::integration
