#pragma once

namespace pm::frontend {

// A write that did not fit into a socket makes gRPC poll from a thread of its own for up to ten
// seconds more (backup_poller in gRPC's tcp_posix.cc), and the last grpc_shutdown() of a process
// waits for that thread. This gives it an event, upon which it ends. To be called when the
// server's connections are closed.
void wake_backup_poller();

}  // namespace pm::frontend
