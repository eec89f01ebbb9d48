// What a plugin may hold. The first byte says which part: its file, of which only the note is read;
// its entry and descriptor, and what its create() gives; or its config_schema.

#include <sys/mman.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <vector>

#include "core/config/schema.h"
#include "core/config/toml_reader.h"
#include "core/plugin/instance.h"
#include "core/plugin/plugin_note.h"
#include "input.h"

namespace pm::fuzz {
namespace {

void check_file(std::string_view bytes) {
  static const int file = ::memfd_create("fuzz-plugin", MFD_CLOEXEC);
  const bool written = ::ftruncate(file, 0) == 0 && ::pwrite(file, bytes.data(), bytes.size(), 0) ==
                                                        static_cast<ssize_t>(bytes.size());
  expect(written, "the file can be written");
  const auto identity = read_plugin_note(file);
  if (!identity.ok()) {
    expect(!identity.status().message().empty(), "a file that is refused is told why");
    return;
  }
  expect(!identity->id.empty() && identity->id.size() < 96, "an id has 1 to 95 bytes");
  static_cast<void>(check_abi(identity->abi_major, identity->abi_minor));
}

// A text in a block of its own, where a read past what may be read is seen.
class Text {
 public:
  Text(Input& input, const char* right) {
    switch (input.byte() % 8) {
      case 0: return;
      case 1: bytes_.assign(kPluginTextBytesMax, 'x'); break;  // Does not end.
      case 2: end(input.text()); break;
      default: end(right); break;
    }
  }
  const char* get() const { return bytes_.empty() ? nullptr : bytes_.data(); }

 private:
  void end(std::string_view text) {
    bytes_.assign(text.begin(), text.end());
    bytes_.push_back('\0');
  }
  std::vector<char> bytes_;
};

// An instance some of whose functions are missing. The ABI's structs are data, then pointers.
template <typename Abi>
struct Broken {
  static inline Abi abi{};
  static inline int destroyed = 0;

  static const void* create(const pm_host_t* host, const char*) {
    host->set_error(host, "words");
    return &abi;
  }
  static void destroy(const Abi*) { ++destroyed; }
  static void never() { expect(false, "no function of an incomplete instance is called"); }

  // Bit n takes the n-th function away.
  static void make(std::uint64_t missing) {
    constexpr std::size_t slots = sizeof(Abi) / sizeof(void*);
    void (*functions[slots])() = {};
    for (std::size_t i = 1; i < slots; ++i) {
      if ((missing >> i & 1) == 0) functions[i] = &never;
    }
    std::memcpy(&abi, functions, sizeof abi);
    if ((missing >> (slots - 1) & 1) == 0) abi.destroy = &destroy;
    destroyed = 0;
  }
};

template <typename Abi>
void create(const PluginFile& file, pm_plugin_entry_t entry, std::uint64_t missing) {
  constexpr std::uint64_t all = (1ULL << (sizeof(Abi) / sizeof(void*))) - 2;
  Broken<Abi>::make(missing);
  entry.create = entry.create == nullptr ? nullptr : &Broken<Abi>::create;
  const auto library = PluginLibrary::from_entry(file, entry);
  if (!library.ok()) {
    expect(library.status().message().size() < 2'000, "the words of an error have an end");
    return;
  }
  {
    const auto instance = Instance<Abi>::create(*library, "instance", std::nullopt, "{}");
    const bool is_kind = std::string(library->descriptor().kind) == file.identity.kind;
    expect(is_kind, "a descriptor that is taken is that of the note");
    if (instance.ok()) expect((missing & all) == 0, "an incomplete instance is refused");
  }
  expect(Broken<Abi>::destroyed <= 1, "an instance is destroyed once");
}

void check_entry(Input& input) {
  constexpr const char* kinds[] = {PM_KIND_TIER, PM_KIND_REPOSITORY, PM_KIND_FRONTEND};
  const std::uint8_t which = input.byte();
  const char* const kind = kinds[which % 3];
  const PluginFile file{"/plugins/a.so", {PM_ABI_MAJOR, PM_ABI_MINOR, kind, "org.example.a"}};
  const Text id(input, "org.example.a");
  const Text name(input, "A tier");
  const Text version(input, "1.0.0");
  const Text kind_text(input, kind);
  auto size = static_cast<std::uint32_t>(sizeof(pm_plugin_descriptor_t));
  if ((which & 0x40) != 0) size = input.integer<std::uint32_t>();
  const pm_plugin_descriptor_t descriptor{
      size, 0, id.get(), name.get(), version.get(), kind_text.get(), nullptr};
  pm_plugin_entry_t entry{PM_ABI_MAJOR, PM_ABI_MINOR, &descriptor, nullptr};
  // Replaced by the one of its kind.
  if ((which & 0x80) == 0) entry.create = &Broken<pm_tier_t>::create;
  const std::uint8_t more = input.byte();
  if ((more & 1) != 0) entry.abi_minor = input.byte();
  if ((more & 2) != 0) entry.abi_major = input.byte();
  if ((more & 4) != 0) entry.descriptor = nullptr;
  const auto missing = input.integer<std::uint64_t>();
  switch (which % 3) {
    case 0: return create<pm_tier_t>(file, entry, missing);
    case 1: return create<pm_repository_t>(file, entry, missing);
    default: return create<pm_frontend_t>(file, entry, missing);
  }
}

// A schema, then after a NUL a configuration in TOML.
void check_schema(Input& input) {
  const std::string text(input.until('\0'));
  const auto schema = config::Schema::parse(text.c_str());
  if (!schema.ok()) {
    expect(!schema.status().message().empty(), "a schema that is refused is told why");
    return;
  }
  config::Errors errors;
  auto value = config::read_toml(input.rest(), "file", errors);
  if (!value) return;
  schema->apply("config", *value, errors);
  const std::string json = config::to_json(*value);
  boost::json::error_code error;
  boost::json::parse_options options;
  options.max_depth = 2 * config::kTomlDepthMax;
  boost::json::parse(json, error, {}, options);
  expect(!error, "a configuration becomes JSON", json);
}

}  // namespace
}  // namespace pm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  pm::fuzz::Input input(data, size);
  switch (input.byte() % 3) {
    case 0: pm::fuzz::check_file(input.rest()); break;
    case 1: pm::fuzz::check_entry(input); break;
    default: pm::fuzz::check_schema(input); break;
  }
  return 0;
}
