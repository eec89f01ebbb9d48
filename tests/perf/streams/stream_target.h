#pragma once

#include <string>

#include "fanout_load.h"

namespace pm::perf {

// A host's stream "s", created here, and a payload to append to it. Throws std::runtime_error.
FanoutTarget make_stream(const std::string& address, const std::string& name);

}  // namespace pm::perf
