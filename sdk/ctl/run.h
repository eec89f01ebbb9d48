#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace pm::ctl {

// What payloadctl does with `arguments` (without the program's name). Results go to `out`, errors
// to `err`; put and get with '-' use the process's own standard input and output. Returns the
// exit status. Does not throw.
int run(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) noexcept;

}  // namespace pm::ctl
