#pragma once

#include <string>

namespace pm {

// Tells the service manager how the host is (sd_notify(3)'s protocol: a datagram of lines to the
// socket that $NOTIFY_SOCKET names). Does nothing when nobody listens. Never blocks or fails.
void notify_service_manager(const std::string& lines);

}  // namespace pm
