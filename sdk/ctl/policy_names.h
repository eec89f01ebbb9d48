#pragma once

#include <pm/cpp/result.hpp>
#include <string>
#include <vector>

#include "core/policy/script_files.h"

namespace pm::ctl {

// A name without a slash or an ending, "lru", is one of those that ship, beside this program as for
// the host; all else is a file.
Result<policy::SourceFile> find_policy(const std::string& name);
Result<std::vector<policy::SourceFile>> find_policies(const std::vector<std::string>& names);

}  // namespace pm::ctl
