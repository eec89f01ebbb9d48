#include <boost/json.hpp>
#include <cstddef>
#include <cstring>
#include <thread>

#include "rules.h"

// Rules about the boundary itself: what a plugin says of itself, and whose memory it touches.

namespace pm::check {
namespace {

void entry_describes_plugin(Bench& bench) {
  const auto& entry = bench.entry();
  require(entry.abi_major == PM_ABI_MAJOR && entry.abi_minor == PM_ABI_MINOR,
          "the entry is of another ABI version");
  const auto* descriptor = entry.descriptor;
  require(descriptor != nullptr && descriptor->size >= sizeof *descriptor,
          "the descriptor is missing or too short");
  for (const char* text : {descriptor->id, descriptor->name, descriptor->version}) {
    require(text != nullptr && *text != '\0', "an id, name or version is empty");
  }
  require(std::strcmp(descriptor->kind, PM_KIND_TIER) == 0, "the kind is not " PM_KIND_TIER);
}

void note_repeats_descriptor(Bench& bench) {
  const auto note = read_note(bench.subject().plugin);
  require(note.has_value(), "the file has no section " PM_NOTE_SECTION);
  require(note->type == PM_NOTE_TYPE && std::memcmp(note->owner, "pm\0", 4) == 0,
          "the note is not of type 1 by \"pm\"");
  require(note->abi_major == PM_ABI_MAJOR && note->abi_minor == PM_ABI_MINOR,
          "the note is of another ABI version");
  const auto* descriptor = bench.entry().descriptor;
  require(std::strncmp(note->kind, descriptor->kind, sizeof note->kind) == 0,
          "the note's kind is not the descriptor's");
  require(std::strncmp(note->id, descriptor->id, sizeof note->id) == 0,
          "the note's id is not the descriptor's");
}

void schema_explains_every_key(Bench& bench) {
  const char* schema = bench.entry().descriptor->config_schema;
  if (schema == nullptr) return;
  boost::json::error_code error;
  const auto root = boost::json::parse(schema, error);
  require(!error && root.is_object(), "config_schema is not a JSON object");
  const auto* properties = root.as_object().if_contains("properties");
  require(properties != nullptr && properties->is_object(), "config_schema has no properties");
  for (const auto& [key, property] : properties->as_object()) {
    require(property.is_object() && property.as_object().contains("description"),
            "key " + std::string(key) + " has no description");
  }
}

void info_makes_sense(Bench& bench) {
  const auto& info = bench.info();
  require(info.charge_granularity_bytes >= 1, "charge_granularity_bytes is 0");
  require(info.alignment_bytes >= 1, "alignment_bytes is 0");
  require(info.chunk_bytes_preferred >= 1, "chunk_bytes_preferred is 0");
  require(info.capacity_bytes >= 1, "capacity_bytes is 0");
  require(std::memchr(info.fingerprint, 0, sizeof info.fingerprint) != nullptr &&
              info.fingerprint[0] != '\0',
          "fingerprint is empty or does not end in NUL");
  require(!bench.has(PM_TIER_SURVIVES_POWER) || bench.has(PM_TIER_SURVIVES_PROCESS),
          "bytes cannot survive loss of power and not the process");
}

// A struct of the caller's that ends at `size` and is followed by bytes that are not the callee's.
template <typename T>
class Fenced {
 public:
  explicit Fenced(std::uint32_t size) : size_(size) {
    std::memset(bytes_, mark, sizeof bytes_);
    std::memset(bytes_, 0, size);
    std::memcpy(bytes_, &size, sizeof size);
  }
  T* get() { return reinterpret_cast<T*>(bytes_); }
  void require_untouched(const std::string& call) const {
    for (std::size_t i = size_; i < sizeof bytes_; ++i) {
      require(bytes_[i] == mark, call + " wrote past the size of the caller's struct");
    }
    std::uint32_t now = 0;
    std::memcpy(&now, bytes_, sizeof now);
    require(now == size_, call + " changed the size of the caller's struct");
  }

 private:
  static constexpr unsigned char mark = 0xA5;
  std::uint32_t size_;
  alignas(T) unsigned char bytes_[sizeof(T) + 64];
};

void structs_are_filled_no_further_than_size(Bench& bench) {
  const pm_tier_t* tier = bench.tier();
  const std::uint32_t info_sizes[] = {offsetof(pm_tier_info_t, fingerprint),
                                      sizeof(pm_tier_info_t)};
  for (const auto size : info_sizes) {
    Fenced<pm_tier_info_t> info(size);
    tier->get_info(tier, info.get());
    info.require_untouched("get_info");
  }
  const std::uint32_t usage_sizes[] = {offsetof(pm_tier_usage_t, objects), sizeof(pm_tier_usage_t)};
  for (const auto size : usage_sizes) {
    Fenced<pm_tier_usage_t> usage(size);
    tier->get_usage(tier, usage.get());
    usage.require_untouched("get_usage");
  }
  Object object;
  object.id = new_id();
  object.length = 100;
  const pm_allocate_options_t options{sizeof options, bench.subject().allocate_flags, 1000, 0};
  Fenced<pm_allocation_t> allocation(sizeof(pm_allocation_t));
  require_status(
      tier->allocate(tier, nullptr, &object.id, object.length, &options, allocation.get()), PM_OK,
      "allocate");
  allocation.require_untouched("allocate");
  object.cookie = allocation.get()->cookie;
  require(object.cookie.length <= PM_COOKIE_BYTES_MAX, "the cookie is longer than allowed");
  char text[4096];
  Fenced<pm_location_t> location(sizeof(pm_location_t));
  location.get()->text = text;
  location.get()->text_capacity = sizeof text;
  require_status(tier->locate(tier, &object.id, &object.cookie, object.length, location.get()),
                 PM_OK, "locate");
  location.require_untouched("locate");
  require(location.get()->text == text, "locate replaced the host's buffer");
}

void unknown_extension_is_null(Bench& bench) {
  require(bench.tier()->get_extension(bench.tier(), "pm.tier.of-no-one/1") == nullptr,
          "get_extension found an extension that does not exist");
}

std::size_t entries_of(const char* directory) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory)) {
    ++count;
  }
  return count;
}

void destroy_leaves_no_thread_or_descriptor(Bench& bench) {
  bench.destroy();
  const std::size_t threads = entries_of("/proc/self/task");
  const std::size_t descriptors = entries_of("/proc/self/fd");
  bench.create();
  const Object object = bench.make(5000);
  bench.fill(object, 1);
  require_status(bench.seal(object), PM_OK, "seal");
  bench.remove(object);
  bench.destroy();
  // A thread that was joined may stay listed for a moment.
  for (int i = 0; i < 100 && entries_of("/proc/self/task") > threads; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  require(entries_of("/proc/self/task") <= threads, "destroy() left a thread");
  require(entries_of("/proc/self/fd") <= descriptors, "destroy() left a descriptor open");
  bench.create();
}

void objects_hold_no_descriptor(Bench& bench) {
  std::vector<Object> objects;
  for (int i = 0; i < 8; ++i) objects.push_back(bench.make_sealed(4096, 1));
  const std::size_t before = entries_of("/proc/self/fd");
  for (int i = 0; i < 64; ++i) objects.push_back(bench.make_sealed(4096, 1));
  const std::size_t after = entries_of("/proc/self/fd");
  for (const auto& object : objects) bench.remove(object);
  require(after < before + 32,
          "64 more objects took " + std::to_string(after - before) + " more descriptors");
}

}  // namespace

std::vector<Rule> abi_rules() {
  return {
      {"TIER-01", "entry_describes_plugin",
       "The entry names the ABI version, and its descriptor an id, name, version and kind.",
       needs_nothing, entry_describes_plugin},
      {"TIER-02", "note_repeats_descriptor",
       "The ELF note says the same ABI version, kind and id as the descriptor.", needs_nothing,
       note_repeats_descriptor},
      {"TIER-03", "schema_explains_every_key",
       "config_schema is JSON and describes every key in words.", needs_nothing,
       schema_explains_every_key},
      {"TIER-04", "info_makes_sense",
       "get_info gives sizes of at least 1, a fingerprint, and traits that do not contradict.",
       needs_nothing, info_makes_sense},
      {"TIER-05", "structs_are_filled_no_further_than_size",
       "The callee touches no byte of a struct past the caller's size, nor the size.",
       needs_nothing, structs_are_filled_no_further_than_size},
      {"TIER-06", "unknown_extension_is_null",
       "get_extension is NULL for an id that the tier does not know.", needs_nothing,
       unknown_extension_is_null},
      {"TIER-07", "destroy_leaves_no_thread_or_descriptor",
       "After destroy() no thread and no descriptor of the instance is left.", needs_nothing,
       destroy_leaves_no_thread_or_descriptor},
      {"TIER-08", "objects_hold_no_descriptor",
       "A sealed object that no one uses holds no descriptor open, if it has a name.",
       needs_bytes | needs_names, objects_hold_no_descriptor},
  };
}

}  // namespace pm::check
