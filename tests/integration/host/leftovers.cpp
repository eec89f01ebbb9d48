#include "leftovers.h"

namespace pm::integration {

namespace {

std::string look(const HostProcess& host, client::Client& client) {
  const auto stats = client.stats();
  if (!stats) return stats.status().to_string();
  std::string left;
  const auto add = [&left](const std::string& what, std::uint64_t count) {
    if (count != 0) left += std::to_string(count) + " " + what + "; ";
  };
  add("payloads in memory", stats->ram.payloads);
  add("payload bytes in memory", stats->ram.bytes);
  add("payloads on disk", stats->disk.payloads);
  add("payload bytes on disk", stats->disk.bytes);
  add("lost payloads", stats->payloads_lost);
  add("leases", stats->leases_active);
  for (const client::TierStats& tier : stats->tiers) {
    add("copies on " + tier.name, tier.copies);
    add("bytes charged on " + tier.name, tier.bytes_charged);
  }
  add("segments", host.segments().size());
  add("files", host.files().size());
  return left;
}

}  // namespace

std::string leftovers(const HostProcess& host, client::Client& client) {
  std::string left;
  eventually([&] { return (left = look(host, client)).empty(); });
  return left;
}

}  // namespace pm::integration
