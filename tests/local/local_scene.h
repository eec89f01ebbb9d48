#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "host_process.h"
#include "pm/client/client.h"

// A host with a local socket and a slab, and clients of it in processes of their own.

namespace pm::local::test {

integration::HostOptions local_options(std::uint64_t slab_bytes = 64 << 20);

// A client of the local socket; throws when there is none.
client::Client connect(const integration::HostProcess& host, bool direct = true);

// Bytes that tell which payload they are of, wherever one looks.
void fill(std::span<std::byte> bytes, std::uint64_t number);
bool has(std::span<const std::byte> bytes, std::uint64_t number);

// Puts a payload of so many bytes into the slab.
client::PayloadId put(client::Client& client, std::uint64_t number, std::uint64_t size_bytes);

// Runs `body` in a child of this process, which ends with what it returns; 99 when it throws.
pid_t in_child(const std::function<int()>& body);
// How it ended: its exit status, or minus the signal.
int wait_for(pid_t child);

// Waits until `holds()`; how long that took, or the limit when it did not come.
std::chrono::nanoseconds until(const std::function<bool()>& holds,
                               std::chrono::milliseconds limit = std::chrono::seconds(10));

long number_from(const char* variable, const char* fallback, long otherwise);

}  // namespace pm::local::test
