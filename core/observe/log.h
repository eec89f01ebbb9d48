#pragma once

#include <string>
#include <string_view>

// The host's structured log: one line for each event on standard error, either text
//
//   2026-03-01T12:00:00.123Z info  shm: adopted 12 slabs
//
// or one JSON object {"time", "level", "component", "message"}. Control characters and bytes that
// are not UTF-8 are escaped, so that no message can forge a line. Every function may be called
// from any thread at any time, also before configure() (text, from info on). None throws. They
// write to standard error under a lock: not to be called while a lock of the engine is held.

namespace pm::log {

enum class Level { debug, info, warn, error };
enum class Format { text, json };

void configure(Level level, Format format) noexcept;
void set_level(Level level) noexcept;
bool enabled(Level level) noexcept;

// `component` is a part of the host ("host", "ledger") or the name of a plugin's instance ("shm").
void write(Level level, std::string_view component, std::string_view message) noexcept;

inline void debug(std::string_view component, std::string_view message) noexcept {
  write(Level::debug, component, message);
}
inline void info(std::string_view component, std::string_view message) noexcept {
  write(Level::info, component, message);
}
inline void warn(std::string_view component, std::string_view message) noexcept {
  write(Level::warn, component, message);
}
inline void error(std::string_view component, std::string_view message) noexcept {
  write(Level::error, component, message);
}

// The content of a JSON string (RFC 8259, section 7) without its quotes. Bytes that are not UTF-8
// become U+FFFD.
std::string escape_json(std::string_view text);

}  // namespace pm::log
