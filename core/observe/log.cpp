#include "core/observe/log.h"

#include <spdlog/details/log_msg.h>
#include <spdlog/details/os.h>
#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <pm/cpp/utf8.hpp>

namespace pm::log {
namespace {

constexpr const char* kReplacement = "\xEF\xBF\xBD";  // U+FFFD

void append_control(std::string& out, char character) {
  char escaped[8];
  std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned char>(character));
  out += escaped;
}

// Copies `text`, with control characters escaped, and quotes and backslashes too if asked.
std::string escape(std::string_view text, bool quotes) {
  std::string out;
  out.reserve(text.size() + 8);
  while (!text.empty()) {
    const std::size_t length = sdk::utf8_length(text);
    const char first = text.front();
    if (length == 0) {
      out += kReplacement;
    } else if (first == '\n') {
      out += "\\n";
    } else if (first == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(first) < 0x20 || first == 0x7F) {
      append_control(out, first);
    } else {
      if (quotes && (first == '"' || first == '\\')) out += '\\';
      out.append(text.substr(0, length));
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

// "2026-03-01T12:00:00.123Z"
std::string time_text(spdlog::log_clock::time_point time) {
  using std::chrono::duration_cast;
  const std::time_t seconds = spdlog::log_clock::to_time_t(time);
  const auto milliseconds =
      duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count() % 1000;
  const std::tm parts = spdlog::details::os::gmtime(seconds);
  char date[32];
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
  char fraction[32];
  std::snprintf(fraction, sizeof fraction, ".%03dZ", static_cast<int>(milliseconds));
  return std::string(date) + fraction;
}

const char* level_name(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::debug: return "debug";
    case spdlog::level::warn: return "warn";
    case spdlog::level::err: return "error";
    default: return "info";
  }
}

class LineFormatter final : public spdlog::formatter {
 public:
  explicit LineFormatter(Format format) : format_(format) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const std::string_view component(message.logger_name.data(), message.logger_name.size());
    const std::string_view payload(message.payload.data(), message.payload.size());
    std::string line;
    if (format_ == Format::json) {
      line = "{\"time\":\"" + time_text(message.time) + "\",\"level\":\"" +
             level_name(message.level) + "\",\"component\":\"" + escape_json(component) +
             "\",\"message\":\"" + escape_json(payload) + "\"}\n";
    } else {
      std::string level = level_name(message.level);
      level.resize(5, ' ');
      line = time_text(message.time) + ' ' + level + ' ' + escape(component, false) + ": " +
             escape(payload, false) + '\n';
    }
    out.append(line.data(), line.data() + line.size());
  }

  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<LineFormatter>(format_);
  }

 private:
  Format format_;
};

std::atomic<Level> level_{Level::info};

// Lives as long as the process, so that threads may log while static objects are destroyed.
spdlog::sinks::stderr_sink_mt& sink() {
  static auto* const instance = [] {
    auto* made = new spdlog::sinks::stderr_sink_mt;
    made->set_formatter(std::make_unique<LineFormatter>(Format::text));
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warn: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void configure(Level level, Format format) noexcept {
  try {
    sink().set_formatter(std::make_unique<LineFormatter>(format));
  } catch (...) {
    // Without memory for a formatter the log goes on in the format that it has.
  }
  set_level(level);
}

void set_level(Level level) noexcept { level_.store(level, std::memory_order_relaxed); }

bool enabled(Level level) noexcept { return level >= level_.load(std::memory_order_relaxed); }

void write(Level level, std::string_view component, std::string_view message) noexcept {
  if (!enabled(level)) return;
  try {
    const spdlog::details::log_msg entry(spdlog::string_view_t(component.data(), component.size()),
                                         to_spdlog(level),
                                         spdlog::string_view_t(message.data(), message.size()));
    sink().log(entry);
  } catch (...) {
    // A log that cannot be written must not stop the host.
  }
}

std::string escape_json(std::string_view text) { return escape(text, true); }

}  // namespace pm::log
