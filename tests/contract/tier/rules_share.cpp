#include <fcntl.h>
#include <pm/ext/draft/tier_share.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "rules.h"

// Rules about descriptors that a tier gives out for other processes (pm.tier.share/1).

namespace pm::check {
namespace {

constexpr uid_t nobody = 65534;

const pm_tier_share_t* share_of(const Bench& bench) {
  return static_cast<const pm_tier_share_t*>(
      bench.tier()->get_extension(bench.tier(), PM_TIER_SHARE));
}

// A descriptor of what an object lies in, and where in it.
struct Shared {
  int descriptor = -1;
  std::uint64_t offset = 0;
  std::uint64_t mapping_bytes = 0;
  bool is_slab = false;

  Shared() = default;
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() {
    if (descriptor >= 0) ::close(descriptor);
  }
};

pm_status_t open_object(const Bench& bench, const Object& object, bool writable, int& descriptor) {
  return share_of(bench)->open_object(bench.tier(), &object.id, &object.cookie, object.length,
                                      writable, &descriptor);
}

// The object's own, or that of its slab.
void open_shared(const Bench& bench, const Object& object, bool writable, Shared& shared) {
  pm_location_t location;
  require_status(bench.locate(object, location), PM_OK, "locate");
  shared.offset = location.offset_bytes;
  shared.mapping_bytes = location.mapping_bytes;
  shared.is_slab = location.slab != 0;
  if (shared.is_slab) {
    require_status(
        share_of(bench)->open_slab(bench.tier(), location.slab, writable, &shared.descriptor),
        PM_OK, "open_slab");
  } else {
    require_status(open_object(bench, object, writable, shared.descriptor), PM_OK, "open_object");
  }
  require(shared.descriptor >= 0, "PM_OK, but no descriptor");
}

void trait_and_share_extension_come_together(Bench& bench) {
  require(bench.has(PM_TIER_SHARES_DESCRIPTORS) == (share_of(bench) != nullptr),
          "only one of PM_TIER_SHARES_DESCRIPTORS and " PM_TIER_SHARE " is there");
}

void shared_descriptor_reads_the_object(Bench& bench) {
  const Object object = bench.make_sealed(70001, 5);
  Shared shared;
  open_shared(bench, object, false, shared);
  std::vector<std::uint8_t> bytes(object.length);
  const ssize_t count =
      ::pread(shared.descriptor, bytes.data(), bytes.size(), static_cast<off_t>(shared.offset));
  require(count == static_cast<ssize_t>(bytes.size()), "it reads too few bytes");
  require(bytes == pattern(object.length, 5), "it reads other bytes than were written");
  require((::fcntl(shared.descriptor, F_GETFL) & O_ACCMODE) == O_RDONLY, "it can be written");
  require((::fcntl(shared.descriptor, F_GETFL) & O_NONBLOCK) == 0, "it has O_NONBLOCK");
  require((::fcntl(shared.descriptor, F_GETFD) & FD_CLOEXEC) != 0, "it is not close-on-exec");
}

void tier_reads_what_came_through_a_descriptor(Bench& bench) {
  const Object object = bench.make(70001);
  {
    Shared shared;
    open_shared(bench, object, true, shared);
    void* memory = ::mmap(nullptr, shared.mapping_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                          shared.descriptor, 0);
    require(memory != MAP_FAILED, "it cannot be mapped for writing");
    const auto bytes = pattern(object.length, 6);
    std::memcpy(static_cast<char*>(memory) + shared.offset, bytes.data(), bytes.size());
    ::munmap(memory, shared.mapping_bytes);
  }
  require_status(bench.seal(object), PM_OK, "seal");
  bench.require_bytes(object, 6);
}

// As another user, who has been passed a reader's descriptor. 0: every way to write is closed.
int try_to_write(const Shared& shared) {
  if (::setgid(nobody) != 0 || ::setuid(nobody) != 0) return 1;
  // What a user's own process has, and one that was root loses: /proc/self is open to it.
  if (::prctl(PR_SET_DUMPABLE, 1) != 0) return 2;
  const auto open_again = [](int descriptor, int flags) {
    char path[64];
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return ::open(path, flags | O_CLOEXEC);
  };
  const int own = ::memfd_create("own", MFD_CLOEXEC);
  if (open_again(own, O_RDWR) < 0) return 3;  // Else this way would be shut for all.
  if (open_again(shared.descriptor, O_RDWR) >= 0 || errno != EACCES) return 4;
  if (open_again(shared.descriptor, O_WRONLY) >= 0 || errno != EACCES) return 5;
  if (::fchmod(shared.descriptor, 0666) == 0) return 6;
  if (::ftruncate(shared.descriptor, 0) == 0) return 7;
  if (::mmap(nullptr, 4096, PROT_WRITE, MAP_SHARED, shared.descriptor, 0) != MAP_FAILED) return 8;
  if (errno != EACCES) return 9;
  void* read_only = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, shared.descriptor, 0);
  if (read_only == MAP_FAILED) return 10;
  if (::mprotect(read_only, 4096, PROT_READ | PROT_WRITE) == 0) return 11;
  return 0;
}

// DESCRIPTOR-1
void readers_cannot_become_writers(Bench& bench) {
  const Object object = bench.make_sealed(9000, 7);
  Shared shared;
  open_shared(bench, object, false, shared);
  struct stat status {};
  require(::fstat(shared.descriptor, &status) == 0, "fstat");
  require((status.st_mode & 022) == 0, "others may write what it names");
  if (::geteuid() != 0) return;  // Only root can try what others can do.
  const pid_t child = ::fork();
  if (child == 0) ::_exit(try_to_write(shared));
  int ended = 0;
  require(::waitpid(child, &ended, 0) == child && WIFEXITED(ended), "the other user died");
  require(WEXITSTATUS(ended) == 0, "another user found a way to write, or none to try: step " +
                                       std::to_string(WEXITSTATUS(ended)));
  bench.require_bytes(object, 7);
}

void descriptors_follow_the_seal(Bench& bench) {
  const Object object = bench.make(5000);
  bench.fill(object, 8);
  Shared shared;
  open_shared(bench, object, true, shared);
  if (shared.is_slab) return;  // Blocks have no seal of their own.
  int descriptor = -1;
  require_status(open_object(bench, object, false, descriptor), PM_FAILED_PRECONDITION,
                 "open_object for reading before seal");
  require_status(bench.seal(object), PM_OK, "seal");
  require_status(open_object(bench, object, true, descriptor), PM_FAILED_PRECONDITION,
                 "open_object for writing after seal");
}

void shortened_object_is_not_shared(Bench& bench) {
  const Object object = bench.make(300000);
  Shared shared;
  open_shared(bench, object, true, shared);
  if (shared.is_slab) return;
  require(::ftruncate(shared.descriptor, 1000) == 0, "a client cannot shorten the object");
  int descriptor = -1;
  require_status(open_object(bench, object, true, descriptor), PM_DATA_LOSS,
                 "open_object of a shortened object");
}

void unknown_object_is_not_shared(Bench& bench) {
  Object object = bench.make_sealed(5000, 9);
  object.id = new_id();
  pm_location_t location;
  int descriptor = -1;
  if (bench.locate(object, location) != PM_OK || location.slab == 0) {
    require_status(open_object(bench, object, false, descriptor), PM_NOT_FOUND,
                   "open_object of an unknown object");
    require_status(open_object(bench, object, true, descriptor), PM_NOT_FOUND,
                   "open_object of an unknown object for writing");
  }
  for (const std::uint32_t slab : {0u, 200u, UINT32_MAX}) {
    require_status(share_of(bench)->open_slab(bench.tier(), slab, true, &descriptor), PM_NOT_FOUND,
                   "open_slab of " + std::to_string(slab));
  }
}

void slab_is_shared_as_a_whole(Bench& bench) {
  const Object object = bench.make_sealed(5000, 10);
  pm_location_t location;
  require_status(bench.locate(object, location), PM_OK, "locate");
  int descriptor = -1;
  const pm_status_t status = open_object(bench, object, false, descriptor);
  if (descriptor >= 0) ::close(descriptor);
  require_status(status, location.slab == 0 ? PM_OK : PM_FAILED_PRECONDITION,
                 "open_object of what lies in slab " + std::to_string(location.slab));
}

}  // namespace

std::vector<Rule> share_rules() {
  return {
      {"TIER-60", "trait_and_share_extension_come_together",
       "A tier has PM_TIER_SHARES_DESCRIPTORS exactly when it has " PM_TIER_SHARE ".",
       needs_nothing, trait_and_share_extension_come_together},
      {"TIER-61", "shared_descriptor_reads_the_object",
       "A reader's descriptor reads the object's bytes, only reads, and is close-on-exec.",
       needs_share, shared_descriptor_reads_the_object},
      {"TIER-62", "tier_reads_what_came_through_a_descriptor",
       "What comes through a writer's descriptor before seal is what the tier reads.", needs_share,
       tier_reads_what_came_through_a_descriptor},
      {"TIER-63", "readers_cannot_become_writers",
       "Another user cannot make a way to write of a reader's descriptor.", needs_share,
       readers_cannot_become_writers},
      {"TIER-64", "descriptors_follow_the_seal",
       "Before seal an object is opened for writing only, after it for reading only.", needs_share,
       descriptors_follow_the_seal},
      {"TIER-65", "shortened_object_is_not_shared",
       "open_object of what has another length is DATA_LOSS.", needs_share | needs_names,
       shortened_object_is_not_shared},
      {"TIER-66", "unknown_object_is_not_shared",
       "open_object and open_slab of what is not there are NOT_FOUND.", needs_share,
       unknown_object_is_not_shared},
      {"TIER-67", "slab_is_shared_as_a_whole",
       "open_object of what lies in a slab is FAILED_PRECONDITION, and of all else works.",
       needs_share, slab_is_shared_as_a_whole},
  };
}

}  // namespace pm::check
