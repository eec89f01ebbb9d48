#pragma once

#include <pm/repository.h>

#include <functional>
#include <string>

namespace pm::contract {

// A repository under test, with one store of its own.
struct Subject {
  // A new instance on that store, to be destroyed by the caller; NULL when it cannot be made.
  std::function<const pm_repository_t*()> create;
  // Whether the store outlives its instances.
  bool is_persistent = false;
};

// A host that keeps what a repository says. One for the whole process, since words belong to the
// thread whose call failed.
const pm_host_t* test_host();

// The words of the last error that a call on this thread reported; forgets them.
std::string take_error();

}  // namespace pm::contract
