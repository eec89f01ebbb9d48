#pragma once

#include <string>

#include "host_process.h"

namespace pm::integration {

// What a host still counts or keeps on its tiers, in words; empty as soon as that is nothing. Waits
// for it for at most ten seconds.
std::string leftovers(const HostProcess& host, client::Client& client);

}  // namespace pm::integration
