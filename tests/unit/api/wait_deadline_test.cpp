#include <gtest/gtest.h>

#include "core/api/methods.h"
#include "core/ledger/clocks.h"

// How long a call may wait, so that its answer still arrives.

namespace pm::api {
namespace {

constexpr std::uint64_t ms_ns = 1'000'000;

// How gRPC writes a timeout of `ms` on the wire: rounded up to three digits.
std::uint64_t on_the_wire(std::uint64_t ms) {
  std::uint64_t unit = 1;
  while (ms / unit >= 1'000) unit *= 10;
  return (ms + unit - 1) / unit * unit;
}

std::uint64_t wait_end_of(std::uint64_t deadline_ns) {
  pm_call_info_t info{};
  info.size = sizeof info;
  info.deadline_ns = deadline_ns;
  Invocation invocation;
  invocation.info = &info;
  return wait_deadline_ns(invocation);
}

TEST(WaitDeadline, ends_before_the_client_gives_up_also_when_its_timeout_was_rounded_up) {
  for (const std::uint64_t ms :
       {200u, 999u, 1'001u, 9'991u, 10'001u, 29'901u, 99'901u, 100'001u, 999'001u, 3'600'001u}) {
    const std::uint64_t begin_ns = ledger::monotonic_now_ns();
    const std::uint64_t end_ns = wait_end_of(begin_ns + on_the_wire(ms) * ms_ns);
    EXPECT_LE(end_ns, begin_ns + (ms - 40) * ms_ns) << ms << " ms";
    EXPECT_GE(end_ns, begin_ns + (ms - ms / 50 - 60) * ms_ns) << ms << " ms";
  }
}

TEST(WaitDeadline, of_none_is_none_and_of_one_in_the_past_is_at_once) {
  EXPECT_EQ(wait_end_of(0), 0u);
  const std::uint64_t end_ns = wait_end_of(1);
  EXPECT_NE(end_ns, 0u);
  EXPECT_LT(end_ns, ledger::monotonic_now_ns());
}

}  // namespace
}  // namespace pm::api
