// A directory that contradicts itself: by a call, and never a crash.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "fake_host.h"
#include "pm/client/client.h"

namespace pm::client {
namespace {

using local::FrameHeader;
using local::FrameKind;
using test::FakeDirectory;
using test::FakeHost;
using test::id_of;

constexpr std::uint64_t size = 4096;

struct Lie {
  const char* name;
  void (*tell)(FakeDirectory&);
};

// Payload 0 is asked for.
class Hostile : public testing::TestWithParam<Lie> {
 protected:
  Hostile() {
    for (std::uint32_t n = 0; n < 4; ++n) {
      directory_.put(n, id_of(n), n * size, size);
      host_.add(id_of(n), std::string(size, 'c'));
    }
    host_.show(&directory_);
  }
  void expect_a_call() {
    Client connected = *Client::connect(host_.address());
    ASSERT_TRUE(connected.call("/test.Service/Echo", "").ok());
    for (int i = 0; i < 2; ++i) {
      const auto lease = connected.open(id_of(0));
      ASSERT_TRUE(lease.ok()) << lease.status().to_string();
      EXPECT_FALSE(lease->is_direct());
      EXPECT_EQ(lease->bytes()[size - 1], static_cast<std::byte>('c'));
      EXPECT_FALSE(directory_.is_held(0));
    }
  }
  FakeDirectory directory_{64, 1, 64 * size};
  FakeHost host_;
};

class HostileHeader : public Hostile {};
const Lie headers[] = {
    {"another_magic", [](FakeDirectory& d) { d.header().magic = 1; }},
    {"another_version", [](FakeDirectory& d) { d.header().version = 2; }},
    {"no_buckets", [](FakeDirectory& d) { d.header().buckets = 0; }},
    {"buckets_that_are_no_power_of_two", [](FakeDirectory& d) { d.header().buckets = 3; }},
    {"more_buckets_than_there_is_room_for",
     [](FakeDirectory& d) { d.header().buckets = 1U << 31; }},
    {"no_entries", [](FakeDirectory& d) { d.header().entries = 0; }},
    {"more_entries_than_there_is_room_for", [](FakeDirectory& d) { d.header().entries = 65; }},
    {"all_the_entries_there_can_be", [](FakeDirectory& d) { d.header().entries = UINT32_MAX; }},
    {"more_bytes_than_the_object", [](FakeDirectory& d) { d.header().bytes += 1; }},
    {"fewer_bytes_than_its_tables", [](FakeDirectory& d) { d.header().bytes = 600; }},
    {"buckets_out_of_line", [](FakeDirectory& d) { d.header().buckets_offset += 1; }},
    {"buckets_in_the_header", [](FakeDirectory& d) { d.header().buckets_offset = 64; }},
    {"buckets_past_the_end", [](FakeDirectory& d) { d.header().buckets_offset = 1ULL << 62; }},
    {"entries_out_of_line", [](FakeDirectory& d) { d.header().entries_offset += 4; }},
    {"entries_past_the_end", [](FakeDirectory& d) { d.header().entries_offset = ~0ULL << 6; }},
};
INSTANTIATE_TEST_SUITE_P(headers, HostileHeader, testing::ValuesIn(headers),
                         [](const auto& lie) { return lie.param.name; });
TEST_P(HostileHeader, leaves_calls) {
  GetParam().tell(directory_);
  expect_a_call();
}

class HostileEntry : public Hostile {};
const Lie entries[] = {
    {"a_bucket_past_the_end", [](FakeDirectory& d) { d.bucket(0) = 65; }},
    {"a_bucket_far_past_the_end", [](FakeDirectory& d) { d.bucket(0) = UINT32_MAX; }},
    {"a_next_past_the_end", [](FakeDirectory& d) { d.entry(3).next = 1'000'000; }},
    {"a_chain_that_goes_round", [](FakeDirectory& d) { d.entry(1).next = 4; }},
    {"an_entry_that_is_its_own_next", [](FakeDirectory& d) { d.entry(3).next = 4; }},
    {"a_slab_past_the_end", [](FakeDirectory& d) { d.entry(0).slab = local::slabs_max; }},
    {"a_slab_that_is_not_there", [](FakeDirectory& d) { d.entry(0).slab = 5; }},
    {"an_offset_past_the_slab", [](FakeDirectory& d) { d.entry(0).offset = 64 * size + 1; }},
    {"an_end_past_the_slab", [](FakeDirectory& d) { d.entry(0).offset = 63 * size + 1; }},
    {"a_sum_past_all_numbers",
     [](FakeDirectory& d) {
       d.entry(0).offset = UINT64_MAX - 1;
       d.entry(0).length = size;
     }},
    {"a_length_past_the_slab", [](FakeDirectory& d) { d.entry(0).length = UINT64_MAX; }},
    {"no_length", [](FakeDirectory& d) { d.entry(0).length = 0; }},
    {"a_slab_of_no_bytes", [](FakeDirectory& d) { d.header().slabs[0].mapping_bytes = 0; }},
    {"a_slab_longer_than_it_is", [](FakeDirectory& d) { d.header().slabs[0].mapping_bytes *= 2; }},
    {"a_slab_whose_name_has_no_end",
     [](FakeDirectory& d) {
       std::memset(d.header().slabs[0].name, 'x', sizeof d.header().slabs[0].name);
     }},
};
INSTANTIATE_TEST_SUITE_P(entries, HostileEntry, testing::ValuesIn(entries),
                         [](const auto& lie) { return lie.param.name; });
TEST_P(HostileEntry, leaves_calls) {
  GetParam().tell(directory_);
  expect_a_call();
}

// What an `attached` frame may bring.
class HostileAttach : public Hostile {
 protected:
  void attach_with(int first, int second) {
    host_.set_script({.other = [=](test::Peer& peer, const FrameHeader& header, auto&) {
      if (header.kind != FrameKind::attach) return false;
      FrameHeader attached{};
      attached.kind = FrameKind::attached;
      attached.call = header.call;
      peer.send(attached, {}, {first, second});
      return true;
    }});
    expect_a_call();
  }
};
TEST_F(HostileAttach, a_page_that_is_too_short_leaves_calls) {
  const test::FakeMemory page(4096);
  attach_with(directory_.memory().descriptor(), page.descriptor());
}
TEST_F(HostileAttach, a_directory_that_is_too_short_leaves_calls) {
  const test::FakeMemory short_one(512);
  attach_with(short_one.descriptor(), directory_.add_page().descriptor());
}
TEST_F(HostileAttach, a_directory_that_is_empty_leaves_calls) {
  const test::FakeMemory empty(1);
  ASSERT_EQ(::ftruncate(empty.descriptor(), 0), 0);
  attach_with(empty.descriptor(), directory_.add_page().descriptor());
}
TEST_F(HostileAttach, pipes_leave_calls) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  attach_with(ends[0], ends[1]);
  ::close(ends[0]);
  ::close(ends[1]);
}

// The chain is searched as far as it is said to be, and no further.
TEST_F(Hostile, a_chain_of_64_is_searched_to_its_end) {
  FakeDirectory longer(local::chain_max + 1, 1, 4096);
  for (std::uint32_t n = 0; n <= local::chain_max; ++n) longer.put(n, id_of(n), 0, 16);
  host_.show(&longer);
  Client client = *Client::connect(host_.address());
  ASSERT_TRUE(client.call("/test.Service/Echo", "").ok());
  EXPECT_TRUE(client.open(id_of(1))->is_direct());   // The 64th: the newest stands first.
  EXPECT_FALSE(client.open(id_of(0))->is_direct());  // The 65th.
}

}  // namespace
}  // namespace pm::client
