#pragma once

#include <atomic>

// What a forked child has of its parent's client: nothing that it may use.

namespace pm::client::detail {

// Forks that lie between the first process and this one. Cheaper to ask than getpid(2), and no
// number comes twice. Counted from the first call of count_forks() on.
extern std::atomic<unsigned> forks_so_far;
unsigned count_forks();

// Closes a descriptor in every child that this process forks, for as long as it lives: the other
// end must see this process's end as the connection's, whoever it has forked.
// [thread-safe]
class ClosedInChildren {
 public:
  explicit ClosedInChildren(int descriptor);
  ~ClosedInChildren();
  ClosedInChildren(const ClosedInChildren&) = delete;
  ClosedInChildren& operator=(const ClosedInChildren&) = delete;

 private:
  const int descriptor_;
};

}  // namespace pm::client::detail
