#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace pm::ctl {

// A cell that no script can take for two: white space and control characters become \ooo (octal),
// an empty text becomes "-".
std::string cell(std::string_view text);

// One header line and one line a row, columns two spaces apart, numbers and texts to the left.
// Rows are held back to learn the widths, at most 500 of them; widths only grow.
class Table {
 public:
  Table(std::ostream& out, std::vector<std::string> header);
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  ~Table() = default;

  // As many cells as the header has; they are passed through cell().
  void add(const std::vector<std::string>& row);
  // Writes the header, once, and what is held back.
  void flush();

 private:
  std::ostream& out_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> widths_;
};

}  // namespace pm::ctl
