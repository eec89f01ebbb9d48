#pragma once

#include <string>
#include <vector>

#include "expectation.h"
#include "replay.h"

namespace pm::power {

// The host of recordings and of audits; both need the same configuration.
integration::HostOptions host_options();

struct Verdict {
  std::vector<std::string> findings;  // Broken promises, in words.
  std::string log;                    // Of the host, when there are any.
  std::uint64_t read = 0;             // Payloads whose bytes were compared.
  std::uint64_t lost = 0;             // Shown as lost.
  std::uint64_t required = 0;         // That had to be there, whole.
};

// Starts a real host on `tree`, as after a power cut at `cut` (nothing in /dev/shm, another boot
// id), and holds what it shows against what the clients were told. At last a put must work.
Verdict audit(const Tree& tree, const std::vector<ClientLog>& logs, const Cut& cut);

}  // namespace pm::power
