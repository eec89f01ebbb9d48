#include "core/simulate/trace.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>

namespace pm::simulate {

namespace {

constexpr std::string_view time_expected =
    "a time: a number, with or without a fraction, not before 0";
constexpr std::string_view op_expected =
    "an operation: get, gets, read, r; set, put, write, w, add, cas, replace, append, prepend, "
    "incr, decr, update; delete, del, remove, d";

// How much of a line an error shows.
constexpr std::size_t shown_bytes_max = 40;

std::string_view trim(std::string_view text) {
  const auto is_blank = [](char byte) { return byte == ' ' || byte == '\t' || byte == '\r'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// Of ASCII; the locale has no say.
std::string lower(std::string_view text) {
  std::string lowered(text);
  for (char& byte : lowered) {
    if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte - 'A' + 'a');
  }
  return lowered;
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return number;
}

std::optional<Op> op_of(std::string_view text) {
  const std::string name = lower(text);
  for (const char* known : {"get", "gets", "read", "r"}) {
    if (name == known) return Op::read;
  }
  for (const char* known : {"set", "put", "write", "w", "add", "cas", "replace", "append",
                            "prepend", "incr", "decr", "update"}) {
    if (name == known) return Op::write;
  }
  for (const char* known : {"delete", "del", "remove", "d"}) {
    if (name == known) return Op::remove;
  }
  return std::nullopt;
}

std::uint64_t ns_each(TimeUnit unit) {
  switch (unit) {
    case TimeUnit::ms: return 1'000'000;
    case TimeUnit::us: return 1'000;
    case TimeUnit::ns: return 1;
    default: return 1'000'000'000;
  }
}

TimeUnit unit_of_name(std::string_view name) {
  if (name.ends_with("_ms")) return TimeUnit::ms;
  if (name.ends_with("_us")) return TimeUnit::us;
  if (name.ends_with("_ns")) return TimeUnit::ns;
  if (name.ends_with("_s")) return TimeUnit::s;
  return TimeUnit::automatic;
}

TimeUnit unit_of_first(std::uint64_t whole, bool has_fraction) {
  if (has_fraction || whole < 100'000'000'000) return TimeUnit::s;
  if (whole < 100'000'000'000'000) return TimeUnit::ms;
  if (whole < 100'000'000'000'000'000) return TimeUnit::us;
  return TimeUnit::ns;
}

bool is_digits(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char byte) { return byte >= '0' && byte <= '9'; });
}

}  // namespace

TraceReader::TraceReader(std::istream& stream, std::string name, TimeUnit unit)
    : stream_(&stream), name_(std::move(name)), unit_(unit) {}

Result<std::unique_ptr<TraceReader>> TraceReader::open(const std::string& path, TimeUnit unit) {
  static std::istream nothing(nullptr);
  auto reader = std::make_unique<TraceReader>(nothing, path, unit);
  errno = 0;
  reader->file_.open(path);
  if (!reader->file_.is_open()) {
    return Status(Code::not_found,
                  path + ": cannot open the trace: " + std::generic_category().message(errno));
  }
  reader->stream_ = &reader->file_;
  return reader;
}

Result<bool> TraceReader::next(Access& access) {
  while (read_line()) {
    split();
    if (!knows_columns_) {
      knows_columns_ = true;
      if (is_header()) {
        PM_TRY(read_header());
        continue;
      }
      PM_TRY(assume_columns());
    }
    PM_TRY(parse(access));
    return true;
  }
  if (stream_->bad()) {
    return Status(Code::unavailable,
                  name_ + ": cannot read the trace behind line " + std::to_string(line_number_));
  }
  return false;
}

// The next line that says something.
bool TraceReader::read_line() {
  while (std::getline(*stream_, line_)) {
    ++line_number_;
    const std::string_view text = trim(line_);
    if (!text.empty() && text.front() != '#') return true;
  }
  return false;
}

void TraceReader::split() {
  fields_.clear();
  std::string_view rest = line_;
  for (;;) {
    const std::size_t comma = rest.find(',');
    fields_.push_back(trim(rest.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    rest.remove_prefix(comma + 1);
  }
}

bool TraceReader::is_header() const {
  const std::string_view first = fields_.front();
  return !first.empty() && std::string_view("0123456789+-.").find(first.front()) == first.npos;
}

Status TraceReader::read_header() {
  for (std::size_t place = 0; place < fields_.size(); ++place) {
    const std::string whole = lower(fields_[place]);
    std::string_view name = whole;
    const TimeUnit unit = unit_of_name(name);
    if (unit != TimeUnit::automatic) name = name.substr(0, name.rfind('_'));
    std::optional<Column> column;
    if (name == "time" || name == "timestamp") column = time;
    if (name == "id" || name == "key" || name == "obj_id" || name == "object") column = id;
    if (name == "size" || name == "bytes" || name == "obj_size" || name == "size_bytes") {
      column = size;
    }
    if (name == "op" || name == "operation") column = op;
    if (!column || places_[*column] != no_field) continue;
    places_[*column] = place;
    fields_min_ = std::max(fields_min_, place + 1);
    if (*column == time && unit_ == TimeUnit::automatic) unit_ = unit;
  }
  for (const Column needed : {time, id, size}) {
    if (places_[needed] == no_field) {
      return wrong(line_, "a header with the columns time, id, size (and op), or an access");
    }
  }
  return {};
}

Status TraceReader::assume_columns() {
  if (fields_.size() != columns && fields_.size() != columns - 1) {
    return wrong(line_, "time,id,size,op or time,id,size; or else a header that names the columns");
  }
  for (std::size_t place = 0; place < fields_.size(); ++place) places_[place] = place;
  fields_min_ = fields_.size();
  return {};
}

std::string_view TraceReader::field(Column column) const {
  return places_[column] == no_field ? std::string_view() : fields_[places_[column]];
}

Status TraceReader::parse(Access& access) {
  if (fields_.size() < fields_min_) {
    return wrong(line_, "at least " + std::to_string(fields_min_) + " fields between commas");
  }
  access.op = Op::read;
  if (places_[op] != no_field) {
    const std::optional<Op> found = op_of(field(op));
    if (!found) return wrong(field(op), op_expected);
    access.op = *found;
  }
  if (field(id).empty()) return wrong(line_, "an id that is not empty");
  const std::string_view size_text = field(size);
  std::optional<std::uint64_t> bytes = whole_number(size_text);
  if (size_text.empty() && access.op == Op::remove) bytes = 0;
  if (!bytes) return wrong(size_text, "a size: bytes, a whole number from 0 to 2^64 - 1");
  access.size_bytes = std::max<std::uint64_t>(*bytes, 1);
  PM_TRY(parse_time(field(time), access.time_ms));
  auto known = numbers_.find(field(id));
  if (known == numbers_.end()) {
    known = numbers_.emplace(std::string(field(id)), numbers_.size()).first;
  }
  access.id = known->second;
  return {};
}

Status TraceReader::parse_time(std::string_view text, std::uint64_t& time_ms) {
  const std::size_t point = text.find('.');
  const std::optional<std::uint64_t> whole = whole_number(text.substr(0, point));
  const bool has_fraction = point != std::string_view::npos;
  const std::string_view fraction = has_fraction ? text.substr(point + 1) : std::string_view();
  if (!whole || !is_digits(fraction)) return wrong(text, time_expected);
  if (unit_ == TimeUnit::automatic) unit_ = unit_of_first(*whole, has_fraction);
  std::uint64_t each = ns_each(unit_);
  if (*whole > UINT64_MAX / each - 1) return wrong(text, "a time before the year 2554");
  std::uint64_t at_ns = *whole * each;
  for (const char digit : fraction) {
    each /= 10;
    at_ns += each * static_cast<std::uint64_t>(digit - '0');
  }
  if (!has_first_) {
    has_first_ = true;
    first_ns_ = at_ns;
  }
  const std::uint64_t since_ns = at_ns > first_ns_ ? at_ns - first_ns_ : 0;
  last_ms_ = std::max(last_ms_, since_ns / 1'000'000);
  time_ms = last_ms_;
  return {};
}

Status TraceReader::wrong(std::string_view found, std::string_view expected) const {
  std::string shown(found.substr(0, shown_bytes_max));
  if (found.size() > shown_bytes_max) shown += "...";
  return {Code::invalid_argument, name_ + ":" + std::to_string(line_number_) + ": found \"" +
                                      shown + "\", expected " + std::string(expected)};
}

Result<std::vector<Access>> read_trace(const std::string& path, TimeUnit unit) {
  auto reader = TraceReader::open(path, unit);
  if (!reader.ok()) return reader.status();
  std::vector<Access> trace;
  for (Access access;;) {
    const Result<bool> more = (*reader)->next(access);
    if (!more.ok()) return more.status();
    if (!*more) return trace;
    trace.push_back(access);
  }
}

}  // namespace pm::simulate
