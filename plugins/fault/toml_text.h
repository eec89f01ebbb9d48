#pragma once

#include <boost/json.hpp>
#include <pm/cpp/result.hpp>
#include <string>
#include <string_view>

namespace pm::fault {

// The list under `fault` of a schedule file, as the host would hand over the same list in a
// configuration; empty when there is none. At most 64 KiB. Errors (invalid_argument) name `source`
// and the line.
Result<boost::json::value> read_faults(std::string_view text, const std::string& source);

}  // namespace pm::fault
