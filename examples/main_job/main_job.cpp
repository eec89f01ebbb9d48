// The main job: bytes go into shared memory, others read them in place, and Payload Manager moves
// them between tiers without anyone copying through a connection. Run a host first, then this with
// PM_ADDRESS set to its address.

#include <pm/client/client.h>

#include <algorithm>
#include <cstdio>
#include <vector>

using namespace pm::client;

namespace {

// Leases the payload, and compares what the lease maps with what was written. While the lease is
// held the bytes stay where they are; it ends when `lease` goes out of scope.
pm::Status read_and_compare(Client& client, const PayloadId& id,
                            const std::vector<std::byte>& expected) {
  auto lease = client.open(id);
  if (!lease) return lease.status();
  const std::span<const std::byte> bytes = lease->bytes();
  if (!std::equal(bytes.begin(), bytes.end(), expected.begin(), expected.end())) {
    return {pm::Code::data_loss, "the bytes differ"};
  }
  std::printf("leased:    %zu bytes on %s are what was written\n", bytes.size(),
              tier_name(lease->descriptor().tier).c_str());
  return {};
}

pm::Status main_job() {
  auto client = Client::connect();  // To $PM_ADDRESS.
  if (!client) return client.status();

  // Allocate: room in shared memory, mapped into this process. Nobody else can see it yet, and it
  // goes away again if we never commit.
  const std::size_t size_bytes = 1 << 20;
  auto payload = client->create(size_bytes, {.tier = Tier::ram});
  if (!payload) return payload.status();
  std::printf("allocated: %zu bytes on %s\n", size_bytes,
              tier_name(payload->descriptor().tier).c_str());

  // Write: straight into the mapping.
  std::vector<std::byte> data(size_bytes);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 7 & 0xff);
  std::copy(data.begin(), data.end(), payload->bytes().begin());

  // Commit: from now on everyone can lease the payload, and its bytes never change.
  PM_TRY(payload->commit().status());
  const PayloadId id = payload->id();
  std::printf("committed\n");
  PM_TRY(read_and_compare(*client, id, data));

  // Spill: to disk, where it survives loss of power. Its id stays the same.
  auto spilled = client->spill(std::vector{id}, {.to = Tier::disk});
  if (!spilled) return spilled.status();
  PM_TRY(spilled->front().status);
  std::printf("spilled\n");
  PM_TRY(read_and_compare(*client, id, data));

  // Promote: a copy in shared memory again. The one on disk stays.
  PM_TRY(client->promote(id, Tier::ram).status());
  std::printf("promoted\n");
  PM_TRY(read_and_compare(*client, id, data));

  PM_TRY(client->erase(id));
  std::printf("deleted\n");
  return {};
}

}  // namespace

int main() {
  const pm::Status status = main_job();
  if (!status) std::fprintf(stderr, "main_job: %s\n", status.to_string().c_str());
  return status ? 0 : 1;
}
