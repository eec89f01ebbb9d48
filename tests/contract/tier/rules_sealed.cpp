#include <fcntl.h>
#include <pm/ext/draft/tier_share.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "rules.h"

// Rules about objects that nobody can change once they are sealed (PM_ALLOCATE_SEALED), tried with
// everything that their writer had. As root, where the tests run as root.

namespace pm::check {
namespace {

// What a writer gets, and keeps.
class WriterFile {
 public:
  WriterFile(const Bench& bench, const Object& object) {
    const auto* share = static_cast<const pm_tier_share_t*>(
        bench.tier()->get_extension(bench.tier(), PM_TIER_SHARE));
    require_status(share->open_object(bench.tier(), &object.id, &object.cookie, object.length, true,
                                      &descriptor_),
                   PM_OK, "open_object for writing");
  }
  WriterFile(const WriterFile&) = delete;
  WriterFile& operator=(const WriterFile&) = delete;
  ~WriterFile() { ::close(descriptor_); }

  int get() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

void mapped_object_is_not_sealed(Bench& bench) {
  const Object object = bench.make(70001);
  const WriterFile file(bench, object);
  void* memory = ::mmap(nullptr, object.length, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  require(memory != MAP_FAILED, "it cannot be mapped for writing");
  const auto bytes = pattern(object.length, 1);
  std::memcpy(memory, bytes.data(), bytes.size());
  const pm_status_t mapped = bench.seal(object);
  const pm_status_t again = bench.seal(object);
  ::munmap(memory, object.length);
  require_status(mapped, PM_FAILED_PRECONDITION, "seal of what is mapped for writing");
  require_status(again, PM_FAILED_PRECONDITION, "the second seal of what is mapped for writing");
  require_status(bench.seal(object), PM_OK, "seal after munmap");
  bench.require_bytes(object, 1);
}

void nobody_changes_what_is_sealed(Bench& bench) {
  const Object object = bench.make(70001);
  bench.fill(object, 2);
  const WriterFile kept(bench, object);
  require_status(bench.seal(object), PM_OK, "seal");
  const auto refused = [](auto result, const char* what) {
    require(result < 0, std::string(what) + " works after seal");
    require(errno == EPERM, std::string(what) + " fails with errno " + std::to_string(errno));
  };
  refused(::pwrite(kept.get(), "!", 1, 0), "a write through a descriptor kept");
  refused(::ftruncate(kept.get(), 0), "shortening it");
  refused(::ftruncate(kept.get(), 1 << 20), "lengthening it");
  refused(::fallocate(kept.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096),
          "a hole punched");
  void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, kept.get(), 0);
  require(memory == MAP_FAILED, "it can be mapped for writing after seal");
  // Mapped for reading, as a reader does, and then made writable.
  memory = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, kept.get(), 0);
  if (memory != MAP_FAILED) {
    const int opened = ::mprotect(memory, 4096, PROT_READ | PROT_WRITE);
    ::munmap(memory, 4096);
    require(opened != 0, "a mapping for reading can be made writable");
  }
  require(bench.write(object, 0, "!", 1) == PM_FAILED_PRECONDITION, "the tier writes it itself");
  bench.require_bytes(object, 2);
}

void length_is_fixed_before_the_seal(Bench& bench) {
  const Object object = bench.make(70001);
  bench.fill(object, 3);
  const WriterFile file(bench, object);
  require(::ftruncate(file.get(), 10) != 0, "its writer can shorten it");
  require(::ftruncate(file.get(), 1 << 20) != 0, "its writer can lengthen it");
  const char more[4096] = {};
  require(::pwrite(file.get(), more, sizeof more, 80 << 10) < 0, "its writer can write past it");
  require_status(bench.seal(object), PM_OK, "seal");
  bench.require_bytes(object, 3);
}

// Who maps a hole dies of SIGBUS when there is no memory for it.
void room_given_back_by_its_writer_is_taken_again(Bench& bench) {
  const Object object = bench.make(300000);
  bench.fill(object, 4);
  const WriterFile file(bench, object);
  const int flags = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  require(::fallocate(file.get(), flags, 4096, 200 << 10) == 0, "a hole cannot be punched");
  require_status(bench.seal(object), PM_OK, "seal");
  struct stat status {};
  require(::fstat(file.get(), &status) == 0, "fstat");
  require(static_cast<std::uint64_t>(status.st_blocks) * 512 >= object.length,
          "a sealed object has a hole");
}

void what_is_nameless_ends_with_the_tier(Bench& bench) {
  Object object = bench.make_sealed(70001, 5);
  const Object unsealed = bench.make(5000);
  pm_location_t location;
  require_status(bench.locate(object, location), PM_OK, "locate");
  if (location.text[0] != '\0') return;
  bench.restart();
  require_status(bench.adopt(object), PM_NOT_FOUND, "adopt by the next life");
  std::uint64_t count = 0;
  char byte = 0;
  require_status(bench.read(object, 0, &byte, 1, count), PM_NOT_FOUND, "read in the next life");
  require_status(bench.remove(unsealed), PM_NOT_FOUND, "remove in the next life");
  require(bench.usage().bytes_used == 0 && bench.usage().objects == 0,
          "the next life counts what has ended");
  require(bench.enumeration() == nullptr || bench.list().empty(), "the next life lists it");
}

}  // namespace

std::vector<Rule> sealed_rules() {
  return {
      {"TIER-70", "mapped_object_is_not_sealed",
       "With PM_ALLOCATE_SEALED seal is FAILED_PRECONDITION while a client maps the object for "
       "writing, and works afterwards.",
       needs_sealing, mapped_object_is_not_sealed},
      {"TIER-71", "nobody_changes_what_is_sealed",
       "With PM_ALLOCATE_SEALED whoever kept a writer's descriptor changes nothing after seal.",
       needs_sealing, nobody_changes_what_is_sealed},
      {"TIER-72", "length_is_fixed_before_the_seal",
       "With PM_ALLOCATE_SEALED nobody changes the length, also not before seal.", needs_sealing,
       length_is_fixed_before_the_seal},
      {"TIER-73", "room_given_back_by_its_writer_is_taken_again",
       "With PM_ALLOCATE_SEALED a sealed object has all its room, whatever its writer gave back.",
       needs_sealing, room_given_back_by_its_writer_is_taken_again},
      {"TIER-74", "what_is_nameless_ends_with_the_tier",
       "An object without a name is NOT_FOUND in the next life, and not counted.", needs_sealing,
       what_is_nameless_ends_with_the_tier},
  };
}

}  // namespace pm::check
