#pragma once

#include <pm/ext/draft/tier_enumerate.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

// What the rules for tiers are tried with: a plugin loaded through the C ABI, a small host, and
// objects with known bytes. No test framework is needed.

namespace pm::check {

// A rule does not hold. What the run of a rule throws, and nothing else.
struct RuleBroken : std::runtime_error {
  using std::runtime_error::runtime_error;
};
void require(bool condition, const std::string& what);
void require_status(pm_status_t got, pm_status_t wanted, const std::string& call);

// A plugin, and how to configure it.
struct Subject {
  std::string name;
  std::filesystem::path plugin;
  // JSON; what it leaves out gets the default of the plugin's schema. @CAPACITY@ (bytes), @UNIQUE@
  // (a word of a-z and 0-9, new for each bench) and
  // @DIRECTORY@ (an empty one) are replaced.
  std::string config;
  std::uint32_t allocate_flags = 0;
};

struct Object {
  pm_object_id_t id{};
  pm_cookie_t cookie{};
  std::uint64_t length = 0;
  std::uint64_t bytes_charged = 0;
};

// One rule's workplace: an identity of the host, a directory and one instance of the tier, all of
// its own. What the tier keeps is removed at the end.
class Bench {
 public:
  explicit Bench(const Subject& subject, std::uint64_t capacity_bytes = 64 << 20);
  ~Bench();
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  const Subject& subject() const { return subject_; }
  const pm_plugin_entry_t& entry() const { return *entry_; }
  const pm_tier_t* tier() const { return tier_; }
  const pm_tier_info_t& info() const { return info_; }
  bool has(pm_tier_trait trait) const { return (info_.traits & trait) != 0; }
  bool asks_for_sealing() const { return (subject_.allocate_flags & PM_ALLOCATE_SEALED) != 0; }
  // What is asked for PM_ALLOCATE_SEALED may end with the host, whatever the traits.
  bool outlives_the_host() const { return has(PM_TIER_SURVIVES_PROCESS) && !asks_for_sealing(); }
  const pm_tier_enumerate_t* enumeration() const;

  void create();
  void destroy();
  // The same host and medium, another life.
  void restart() {
    destroy();
    create();
  }

  // Calls of the tier. The first three fail the rule when the tier does not say PM_OK.
  Object make(std::uint64_t length, std::uint32_t owner_uid = 1000);
  Object make_sealed(std::uint64_t length, unsigned seed);
  void fill(const Object& object, unsigned seed);
  pm_status_t allocate(Object& object, std::uint32_t owner_uid = 1000) const;
  pm_status_t adopt(Object& object) const;
  pm_status_t write(const Object& object, std::uint64_t offset, const void* source,
                    std::uint64_t length) const;
  pm_status_t read(const Object& object, std::uint64_t offset, void* target, std::uint64_t length,
                   std::uint64_t& count) const;
  pm_status_t seal(const Object& object) const;
  pm_status_t remove(const Object& object) const;
  pm_tier_usage_t usage() const;
  // The buffer for text is the location's own, valid until the next call on this thread.
  pm_status_t locate(const Object& object, pm_location_t& location) const;

  // Fails the rule unless the object reads back as fill() wrote it.
  void require_bytes(const Object& object, unsigned seed) const;
  std::vector<pm_tier_object_t> list() const;

  const std::filesystem::path& directory() const { return directory_; }

 private:
  static const void* get_extension(const pm_host_t* host, const char* id);
  static void set_error(const pm_host_t* host, const char* message);

  const Subject subject_;
  const std::uint64_t capacity_bytes_;
  std::string unique_;
  std::string boot_id_;
  std::string instance_id_;
  std::filesystem::path directory_;
  pm_host_identity_t identity_{};
  pm_host_t host_{};
  const pm_plugin_entry_t* entry_ = nullptr;
  const pm_tier_t* tier_ = nullptr;
  pm_tier_info_t info_{};
};

// An object id that no one has used.
pm_object_id_t new_id();
bool same_object(const pm_object_id_t& a, const pm_object_id_t& b);
// `length` bytes that depend on the seed and on their place, none of them zero.
std::vector<std::uint8_t> pattern(std::uint64_t length, unsigned seed);
std::uint64_t round_up(std::uint64_t length, std::uint64_t granularity);

// The plugin's file as it lies on disk: the note that the host reads before dlopen().
std::optional<pm_plugin_note_t> read_note(const std::filesystem::path& plugin);

}  // namespace pm::check
