#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "local_scene.h"

// A client is killed after each single instruction of a lease without a call, from open() to the
// end of release(): nothing stays held, and the payload can be deleted every time.

namespace pm::local::test {
namespace {

using std::chrono::milliseconds;

class LocalSteps : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(host_.start_ready()) << host_.log(); }

  // Leases once to be warm, and then between two stops.
  int lease_once(const client::PayloadId& id) {
    client::Client client = connect(host_);
    bool is_direct = false;
    until([&] {
      auto lease = client.open(id);
      is_direct = lease && lease->is_direct();
      return is_direct;
    });
    if (!is_direct || ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) return 1;
    ::raise(SIGSTOP);
    {
      auto lease = client.open(id);
      if (!lease || lease->bytes()[0] == std::byte{0xff}) return 2;
      if (!lease->release().ok()) return 3;
    }
    ::raise(SIGSTOP);
    return 0;
  }

  static bool stopped_by(pid_t child, int signal) {
    int status = 0;
    return ::waitpid(child, &status, 0) == child && WIFSTOPPED(status) &&
           WSTOPSIG(status) == signal;
  }

  // Kills a client behind so many instructions. False: it was through before.
  bool kill_behind(long instructions, const client::PayloadId& id) {
    const pid_t child = in_child([&] { return lease_once(id); });
    EXPECT_TRUE(stopped_by(child, SIGSTOP)) << "the client did not get to its lease";
    bool is_through = false;
    for (long step = 0; step < instructions && !is_through; ++step) {
      if (::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0) break;
      is_through = !stopped_by(child, SIGTRAP);
    }
    ::kill(child, SIGKILL);
    int status = 0;
    while (::waitpid(child, &status, 0) == child && !WIFSIGNALED(status) && !WIFEXITED(status)) {
    }
    return !is_through;
  }

  integration::HostProcess host_{local_options(8 << 20)};
};

// HOLD-2
TEST_F(LocalSteps, a_client_killed_behind_any_instruction_leaves_nothing_held) {
  client::Client client = connect(host_, false);
  const long stride = number_from("PM_LOCAL_STRIDE", "PM_LOCAL_STRIDE", 1);
  client::PayloadId id = put(client, 7, 4'096);
  long instructions = 0;
  long kills = 0;
  long held = 0;
  for (bool goes_on = true; goes_on && !HasFailure(); instructions += stride) {
    goes_on = kill_behind(instructions, id);
    ++kills;
    Status erased = client.erase(id);
    if (erased.code() == Code::aborted) ++held;
    until([&] { return erased.ok() || (erased = client.erase(id)).ok(); }, milliseconds(5'000));
    ASSERT_TRUE(erased.ok()) << "behind " << instructions << ": " << erased.to_string();
    id = put(client, 7, 4'096);
    ASSERT_LT(instructions, 100'000) << "a lease does not end";
  }
  std::printf(
      "local steps: %ld kills behind up to %ld instructions, %ld times it was held when it"
      " died\n",
      kills, instructions, held);
  // Less would mean that it was not a lease without a call that was looked at.
  EXPECT_GT(kills * stride, 100);
}

}  // namespace
}  // namespace pm::local::test
