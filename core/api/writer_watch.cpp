#include "writer_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/ledger/clocks.h"

namespace pm::api {

namespace {

constexpr std::uint64_t ms_ns = 1'000'000;
constexpr std::uint64_t looked_at_ns_max = 100 * ms_ns;

bool is_readable(int descriptor) {
  pollfd one{descriptor, POLLIN, 0};
  return ::poll(&one, 1, 0) == 1;
}

}  // namespace

WriterWatch::WriterWatch(OnKnown on_known)
    : on_known_(std::move(on_known)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] { run(); }) {}

WriterWatch::~WriterWatch() {
  stop();
  ::close(wake_);
}

void WriterWatch::stop() {
  {
    const std::lock_guard lock(mutex_);
    stops_ = true;
  }
  ::eventfd_write(wake_, 1);
  if (thread_.joinable()) thread_.join();
}

void WriterWatch::look(std::uint64_t session, pid_t pid) {
  // The number may be another process's by now, which then counts as a writer that lives.
  const int descriptor = pid > 0 ? static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)) : -1;
  const bool is_gone = descriptor < 0 ? pid > 0 && errno == ESRCH : is_readable(descriptor);
  if (is_gone || descriptor < 0) {
    if (descriptor >= 0) ::close(descriptor);
    return on_known_(session, !is_gone);
  }
  {
    const std::lock_guard lock(mutex_);
    if (!stops_) {
      processes_.push_back({session, descriptor, ledger::monotonic_now_ns() + looked_at_ns_max});
      ::eventfd_write(wake_, 1);
      return;
    }
  }
  ::close(descriptor);
  on_known_(session, true);
}

// Those that died, whose time is over, or all when it stops.
std::vector<WriterWatch::Process> WriterWatch::take_known(std::vector<bool>& lives) {
  const std::uint64_t now_ns = ledger::monotonic_now_ns();
  std::vector<Process> known;
  const std::lock_guard lock(mutex_);
  std::erase_if(processes_, [&](const Process& process) {
    const bool is_dead = is_readable(process.descriptor);
    if (!is_dead && !stops_ && now_ns < process.until_ns) return false;
    known.push_back(process);
    lives.push_back(!is_dead);
    return true;
  });
  return known;
}

void WriterWatch::run() {
  while (true) {
    std::vector<pollfd> looked_at{{wake_, POLLIN, 0}};
    bool stops = false;
    {
      const std::lock_guard lock(mutex_);
      stops = stops_;
      for (const Process& process : processes_)
        looked_at.push_back({process.descriptor, POLLIN, 0});
    }
    if (!stops) {
      const int timeout_ms =
          looked_at.size() == 1 ? -1 : static_cast<int>(looked_at_ns_max / ms_ns);
      ::poll(looked_at.data(), looked_at.size(), timeout_ms);
      eventfd_t ignored = 0;
      ::eventfd_read(wake_, &ignored);
    }
    std::vector<bool> lives;
    const std::vector<Process> known = take_known(lives);
    for (std::size_t index = 0; index < known.size(); ++index) {
      ::close(known[index].descriptor);
      on_known_(known[index].session, lives[index]);
    }
    if (stops) return;
  }
}

}  // namespace pm::api
