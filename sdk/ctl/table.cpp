#include "table.h"

#include <algorithm>
#include <utility>

namespace pm::ctl {
namespace {
constexpr std::size_t rows_held_max = 500;
}

std::string cell(std::string_view text) {
  if (text.empty()) return "-";
  std::string safe;
  safe.reserve(text.size());
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte > 0x20 && byte != 0x7f) {
      safe += character;
      continue;
    }
    safe += '\\';
    for (const int shift : {6, 3, 0}) safe += static_cast<char>('0' + (byte >> shift & 7));
  }
  return safe;
}

Table::Table(std::ostream& out, std::vector<std::string> header)
    : out_(out), widths_(header.size(), 0) {
  add(header);
}

void Table::add(const std::vector<std::string>& row) {
  std::vector<std::string>& cells = rows_.emplace_back();
  for (std::size_t i = 0; i < widths_.size(); ++i) {
    cells.push_back(cell(i < row.size() ? row[i] : std::string()));
    widths_[i] = std::max(widths_[i], cells[i].size());
  }
  if (rows_.size() >= rows_held_max) flush();
}

void Table::flush() {
  for (const std::vector<std::string>& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out_ << row[i];
      if (i + 1 < row.size()) out_ << std::string(widths_[i] - row[i].size() + 2, ' ');
    }
    out_ << '\n';
  }
  rows_.clear();
}

}  // namespace pm::ctl
