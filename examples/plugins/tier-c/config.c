#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Reads a JSON string that begins at `*at` (on its quote) and moves `*at` behind it. `out` may be
// NULL to skip it.
static bool read_string(const char** at, char* out, size_t capacity) {
  const char* c = *at + 1;
  size_t length = 0;
  for (; *c != '"'; ++c) {
    char value = *c;
    if (value == '\0') return false;
    if (value == '\\') {
      ++c;
      if (*c == '\0') return false;
      const char* known = strchr("\"\"\\\\//b\bf\fn\nr\rt\t", *c);
      if (*c == 'u') {  // Boost.JSON writes only control characters so, as \u00XX.
        char digits[5] = {0};
        for (int i = 0; i < 4; ++i) {
          if (*++c == '\0') return false;
          digits[i] = *c;
        }
        const unsigned long code = strtoul(digits, NULL, 16);
        if (code == 0 || code > 0x7F) return false;
        value = (char)code;
      } else if (known != NULL) {
        value = known[1];
      } else {
        return false;
      }
    }
    if (out == NULL) continue;
    if (length + 1 >= capacity) return false;
    out[length++] = value;
  }
  if (out != NULL) out[length] = '\0';
  *at = c + 1;
  return true;
}

// The first character of the value of `key`, or NULL.
static const char* find_value(const char* json, const char* key) {
  const char* at = json;
  while (*at != '\0') {
    if (*at != '"') {
      ++at;
      continue;
    }
    char name[64];
    const char* name_start = at;
    if (!read_string(&at, name, sizeof name)) {
      at = name_start;
      if (!read_string(&at, NULL, 0)) return NULL;
      name[0] = '\0';
    }
    if (*at != ':') continue;  // It was a value.
    ++at;
    if (strcmp(name, key) == 0) return at;
  }
  return NULL;
}

bool config_text(const char* json, const char* key, char* out, size_t capacity) {
  const char* value = find_value(json, key);
  return value != NULL && *value == '"' && read_string(&value, out, capacity);
}

bool config_number(const char* json, const char* key, uint64_t* out) {
  const char* value = find_value(json, key);
  if (value == NULL || *value < '0' || *value > '9') return false;
  errno = 0;
  *out = strtoull(value, NULL, 10);
  return errno == 0;
}
