#include "harness.h"

#include <dlfcn.h>
#include <elf.h>
#include <sys/random.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <pm/cpp/result.hpp>

namespace pm::check {
namespace {

thread_local std::string last_error;

void log(const pm_host_t*, std::int32_t, const char*) {}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

std::string random_hex(std::size_t digits) {
  std::string text;
  while (text.size() < digits) {
    std::uint8_t byte = 0;
    if (::getrandom(&byte, 1, 0) == 1) text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string read_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// As the host does before create().
std::string with_defaults(const std::string& config, const char* schema) {
  if (schema == nullptr) return config;
  boost::json::object object = boost::json::parse(config).as_object();
  const boost::json::value root = boost::json::parse(schema);
  for (const auto& [key, property] : root.as_object().at("properties").as_object()) {
    const auto* value = property.as_object().if_contains("default");
    if (value != nullptr && !object.contains(key)) object[key] = *value;
  }
  return boost::json::serialize(object);
}

// Plugins stay loaded for the life of the process, as in the host.
const pm_plugin_entry_t* load(const std::filesystem::path& plugin) {
  void* module = ::dlopen(plugin.c_str(), RTLD_NOW | RTLD_LOCAL);
  require(module != nullptr, "dlopen: " + std::string(module == nullptr ? ::dlerror() : ""));
  const void* entry = ::dlsym(module, PM_PLUGIN_ENTRY_SYMBOL);
  require(entry != nullptr, "the plugin does not export " PM_PLUGIN_ENTRY_SYMBOL);
  return static_cast<const pm_plugin_entry_t*>(entry);
}

}  // namespace

void require(bool condition, const std::string& what) {
  if (!condition) throw RuleBroken(what);
}

void require_status(pm_status_t got, pm_status_t wanted, const std::string& call) {
  if (got == wanted) return;
  throw RuleBroken(call + " said " + code_name(static_cast<Code>(got)) +
                   (got == PM_OK || last_error.empty() ? "" : " (" + last_error + ")") +
                   ", expected " + code_name(static_cast<Code>(wanted)));
}

Bench::Bench(const Subject& subject, std::uint64_t capacity_bytes)
    : subject_(subject),
      capacity_bytes_(capacity_bytes),
      unique_("check" + random_hex(12)),
      boot_id_(read_line("/proc/sys/kernel/random/boot_id")),
      instance_id_(random_hex(16)) {
  entry_ = load(subject.plugin);
  std::string name = (std::filesystem::temp_directory_path() / "pm-check-XXXXXX").string();
  require(::mkdtemp(name.data()) != nullptr, "cannot make a directory like " + name);
  directory_ = name;
  identity_ = {sizeof identity_, 0, instance_id_.c_str(), boot_id_.c_str(), directory_.c_str()};
  host_ = {PM_ABI_MAJOR, PM_ABI_MINOR, "pm-check", "1.0.0", this, get_extension, set_error, log};
  create();
}

Bench::~Bench() {
  try {
    // The next life of a host finds what this one left, whatever the rule did to it.
    if (tier_ == nullptr) create();
    if (enumeration() != nullptr) {
      for (const auto& found : list()) {
        remove({found.object, found.cookie, found.length, found.bytes_charged});
      }
    }
  } catch (...) {
    // A broken tier may leave things behind; the names below catch most.
  }
  if (tier_ != nullptr) destroy();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm", ignored)) {
    if (entry.path().filename().string().rfind(unique_ + "-", 0) == 0) {
      std::filesystem::remove(entry.path(), ignored);
    }
  }
}

const void* Bench::get_extension(const pm_host_t* host, const char* id) {
  const auto* bench = static_cast<const Bench*>(host->host_data);
  return std::strcmp(id, PM_HOST_IDENTITY) == 0 ? &bench->identity_ : nullptr;
}

void Bench::set_error(const pm_host_t*, const char* message) { last_error = message; }

void Bench::create() {
  std::string config = subject_.config;
  replace_all(config, "@CAPACITY@", std::to_string(capacity_bytes_));
  replace_all(config, "@UNIQUE@", unique_);
  replace_all(config, "@DIRECTORY@", directory_.string());
  config = with_defaults(config, entry_->descriptor->config_schema);
  last_error.clear();
  tier_ = static_cast<const pm_tier_t*>(entry_->create(&host_, config.c_str()));
  require(tier_ != nullptr, "create() returned NULL: " + last_error);
  info_ = {};
  info_.size = sizeof info_;
  tier_->get_info(tier_, &info_);
}

void Bench::destroy() {
  tier_->destroy(tier_);
  tier_ = nullptr;
}

const pm_tier_enumerate_t* Bench::enumeration() const {
  return static_cast<const pm_tier_enumerate_t*>(tier_->get_extension(tier_, PM_TIER_ENUMERATE));
}

Object Bench::make(std::uint64_t length, std::uint32_t owner_uid) {
  Object object;
  object.id = new_id();
  object.length = length;
  require_status(allocate(object, owner_uid), PM_OK,
                 "allocate of " + std::to_string(length) + " bytes");
  return object;
}

Object Bench::make_sealed(std::uint64_t length, unsigned seed) {
  const Object object = make(length);
  fill(object, seed);
  require_status(seal(object), PM_OK, "seal");
  return object;
}

void Bench::fill(const Object& object, unsigned seed) {
  const auto bytes = pattern(object.length, seed);
  require_status(write(object, 0, bytes.data(), bytes.size()), PM_OK, "write");
}

pm_status_t Bench::allocate(Object& object, std::uint32_t owner_uid) const {
  const pm_allocate_options_t options{sizeof options, subject_.allocate_flags, owner_uid, 0};
  pm_allocation_t allocation{};
  allocation.size = sizeof allocation;
  last_error.clear();
  const pm_status_t status =
      tier_->allocate(tier_, nullptr, &object.id, object.length, &options, &allocation);
  if (status == PM_OK) {
    object.cookie = allocation.cookie;
    object.bytes_charged = allocation.bytes_charged;
  }
  return status;
}

pm_status_t Bench::adopt(Object& object) const {
  last_error.clear();
  return tier_->adopt(tier_, &object.id, &object.cookie, object.length, &object.bytes_charged);
}

pm_status_t Bench::write(const Object& object, std::uint64_t offset, const void* source,
                         std::uint64_t length) const {
  last_error.clear();
  return tier_->write(tier_, nullptr, &object.id, &object.cookie, offset, source, length);
}

pm_status_t Bench::read(const Object& object, std::uint64_t offset, void* target,
                        std::uint64_t length, std::uint64_t& count) const {
  last_error.clear();
  return tier_->read(tier_, nullptr, &object.id, &object.cookie, offset, target, length, &count);
}

pm_status_t Bench::seal(const Object& object) const {
  last_error.clear();
  return tier_->seal(tier_, nullptr, &object.id, &object.cookie, object.length);
}

pm_status_t Bench::remove(const Object& object) const {
  last_error.clear();
  return tier_->remove(tier_, nullptr, &object.id, &object.cookie, object.length);
}

pm_tier_usage_t Bench::usage() const {
  pm_tier_usage_t usage{};
  usage.size = sizeof usage;
  tier_->get_usage(tier_, &usage);
  return usage;
}

pm_status_t Bench::locate(const Object& object, pm_location_t& location) const {
  static thread_local char text[4096];
  static thread_local std::uint8_t handle[256];
  location = {};
  location.size = sizeof location;
  location.text = text;
  location.text_capacity = sizeof text;
  location.handle = handle;
  location.handle_capacity = sizeof handle;
  last_error.clear();
  return tier_->locate(tier_, &object.id, &object.cookie, object.length, &location);
}

void Bench::require_bytes(const Object& object, unsigned seed) const {
  std::vector<std::uint8_t> bytes(object.length);
  std::uint64_t count = 0;
  require_status(read(object, 0, bytes.data(), bytes.size(), count), PM_OK, "read");
  require(count == object.length,
          "read gave " + std::to_string(count) + " of " + std::to_string(object.length) + " bytes");
  require(bytes == pattern(object.length, seed),
          "the " + std::to_string(object.length) + " bytes read are not those written");
}

std::vector<pm_tier_object_t> Bench::list() const {
  std::vector<pm_tier_object_t> found;
  const auto visit = [](void* data, const pm_tier_object_t* object) {
    static_cast<std::vector<pm_tier_object_t>*>(data)->push_back(*object);
    return true;
  };
  require_status(enumeration()->enumerate(tier_, nullptr, visit, &found), PM_OK, "enumerate");
  return found;
}

pm_object_id_t new_id() {
  pm_object_id_t id{};
  require(::getrandom(id.payload, sizeof id.payload, 0) == sizeof id.payload, "getrandom");
  id.generation = 1;
  return id;
}

bool same_object(const pm_object_id_t& a, const pm_object_id_t& b) {
  return std::memcmp(a.payload, b.payload, sizeof a.payload) == 0 && a.generation == b.generation;
}

std::vector<std::uint8_t> pattern(std::uint64_t length, unsigned seed) {
  std::vector<std::uint8_t> bytes(length);
  std::uint32_t state = seed * 2654435761u + 1;
  for (auto& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<std::uint8_t>(state >> 24 | 1);
  }
  return bytes;
}

std::uint64_t round_up(std::uint64_t length, std::uint64_t granularity) {
  return (length + granularity - 1) / granularity * granularity;
}

std::optional<pm_plugin_note_t> read_note(const std::filesystem::path& plugin) {
  std::ifstream file(plugin, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  const auto take = [&](std::uint64_t offset, auto& value) {
    if (offset > bytes.size() || sizeof value > bytes.size() - offset) return false;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return true;
  };
  Elf64_Ehdr header{};
  Elf64_Shdr names{};
  if (!take(0, header) ||
      !take(header.e_shoff + std::uint64_t{header.e_shstrndx} * sizeof names, names)) {
    return std::nullopt;
  }
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section{};
    char name[sizeof PM_NOTE_SECTION] = {};
    pm_plugin_note_t note{};
    if (take(header.e_shoff + std::uint64_t{i} * sizeof section, section) &&
        take(names.sh_offset + section.sh_name, name) &&
        std::memcmp(name, PM_NOTE_SECTION, sizeof name) == 0 && take(section.sh_offset, note)) {
      return note;
    }
  }
  return std::nullopt;
}

}  // namespace pm::check
