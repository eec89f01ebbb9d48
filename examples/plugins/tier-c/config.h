#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Reads the flat JSON object that create() gets. The host has checked it against the schema, so a
// key is there and of its type; these return false when it is not, all the same.

// Copies the text of `key`, NUL-terminated, with escapes of ASCII characters resolved.
bool config_text(const char* json, const char* key, char* out, size_t capacity);

// Reads the number of `key`: a whole one, not negative.
bool config_number(const char* json, const char* key, uint64_t* out);
