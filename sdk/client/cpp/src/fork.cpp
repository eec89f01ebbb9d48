#include "fork.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <vector>

namespace pm::client::detail {
namespace {

// Never destroyed: a fork may come while the process ends.
struct Registry {
  std::mutex mutex;
  std::vector<int> descriptors;
};
Registry& registry() {
  static Registry& made = *new Registry;
  return made;
}

void in_child() {
  forks_so_far.fetch_add(1, std::memory_order_relaxed);
  for (const int descriptor : registry().descriptors) ::close(descriptor);
  registry().descriptors.clear();
  registry().mutex.unlock();
}

}  // namespace

std::atomic<unsigned> forks_so_far{0};

unsigned count_forks() {
  static const int registered = ::pthread_atfork([] { registry().mutex.lock(); },
                                                 [] { registry().mutex.unlock(); }, in_child);
  static_cast<void>(registered);
  return forks_so_far.load(std::memory_order_relaxed);
}

ClosedInChildren::ClosedInChildren(int descriptor) : descriptor_(descriptor) {
  count_forks();
  const std::lock_guard lock(registry().mutex);
  registry().descriptors.push_back(descriptor);
}

ClosedInChildren::~ClosedInChildren() {
  const std::lock_guard lock(registry().mutex);
  auto& descriptors = registry().descriptors;
  const auto found = std::find(descriptors.begin(), descriptors.end(), descriptor_);
  if (found != descriptors.end()) descriptors.erase(found);
}

}  // namespace pm::client::detail
