// Does what clients of the other system do, and checks that ours answers as they expect. Where ours
// corrects the other on purpose, the step says "(corrected)".
//
//   compat_client [ADDRESS]     default: $PM_ADDRESS
//
// Prints each step; exits with 1 at the first difference. Needs a host of its own with the tiers
// RAM, DISK and VOID, at least 8 MiB of room on each, and nobody else using it (counts are exact).

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "steps.h"

namespace compat {
namespace {

using grpc::StatusCode;

wire::PayloadID id_of(const std::string& bytes) {
  wire::PayloadID id;
  id.set_value(bytes);
  return id;
}

wire::SpillRequest spill_request(const std::vector<wire::PayloadID>& ids, wire::Tier tier) {
  wire::SpillRequest request;
  for (const wire::PayloadID& id : ids) *request.add_ids() = id;
  request.set_policy(wire::WAIT_POLICY_BLOCKING);
  request.set_fsync(true);
  request.set_target_tier(tier);
  return request;
}

void delete_and_expect_gone(Server& server, const wire::PayloadID& id) {
  require_code(server.try_delete(id, false), StatusCode::OK, "Delete");
  require_code(server.try_resolve(id), StatusCode::NOT_FOUND, "ResolveSnapshot of a deleted one");
}

void life_in_ram(Server& server) {
  step("RAM: allocate gives a segment of this payload alone");
  const std::string bytes = pattern(1'000'003, 1);
  const wire::PayloadDescriptor allocated = server.allocate(bytes.size(), wire::TIER_RAM);
  const wire::PayloadID id = allocated.payload_id();
  require(id.value().size() == 16, "the id has 16 bytes");
  require(allocated.tier() == wire::TIER_RAM, "tier is RAM");
  require(allocated.state() == wire::PAYLOAD_STATE_ALLOCATED, "state is ALLOCATED");
  require(allocated.version() >= 1, "version counts from 1");
  require(allocated.has_ram(), "the location is RAM");
  require(allocated.has_created_at(), "created_at is set");
  require(allocated.ram().length_bytes() == bytes.size(), "length_bytes is the size");
  require(allocated.ram().slab_id() == 0 && allocated.ram().block_index() == 0,
          "slab_id and block_index are 0");
  const std::string name = allocated.ram().shm_name();
  require(!name.empty() && name[0] == '/' && name.find('/', 1) == std::string::npos,
          "shm_name '" + name + "' is one for shm_open");

  step("RAM: write through shm_open read-write and mmap");
  write_segment(allocated.ram(), bytes);

  step("RAM: what is not committed cannot be leased, promoted or spilled (corrected)");
  wire::AcquireReadLeaseRequest early;
  *early.mutable_id() = id;
  require_code(server.try_lease(early), StatusCode::FAILED_PRECONDITION, "AcquireReadLease");
  require_code(server.try_promote(id, wire::TIER_RAM), StatusCode::FAILED_PRECONDITION, "Promote");
  const auto refused = server.spill(spill_request({id}, wire::TIER_DISK));
  require(!refused.results(0).ok(), "Spill of an uncommitted payload is not ok");
  require(server.resolve(id).state() == wire::PAYLOAD_STATE_ALLOCATED, "it is still ALLOCATED");

  step("RAM: commit once");
  const wire::PayloadDescriptor committed = server.commit(id);
  require(committed.state() == wire::PAYLOAD_STATE_ACTIVE, "state is ACTIVE");
  require(committed.version() > allocated.version(), "version grew");
  require(committed.ram().shm_name() == name, "it is where it was written");
  require_code(server.try_commit(id), StatusCode::FAILED_PRECONDITION, "CommitPayload twice");

  step("RAM: lease, shm_open read-only, compare, release twice");
  const wire::AcquireReadLeaseResponse lease = server.lease(id, wire::TIER_RAM);
  require(!lease.lease_id().value().empty(), "the lease has an id");
  require(lease.has_lease_expires_at(), "the lease says when it expires");
  require(read_segment(lease.payload_descriptor().ram()) == bytes, "the bytes are those written");
  server.release(lease.lease_id());
  server.release(lease.lease_id());

  step("RAM: delete takes the segment away");
  delete_and_expect_gone(server, id);
  require_soon([&] { return !segment_exists(name); }, "the segment is gone");
  require_code(server.try_delete(id, false), StatusCode::NOT_FOUND, "Delete twice");
}

void life_on_disk(Server& server) {
  step("DISK: allocate gives an absolute path (corrected)");
  const std::string bytes = pattern(300'001, 2);
  const wire::PayloadDescriptor allocated = server.allocate(bytes.size(), wire::TIER_DISK);
  require(allocated.has_disk(), "the location is DISK");
  require(allocated.disk().length_bytes() == bytes.size(), "length_bytes is the size");

  step("DISK: write with O_WRONLY from another working directory, commit");
  write_file(allocated.disk(), bytes);
  const wire::PayloadDescriptor committed = server.commit(allocated.payload_id());
  require(committed.state() == wire::PAYLOAD_STATE_DURABLE, "state is DURABLE");

  step("DISK: lease and read back from the path of the lease");
  const wire::AcquireReadLeaseResponse lease = server.lease(allocated.payload_id());
  require(read_file(lease.payload_descriptor().disk()) == bytes, "the bytes are those written");
  server.release(lease.lease_id());

  step("DISK: delete takes the file away");
  const std::string path = lease.payload_descriptor().disk().path();
  delete_and_expect_gone(server, allocated.payload_id());
  require_soon([&] { return !file_exists(path); }, "the file is gone");
}

void moves(Server& server) {
  step("spill RAM to DISK: a result for each id, also for an unknown one");
  const std::string bytes = pattern(200'003, 3);
  const std::string more = pattern(4096, 4);
  const wire::PayloadDescriptor first = server.put(bytes, wire::TIER_RAM);
  const wire::PayloadDescriptor second = server.put(more, wire::TIER_RAM);
  const wire::PayloadID unknown = id_of(std::string(16, '\x11'));
  const auto spilled = server.spill(
      spill_request({first.payload_id(), unknown, second.payload_id()}, wire::TIER_DISK));
  require(spilled.results(0).ok() && spilled.results(2).ok(), "both payloads are spilled");
  require(!spilled.results(1).ok() && !spilled.results(1).error_message().empty(),
          "the unknown id has a message");
  require(spilled.results(1).id().value() == unknown.value(), "results name their id");
  const wire::PayloadDescriptor& on_disk = spilled.results(0).payload_descriptor();
  require(on_disk.tier() == wire::TIER_DISK && on_disk.has_disk(), "the first is on DISK");
  require(on_disk.state() == wire::PAYLOAD_STATE_DURABLE, "and DURABLE");
  require(on_disk.version() > first.version(), "version grew");
  require_soon([&] { return !segment_exists(first.ram().shm_name()); }, "its segment is gone");
  const auto disk_lease = server.lease(first.payload_id());
  require(read_file(disk_lease.payload_descriptor().disk()) == bytes, "its bytes are the same");
  server.release(disk_lease.lease_id());

  step("lease with min_tier RAM: best effort is refused, blocking promotes");
  wire::AcquireReadLeaseRequest best_effort;
  *best_effort.mutable_id() = second.payload_id();
  best_effort.set_min_tier(wire::TIER_RAM);
  best_effort.set_promotion_policy(wire::WAIT_POLICY_BEST_EFFORT);
  require_code(server.try_lease(best_effort), StatusCode::FAILED_PRECONDITION, "AcquireReadLease");
  const auto promoted_lease = server.lease(second.payload_id(), wire::TIER_RAM);
  require(read_segment(promoted_lease.payload_descriptor().ram()) == more,
          "the bytes are the same");
  server.release(promoted_lease.lease_id());

  step("promote back to RAM");
  const wire::PayloadDescriptor promoted = server.promote(first.payload_id(), wire::TIER_RAM);
  require(promoted.tier() == wire::TIER_RAM && promoted.has_ram(), "it is on RAM");
  require(promoted.version() > on_disk.version(), "version grew");
  const auto ram_lease = server.lease(first.payload_id(), wire::TIER_RAM);
  require(read_segment(ram_lease.payload_descriptor().ram()) == bytes, "the bytes are the same");

  step("spill while leased is refused");
  const auto held = server.spill(spill_request({first.payload_id()}, wire::TIER_DISK));
  require(!held.results(0).ok(), "Spill of a leased payload is not ok");
  server.release(ram_lease.lease_id());

  step("spill best effort is accepted at once");
  wire::SpillRequest request = spill_request({first.payload_id()}, wire::TIER_DISK);
  request.set_policy(wire::WAIT_POLICY_BEST_EFFORT);
  require(server.spill(request).results(0).ok(), "it is ok");
  require_soon([&] { return server.resolve(first.payload_id()).tier() == wire::TIER_DISK; },
               "it arrives on DISK");

  step("spill to VOID: ok, and gone (corrected)");
  const auto voided =
      server.spill(spill_request({first.payload_id(), second.payload_id()}, wire::TIER_VOID));
  require(voided.results(0).ok() && voided.results(1).ok(), "it is ok");
  require_code(server.try_resolve(first.payload_id()), StatusCode::NOT_FOUND, "ResolveSnapshot");
  require_code(server.try_resolve(second.payload_id()), StatusCode::NOT_FOUND, "ResolveSnapshot");
}

void lists_and_stats(Server& server) {
  step("stats count payloads and bytes by tier");
  const wire::StatsResponse before = server.stats();
  std::vector<std::string> made;
  for (unsigned i = 0; i < 5; ++i) {
    made.push_back(server.put(pattern(1000, i), wire::TIER_RAM).payload_id().value());
  }
  const auto on_disk = server.put(pattern(2000, 9), wire::TIER_DISK);
  const wire::StatsResponse after = server.stats();
  require(after.payloads_ram() == before.payloads_ram() + 5, "payloads_ram");
  require(after.bytes_ram() == before.bytes_ram() + 5000, "bytes_ram");
  require(after.payloads_disk() == before.payloads_disk() + 1, "payloads_disk");
  require(after.bytes_disk() == before.bytes_disk() + 2000, "bytes_disk");

  step("list in pages, newest first, by tier");
  std::vector<std::string> seen;
  std::uint64_t last_created_ms = UINT64_MAX;
  wire::ListPayloadsRequest request;
  request.set_tier_filter(wire::TIER_RAM);
  request.set_page_size(2);
  for (;;) {
    const wire::ListPayloadsResponse page = server.list(request);
    require(page.payloads_size() <= 2, "a page has at most page_size rows");
    for (const wire::PayloadSummary& row : page.payloads()) {
      require(row.tier() == wire::TIER_RAM, "the tier filter holds");
      require(row.size_bytes() == 1000 && row.created_at_ms() > 0, "size and time are there");
      require(row.created_at_ms() <= last_created_ms, "newest first");
      last_created_ms = row.created_at_ms();
      seen.push_back(row.id().value());
    }
    if (page.next_page_token().empty()) break;
    request.set_page_token(page.next_page_token());
  }
  std::sort(seen.begin(), seen.end());
  std::sort(made.begin(), made.end());
  require(seen == made, "every payload once");

  step("list shows leases");
  const auto lease = server.lease(on_disk.payload_id());
  wire::ListPayloadsRequest disk_only;
  disk_only.set_tier_filter(wire::TIER_DISK);
  const wire::ListPayloadsResponse leased = server.list(disk_only);
  require(leased.payloads_size() == 1 && leased.payloads(0).active_leases() == 1,
          "active_leases is 1");
  server.release(lease.lease_id());

  for (const std::string& id : made) delete_and_expect_gone(server, id_of(id));
  delete_and_expect_gone(server, on_disk.payload_id());
}

void deletes(Server& server) {
  step("delete with a lease: refused, unless forced");
  const wire::PayloadID id = server.put(pattern(5000, 7), wire::TIER_RAM).payload_id();
  const auto lease = server.lease(id);
  require_code(server.try_delete(id, false), StatusCode::ABORTED, "Delete of a leased payload");
  require_code(server.try_delete(id, true), StatusCode::OK, "Delete by force");
  require_code(server.try_resolve(id), StatusCode::NOT_FOUND, "ResolveSnapshot");
  server.release(lease.lease_id());
}

void refusals(Server& server) {
  step("allocate refuses size 0, more than 128 GiB, no tier, and VOID (corrected)");
  require_code(server.try_allocate(0, wire::TIER_RAM), StatusCode::INVALID_ARGUMENT, "size 0");
  require_code(server.try_allocate((std::uint64_t{128} << 30) + 1, wire::TIER_RAM),
               StatusCode::INVALID_ARGUMENT, "128 GiB and 1");
  require_code(server.try_allocate(1, wire::TIER_UNSPECIFIED), StatusCode::FAILED_PRECONDITION,
               "no tier");
  require_code(server.try_allocate(1, wire::TIER_VOID), StatusCode::INVALID_ARGUMENT, "VOID");

  step("an unknown id is NOT_FOUND");
  const wire::PayloadID unknown = id_of(std::string(16, '\x22'));
  wire::AcquireReadLeaseRequest lease;
  *lease.mutable_id() = unknown;
  require_code(server.try_commit(unknown), StatusCode::NOT_FOUND, "CommitPayload");
  require_code(server.try_resolve(unknown), StatusCode::NOT_FOUND, "ResolveSnapshot");
  require_code(server.try_lease(lease), StatusCode::NOT_FOUND, "AcquireReadLease");
  require_code(server.try_promote(unknown, wire::TIER_RAM), StatusCode::NOT_FOUND, "Promote");
  require_code(server.try_delete(unknown, true), StatusCode::NOT_FOUND, "Delete");

  step("a malformed id is INVALID_ARGUMENT (corrected)");
  for (const std::string& value : {std::string(), std::string("abc"), std::string(17, 'x')}) {
    const wire::PayloadID malformed = id_of(value);
    *lease.mutable_id() = malformed;
    require_code(server.try_commit(malformed), StatusCode::INVALID_ARGUMENT, "CommitPayload");
    require_code(server.try_resolve(malformed), StatusCode::INVALID_ARGUMENT, "ResolveSnapshot");
    require_code(server.try_lease(lease), StatusCode::INVALID_ARGUMENT, "AcquireReadLease");
    require_code(server.try_delete(malformed, false), StatusCode::INVALID_ARGUMENT, "Delete");
  }

  step("releasing an unknown lease is OK");
  wire::LeaseID unknown_lease;
  unknown_lease.set_value(std::string(16, '\x33'));
  server.release(unknown_lease);
}

int run(const std::string& address) {
  // A relative path in a descriptor would end up here, as a stray file.
  std::string folder = (std::filesystem::temp_directory_path() / "pm-compat-XXXXXX").string();
  require(::mkdtemp(folder.data()) != nullptr && ::chdir(folder.c_str()) == 0,
          "cannot work in a folder of its own");
  Server server(address);
  life_in_ram(server);
  life_on_disk(server);
  moves(server);
  lists_and_stats(server);
  deletes(server);
  refusals(server);

  step("nothing was written into the client's working directory");
  require(std::filesystem::is_empty(folder), "a stray file is in " + folder);
  std::filesystem::remove(folder);
  std::printf("compatible\n");
  return 0;
}

}  // namespace
}  // namespace compat

int main(int argc, char** argv) {
  const char* named = std::getenv("PM_ADDRESS");
  const std::string address = argc > 1 ? argv[1] : named != nullptr ? named : "";
  if (address.empty() || argc > 2) {
    std::fputs("usage: compat_client ADDRESS   (or set PM_ADDRESS)\n", stderr);
    return 2;
  }
  return compat::run(address);
}
