#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "rules.h"

// Rules about what clients get: the place of the bytes, and what they may do to it.

namespace pm::check {
namespace {

// A client's descriptor of what a location names; -1 when it cannot be opened.
class ClientFile {
 public:
  ClientFile(const pm_location_t& location, int flags)
      : descriptor_(location.kind == PM_LOCATION_SHM ? ::shm_open(location.text, flags, 0)
                                                     : ::open(location.text, flags | O_CLOEXEC)) {}
  ClientFile(const ClientFile&) = delete;
  ClientFile& operator=(const ClientFile&) = delete;
  ~ClientFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

bool names_a_file(const pm_location_t& location) {
  return location.kind == PM_LOCATION_SHM || location.kind == PM_LOCATION_FILE;
}

void location_is_well_formed(Bench& bench) {
  const Object object = bench.make_sealed(5000, 1);
  pm_location_t location;
  require_status(bench.locate(object, location), PM_OK, "locate");
  require(names_a_file(location), "a host-addressable tier names neither shared memory nor file");
  require(std::memchr(location.text, 0, location.text_capacity) != nullptr,
          "the text does not end in NUL");
  const bool may_be_nameless = bench.asks_for_sealing() && location.kind == PM_LOCATION_SHM;
  require(location.text[0] == '/' || (may_be_nameless && location.text[0] == '\0'),
          "the text is not absolute: " + std::string(location.text));
  require(location.mapping_bytes >= location.offset_bytes + object.length,
          "the mapping ends before the object does");
}

void client_reads_what_the_tier_wrote(Bench& bench) {
  bench.make_sealed(5000, 1);
  const Object object = bench.make_sealed(70001, 2);
  pm_location_t location;
  require_status(bench.locate(object, location), PM_OK, "locate");
  const ClientFile file(location, O_RDONLY);
  require(file.get() >= 0, "a client cannot open " + std::string(location.text));
  std::vector<std::uint8_t> bytes(object.length);
  const ssize_t count =
      ::pread(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(location.offset_bytes));
  require(count == static_cast<ssize_t>(bytes.size()), "a client reads too few bytes");
  require(bytes == pattern(object.length, 2), "a client reads other bytes than were written");
}

void tier_reads_what_a_client_wrote(Bench& bench) {
  const Object object = bench.make(70001);
  pm_location_t location;
  require_status(bench.locate(object, location), PM_OK, "locate");
  {
    const ClientFile file(location, O_RDWR);
    require(file.get() >= 0, "a client cannot open " + std::string(location.text));
    void* memory =
        ::mmap(nullptr, location.mapping_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    require(memory != MAP_FAILED, "a client cannot map mapping_bytes");
    const auto bytes = pattern(object.length, 3);
    std::memcpy(static_cast<char*>(memory) + location.offset_bytes, bytes.data(), bytes.size());
    ::munmap(memory, location.mapping_bytes);
  }
  require_status(bench.seal(object), PM_OK, "seal");
  bench.require_bytes(object, 3);
}

void location_is_closed_to_others(Bench& bench) {
  const Object object = bench.make(5000);
  pm_location_t location;
  require_status(bench.locate(object, location), PM_OK, "locate");
  const ClientFile file(location, O_RDONLY);
  struct stat status {};
  require(file.get() >= 0 && ::fstat(file.get(), &status) == 0, "a client cannot open the place");
  require((status.st_mode & 077) == 0, "by default others than the owner have access");
}

void small_buffer_is_refused(Bench& bench) {
  const Object object = bench.make(5000);
  pm_location_t location;
  require_status(bench.locate(object, location), PM_OK, "locate");
  const auto needed = static_cast<std::uint32_t>(std::strlen(location.text) + 1);
  std::vector<char> text(needed + 32, '#');
  for (const std::uint32_t capacity : {0u, 1u, needed - 1, needed}) {
    std::fill(text.begin(), text.end(), '#');
    pm_location_t tight{};
    tight.size = sizeof tight;
    tight.text = text.data();
    tight.text_capacity = capacity;
    const pm_status_t status =
        bench.tier()->locate(bench.tier(), &object.id, &object.cookie, object.length, &tight);
    require_status(status, capacity == needed ? PM_OK : PM_RESOURCE_EXHAUSTED,
                   "locate with room for " + std::to_string(capacity) + " of " +
                       std::to_string(needed) + " bytes");
    require(std::all_of(text.begin() + capacity, text.end(), [](char c) { return c == '#'; }),
            "locate wrote past text_capacity");
  }
}

void shorten(Bench& bench, const Object& object) {
  pm_location_t location;
  require_status(bench.locate(object, location), PM_OK, "locate");
  const ClientFile file(location, O_RDWR);
  require(file.get() >= 0, "a client cannot open " + std::string(location.text));
  const off_t length = static_cast<off_t>(location.offset_bytes + object.length / 2);
  require(::ftruncate(file.get(), length) == 0, "a client cannot shorten the place");
}

void shortened_object_is_not_sealed(Bench& bench) {
  const Object object = bench.make(300000);
  bench.fill(object, 1);
  shorten(bench, object);
  require_status(bench.seal(object), PM_FAILED_PRECONDITION, "seal of a shortened object");
}

// A host that mapped the bytes would die here of SIGBUS.
void shortened_object_does_not_kill_the_host(Bench& bench) {
  const Object object = bench.make(300000);
  bench.fill(object, 1);
  shorten(bench, object);
  std::vector<std::uint8_t> bytes(object.length);
  std::uint64_t count = 0;
  const pm_status_t status = bench.read(object, 0, bytes.data(), bytes.size(), count);
  require(status != PM_OK || count < object.length, "read gave bytes that are not there");
  bench.write(object, 200000, bytes.data(), 1000);
  require_status(bench.remove(object), PM_OK, "remove of a shortened object");
}

}  // namespace

std::vector<Rule> location_rules() {
  constexpr unsigned needs = needs_bytes | needs_address;
  constexpr unsigned needs_place = needs | needs_names;
  return {
      {"TIER-40", "location_is_well_formed",
       "locate names an absolute place, ended by NUL, that holds the whole object; memory that is "
       "asked for PM_ALLOCATE_SEALED may have no name.",
       needs, location_is_well_formed},
      {"TIER-41", "client_reads_what_the_tier_wrote",
       "A client that opens the place reads the object's bytes at offset_bytes.", needs_place,
       client_reads_what_the_tier_wrote},
      {"TIER-42", "tier_reads_what_a_client_wrote",
       "What a client writes into its mapping before seal is what the tier reads.", needs_place,
       tier_reads_what_a_client_wrote},
      {"TIER-43", "location_is_closed_to_others",
       "Unless configured otherwise, only the owner may open the place.", needs_place,
       location_is_closed_to_others},
      {"TIER-44", "small_buffer_is_refused",
       "locate into too small a buffer is RESOURCE_EXHAUSTED and writes not past it.", needs,
       small_buffer_is_refused},
      {"TIER-45", "shortened_object_is_not_sealed",
       "seal of an object that a client shortened is FAILED_PRECONDITION.", needs_place,
       shortened_object_is_not_sealed},
      {"TIER-46", "shortened_object_does_not_kill_the_host",
       "read, write and remove of an object that a client shortened return.", needs_place,
       shortened_object_does_not_kill_the_host},
  };
}

}  // namespace pm::check
