#pragma once

#include <array>
#include <cstdint>
#include <fstream>
#include <functional>
#include <istream>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "pm/cpp/result.hpp"

// Traces of accesses, as public collections of cache traces have them: a CSV of time, id, size, op.

namespace pm::simulate {

enum class Op : std::uint8_t { read, write, remove };

struct Access {
  std::uint64_t time_ms = 0;  // Never less than that of the access before.
  std::uint64_t id = 0;       // Dense: who uses it may keep an array with a place for each.
  std::uint64_t size_bytes = 0;
  Op op = Op::read;

  friend bool operator==(const Access&, const Access&) = default;
};

enum class TimeUnit : std::uint8_t { automatic, s, ms, us, ns };

// Reads one access after the other and keeps only the ids.
//
// Lines    Fields stand between commas; blanks around them, empty lines and lines that begin with #
//          are skipped. A first line whose first field is no number is a header.
// Columns  Without a header: time, id, size and, if there is a fourth, op. With one: wherever it
//          says time (or timestamp), id (key, obj_id, object), size (bytes, obj_size), op
//          (operation); other columns are skipped.
// time     A number, with or without a fraction. Its unit is what the caller says, else the end of
//          the header's name (time_ms: _s, _ms, _us, _ns), else what the first access suggests:
//          seconds, unless it is a whole number too large for that in this millennium, so from
//          10^11 milliseconds, from 10^14 microseconds, from 10^17 nanoseconds. A time before that
//          of the line before counts as the same: traces of many machines are a little out of
//          order. The first access is at 0.
// id       Any text. Each new one gets the next number, from 0, so no two are ever mixed up.
// size     Bytes, a whole number; of a removal, it may be empty. 0 counts as 1: some traces say so
//          of what was not found.
// op       What it is called in memcached's and block traces, in any case; without it, a read.
class TraceReader {
 public:
  // `name` stands in errors. The stream must outlive the reader.
  TraceReader(std::istream& stream, std::string name, TimeUnit unit = TimeUnit::automatic);
  static Result<std::unique_ptr<TraceReader>> open(const std::string& path,
                                                   TimeUnit unit = TimeUnit::automatic);

  // False: there are no more. An error says file:line, what was found and what is expected.
  Result<bool> next(Access& access);

  std::uint64_t ids() const { return numbers_.size(); }

 private:
  enum Column : std::uint8_t { time, id, size, op };
  static constexpr std::size_t columns = 4;
  static constexpr std::size_t no_field = SIZE_MAX;

  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };

  bool read_line();
  void split();
  bool is_header() const;
  Status read_header();
  Status assume_columns();
  Status parse(Access& access);
  Status parse_time(std::string_view text, std::uint64_t& time_ms);
  std::string_view field(Column column) const;
  Status wrong(std::string_view found, std::string_view expected) const;

  std::ifstream file_;  // When it was opened here.
  std::istream* stream_;
  std::string name_;
  TimeUnit unit_;
  std::uint64_t line_number_ = 0;
  std::string line_;
  std::vector<std::string_view> fields_;  // Of the line.
  std::array<std::size_t, columns> places_{no_field, no_field, no_field, no_field};
  std::size_t fields_min_ = 0;
  bool knows_columns_ = false;
  bool has_first_ = false;
  std::uint64_t first_ns_ = 0;
  std::uint64_t last_ms_ = 0;
  std::unordered_map<std::string, std::uint64_t, TextHash, std::equal_to<>> numbers_;
};

// All of it at once.
Result<std::vector<Access>> read_trace(const std::string& path,
                                       TimeUnit unit = TimeUnit::automatic);

}  // namespace pm::simulate
