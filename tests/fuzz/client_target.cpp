// A client maps what a server, or whoever else can write there, tells it: descriptors as bytes, and
// the length, mode and kind of what stands under the name.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "convert.h"
#include "input.h"
#include "mapping.h"

namespace pm::fuzz {
namespace {

using client::detail::Access;
using client::detail::MappedBytes;

// Names under /dev/shm that are this process's.
const std::string& own_name(std::size_t number) {
  static const std::string stem = "/pm-fuzz-client-" + std::to_string(::getpid()) + "-";
  static const std::string names[] = {stem + "1", stem + "2"};
  return names[number % 2];
}

void remove_own() {
  for (int number = 0; number < 2; ++number) ::shm_unlink(own_name(number).c_str());
}

// A file of some length, or something that is no file.
void put(const std::string& name, Input& input) {
  ::shm_unlink(name.c_str());
  const std::uint8_t what = input.byte();
  const std::string path = "/dev/shm" + name;
  if (what == 0) {
    static_cast<void>(::mkfifo(path.c_str(), 0600));
  } else if (what == 1) {
    static_cast<void>(::symlink("/dev/null", path.c_str()) == 0);
  } else {
    const mode_t mode = what == 2 ? 0 : what == 3 ? 0400 : 0600;
    const int file = ::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, mode);
    if (file < 0) return;
    static_cast<void>(::ftruncate(file, static_cast<off_t>(input.number() * 256 % (1 << 20))));
    ::close(file);
  }
}

// A short name is one of this process's; what the input spells out can be no other than that of a
// process that is not there.
void set_name(Input& input, client::Location& location) {
  const std::string_view text = input.text();
  if (text.size() > 1) {
    location.name = "pm-fuzz-" + std::string(text);
    if (text[0] == '/') location.name = "/" + location.name;
    return;
  }
  const std::string& name = own_name(text.empty() ? 0 : static_cast<unsigned char>(text[0]));
  location.name = location.kind == client::LocationKind::file ? "/dev/shm" + name : name;
}

void touch(const MappedBytes& mapped, Access access) {
  std::byte sum{};
  for (const std::byte& byte : mapped.bytes) sum ^= byte;
  if (!mapped.bytes.empty()) {
    if (access == Access::write) mapped.bytes.back() = sum;
    const std::byte* const last = &mapped.bytes.back();
    expect(mapped.bytes.data() >= mapped.mapping->base() &&
               last < mapped.mapping->base() + mapped.mapping->length_bytes(),
           "the bytes of a payload lie in their mapping");
  }
}

void map(client::detail::Mapper& mapper, Input& input) {
  client::Descriptor descriptor;
  client::Location& location = descriptor.location;
  const std::uint8_t what = input.byte();
  location.kind = static_cast<client::LocationKind>(what % 5);
  set_name(input, location);
  location.offset_bytes = input.number() * ((what & 0x40) != 0 ? 256 : 1);
  location.length_bytes = input.number();
  location.mapping_bytes = input.number() * ((what & 0x40) != 0 ? 256 : 1);
  location.block_index = input.byte();
  location.slab = input.byte();
  const std::uint64_t size_bytes = (what & 0x20) != 0 ? input.number() : location.length_bytes;
  const Access access = (what & 0x80) != 0 ? Access::write : Access::read;
  const auto mapped = mapper.map(descriptor, size_bytes, access);
  if (!mapped.ok()) return expect(!mapped.status().message().empty(), "a refusal says why");
  expect(mapped->bytes.size() == size_bytes, "as many bytes are mapped as were asked for");
  touch(*mapped, access);
}

// The same from the server's bytes, down to what the library hands out.
void convert(std::string_view bytes) {
  namespace wire = payload::manager;
  const int length = static_cast<int>(bytes.size());
  wire::core::v1::PayloadDescriptor descriptor;
  if (descriptor.ParseFromArray(bytes.data(), length)) {
    const auto converted = client::detail::descriptor_from(descriptor);
    // Not mapped when its name could be that of a file of somebody else's.
    if (converted.ok() && !converted->location.name.starts_with('/')) {
      client::detail::Mapper mapper;
      static_cast<void>(mapper.map(*converted, converted->size_bytes, Access::read));
    }
  }
  wire::runtime::v1::AcquireReadLeaseResponse lease;
  if (lease.ParseFromArray(bytes.data(), length)) {
    static_cast<void>(client::detail::lease_from(lease));
  }
  wire::catalog::v1::PayloadSummary summary;
  if (summary.ParseFromArray(bytes.data(), length)) {
    static_cast<void>(client::detail::summary_from(summary));
  }
  wire::catalog::v1::SpillResult spill;
  if (spill.ParseFromArray(bytes.data(), length)) {
    static_cast<void>(client::detail::spill_outcome_from(spill));
  }
  wire::admin::v1::StatsResponse stats;
  if (stats.ParseFromArray(bytes.data(), length)) client::detail::stats_from(stats);
}

}  // namespace
}  // namespace pm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pm::fuzz;
  Input input(data, size);
  if (input.byte() % 2 == 0) {
    convert(input.rest());
    return 0;
  }
  pm::client::detail::Mapper mapper;
  for (int steps = 0; steps < 32 && !input.empty(); ++steps) {
    if (input.byte() % 3 == 0) {
      put(own_name(input.byte()), input);
    } else {
      map(mapper, input);
    }
  }
  remove_own();
  return 0;
}
