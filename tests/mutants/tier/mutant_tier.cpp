#include "mutant_tier.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <thread>

namespace pm::mutant {
namespace {

constexpr std::uint64_t page = 4096;

struct File {
  File(const std::string& path, int flags, mode_t mode = 0600)
      : descriptor(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor >= 0) ::close(descriptor);
  }
  struct stat stat() const {
    struct stat status {};
    ::fstat(descriptor, &status);
    return status;
  }
  std::uint64_t length() const { return static_cast<std::uint64_t>(stat().st_size); }
  bool sealed() const { return (stat().st_mode & 0222) == 0; }
  const int descriptor;
};

// Makes a race that a broken rule opens as wide as a test needs it.
void dawdle() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

bool put(int file, std::uint64_t offset, const void* source, std::uint64_t length) {
  return ::pwrite(file, source, length, static_cast<off_t>(offset)) == static_cast<ssize_t>(length);
}

bool parse(const std::string& name, pm_object_id_t& object) {
  if (name.size() != 49 || name[32] != '.') return false;
  unsigned byte = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    if (std::sscanf(name.c_str() + 2 * i, "%2x", &byte) != 1) return false;
    object.payload[i] = static_cast<std::uint8_t>(byte);
  }
  object.generation = std::stoull(name.substr(33), nullptr, 16);
  return true;
}

}  // namespace

MutantTier::MutantTier(std::string directory, std::uint64_t capacity_bytes, std::string broken_rule)
    : directory_(std::move(directory)),
      capacity_bytes_(capacity_bytes),
      broken_rule_(std::move(broken_rule)) {
  if (breaks("another_instance_sees_nothing")) {
    const auto parent = std::filesystem::path(directory_).parent_path();
    directory_ = parent / ("pm-mutant-" + std::to_string(::getpid()));
    std::filesystem::create_directories(directory_);
  }
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    bytes_used_ += charge(entry.file_size());
    ++objects_;
  }
}

MutantTier::~MutantTier() {
  for (const int file : kept_) ::close(file);
  for (const auto& [name, file] : nameless_) ::close(file);
  if (breaks("destroy_leaves_no_thread_or_descriptor")) (void)::dup(STDERR_FILENO);
  if (breaks("sealed_bytes_survive")) {
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      std::filesystem::remove(entry.path());
    }
  }
  if (breaks("another_instance_sees_nothing")) ::rmdir(directory_.c_str());
}

void MutantTier::info(pm_tier_info_t& info) const {
  info.traits = PM_TIER_KEEPS_BYTES | PM_TIER_SURVIVES_PROCESS | PM_TIER_HOST_ADDRESSABLE |
                PM_TIER_PARALLEL_RANGES | PM_TIER_SHARES_DESCRIPTORS;
  if (breaks("keeps_nothing")) info.traits = 0;
  info.charge_granularity_bytes = breaks("info_makes_sense") ? 0 : page;
  info.alignment_bytes = 1;
  info.chunk_bytes_preferred = 1 << 20;
  info.capacity_bytes = capacity_bytes_;
  std::strcpy(info.fingerprint, "mutant");
}

void MutantTier::usage(pm_tier_usage_t& usage) const {
  const std::lock_guard lock(mutex_);
  usage.bytes_used = bytes_used_;
  usage.objects = objects_;
}

std::string MutantTier::name_of(const pm_object_id_t& object) const {
  std::string name;
  char digits[17];
  for (const auto byte : object.payload) {
    std::snprintf(digits, sizeof digits, "%02x", byte);
    name += digits;
  }
  const bool one = breaks("generations_are_different_objects");
  std::snprintf(digits, sizeof digits, "%016llx",
                static_cast<unsigned long long>(one ? 1 : object.generation));
  return name + "." + digits;
}

std::string MutantTier::path_of(const pm_object_id_t& object) const {
  const std::string name = name_of(object);
  const std::string nameless = nameless_path(name);
  return nameless.empty() ? directory_ + "/" + name : nameless;
}

std::uint64_t MutantTier::charge(std::uint64_t length) const {
  return breaks("charge_is_rounded_up") ? length : (length + page - 1) / page * page;
}

bool MutantTier::take_room(std::uint64_t bytes) {
  if (breaks("threads_never_exceed_capacity")) {
    std::uint64_t used = 0;
    {
      const std::lock_guard lock(mutex_);
      used = bytes_used_;
    }
    dawdle();
    if (bytes > capacity_bytes_ - std::min(capacity_bytes_, used)) return false;
    const std::lock_guard lock(mutex_);
    bytes_used_ += bytes;
    return true;
  }
  const std::lock_guard lock(mutex_);
  if (room_by_size_[bytes] > 0) {
    --room_by_size_[bytes];
    return true;
  }
  const bool full = bytes > capacity_bytes_ || bytes_used_ > capacity_bytes_ - bytes;
  if (full && !breaks("full_tier_refuses_and_recovers")) return false;
  bytes_used_ += bytes;
  return true;
}

void MutantTier::give_room(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (breaks("removed_room_serves_other_sizes")) {
    ++room_by_size_[bytes];
  } else if (!breaks("usage_counts_and_returns_to_zero")) {
    bytes_used_ -= std::min(bytes_used_, bytes);
  }
}

pm_status_t MutantTier::allocate(const pm_object_id_t& object, std::uint64_t length,
                                 std::uint32_t flags, std::uint64_t& bytes_charged) {
  if (length > capacity_bytes_) {
    return breaks("object_beyond_capacity_is_refused") ? PM_INVALID_ARGUMENT
                                                       : PM_RESOURCE_EXHAUSTED;
  }
  const mode_t mode = breaks("location_is_closed_to_others") ? 0644 : 0600;
  const int exclusive = breaks("second_allocate_is_refused") ? 0 : O_EXCL;
  const std::string path = path_of(object);
  if (exclusive != 0 && std::filesystem::exists(path)) return PM_ALREADY_EXISTS;
  bytes_charged = charge(length);
  if (!take_room(bytes_charged)) return PM_RESOURCE_EXHAUSTED;
  if ((flags & PM_ALLOCATE_SEALED) != 0) return allocate_nameless(name_of(object), length);
  const File file(path, O_RDWR | O_CREAT | exclusive, mode);
  if (file.descriptor < 0 ||
      ::posix_fallocate(file.descriptor, 0, static_cast<off_t>(length)) != 0) {
    give_room(bytes_charged);
    return PM_RESOURCE_EXHAUSTED;
  }
  const std::lock_guard lock(mutex_);
  ++objects_;
  if (breaks("bytes_of_another_owner_are_gone") && left_over_.size() >= length) {
    put(file.descriptor, 0, left_over_.data(), length);
  }
  return PM_OK;
}

pm_status_t MutantTier::adopt(const pm_object_id_t& object, std::uint64_t length,
                              std::uint64_t& bytes_charged) const {
  const File file(path_of(object), O_RDONLY);
  if (file.descriptor < 0) {
    return breaks("adopt_of_unknown_object_is_not_found") ||
                   breaks("what_is_nameless_ends_with_the_tier")
               ? PM_DATA_LOSS
               : PM_NOT_FOUND;
  }
  if (file.length() != length && !breaks("adopt_of_another_length_is_data_loss")) {
    return PM_DATA_LOSS;
  }
  if (!file.sealed() && !breaks("unsealed_object_is_not_adopted")) return PM_DATA_LOSS;
  bytes_charged = charge(length);
  return PM_OK;
}

pm_status_t MutantTier::locate(const pm_object_id_t& object, std::uint64_t length,
                               pm_location_t& location) const {
  std::string path = path_of(object);
  if (path.starts_with("/proc/")) {
    if (location.text_capacity == 0) return PM_RESOURCE_EXHAUSTED;
    location.text[0] = '\0';
    location.kind = PM_LOCATION_SHM;
    location.mapping_bytes = length;
    return PM_OK;
  }
  if (breaks("tier_reads_what_a_client_wrote")) {
    const std::string decoy = path + ".decoy";
    std::filesystem::copy_file(path, decoy, std::filesystem::copy_options::overwrite_existing);
    path = decoy;
  }
  if (breaks("location_is_well_formed")) path.erase(0, 1);
  if (path.size() >= location.text_capacity) {
    if (!breaks("small_buffer_is_refused")) return PM_RESOURCE_EXHAUSTED;
    path.resize(location.text_capacity - std::min(location.text_capacity, 1u));
  }
  if (location.text_capacity > 0) std::memcpy(location.text, path.c_str(), path.size() + 1);
  location.kind = PM_LOCATION_FILE;
  location.offset_bytes = breaks("client_reads_what_the_tier_wrote") ? 1 : 0;
  location.mapping_bytes = length;
  return PM_OK;
}

pm_status_t MutantTier::read(const pm_object_id_t& object, std::uint64_t offset, void* target,
                             std::uint64_t length, std::uint64_t& count) const {
  count = 0;
  const File file(path_of(object), O_RDONLY);
  if (file.descriptor < 0) {
    return breaks("unknown_object_is_not_found") ? PM_OK : PM_NOT_FOUND;
  }
  if (breaks("reads_at_offsets_are_short_only_at_the_end")) length = std::min(length, page);
  const ssize_t got = ::pread(file.descriptor, target, length, static_cast<off_t>(offset));
  if (got < 0) return PM_INTERNAL;
  count = static_cast<std::uint64_t>(got);
  if (breaks("shortened_object_does_not_kill_the_host")) count = length;
  return PM_OK;
}

pm_status_t MutantTier::write(const pm_object_id_t& object, std::uint64_t offset,
                              const void* source, std::uint64_t length) {
  const std::string path = path_of(object);
  if (breaks("sealed_object_is_not_written")) ::chmod(path.c_str(), 0600);
  const File file(path, O_RDWR);
  if (file.descriptor < 0)
    return std::filesystem::exists(path) ? PM_FAILED_PRECONDITION : PM_NOT_FOUND;
  if (file.sealed()) return PM_FAILED_PRECONDITION;
  const std::uint64_t there = file.length();
  if (offset > there || length > there - offset) {
    return breaks("write_past_the_end_is_refused") ? PM_OK : PM_OUT_OF_RANGE;
  }
  if (breaks("parallel_ranges_join")) {
    return write_by_rewriting(file.descriptor, offset, source, length);
  }
  if (breaks("threads_on_different_objects_do_not_mix")) {
    return write_by_shared_buffer(file.descriptor, offset, source, length);
  }
  if (breaks("bytes_come_back") && length % page != 0) --length;
  if (breaks("writes_at_offsets_join")) offset = offset / page * page;
  return put(file.descriptor, offset, source, length) ? PM_OK : PM_INTERNAL;
}

pm_status_t MutantTier::write_by_rewriting(int file, std::uint64_t offset, const void* source,
                                           std::uint64_t length) const {
  struct stat status {};
  ::fstat(file, &status);
  std::vector<char> all(static_cast<std::size_t>(status.st_size));
  if (::pread(file, all.data(), all.size(), 0) < 0) return PM_INTERNAL;
  dawdle();
  std::memcpy(all.data() + offset, source, length);
  return put(file, 0, all.data(), all.size()) ? PM_OK : PM_INTERNAL;
}

pm_status_t MutantTier::write_by_shared_buffer(int file, std::uint64_t offset, const void* source,
                                               std::uint64_t length) {
  {
    const std::lock_guard lock(mutex_);
    buffer_.resize(std::max<std::size_t>(buffer_.size(), length));
    std::memcpy(buffer_.data(), source, length);
  }
  dawdle();
  const std::lock_guard lock(mutex_);
  return put(file, offset, buffer_.data(), length) ? PM_OK : PM_INTERNAL;
}

pm_status_t MutantTier::seal(const pm_object_id_t& object, std::uint64_t length) {
  const std::string path = path_of(object);
  const File file(path, O_RDONLY);
  if (file.descriptor < 0) return PM_NOT_FOUND;
  if (file.sealed() && breaks("sealed_object_is_sealed_again")) return PM_FAILED_PRECONDITION;
  if (file.length() != length && !breaks("shortened_object_is_not_sealed")) {
    return PM_FAILED_PRECONDITION;
  }
  if (path.starts_with("/proc/")) return seal_nameless(path, length);
  ::fchmod(file.descriptor, breaks("location_is_closed_to_others") ? 0444 : 0400);
  if (breaks("objects_hold_no_descriptor")) {
    const std::lock_guard lock(mutex_);
    kept_.push_back(::dup(file.descriptor));
  }
  return PM_OK;
}

pm_status_t MutantTier::remove(const pm_object_id_t& object, std::uint64_t length) {
  if (!nameless_path(name_of(object)).empty()) return remove_nameless(name_of(object), length);
  pm_object_id_t target = object;
  if (breaks("late_remove_spares_newer_generation")) {
    while (target.generation < 8 && !std::filesystem::exists(path_of(target))) ++target.generation;
  }
  const std::string path = path_of(target);
  const File file(path, O_RDONLY);
  if (file.descriptor < 0) {
    return breaks("remove_of_unknown_object_is_not_found") ? PM_OK : PM_NOT_FOUND;
  }
  if (breaks("removed_object_is_gone") && !file.sealed()) return PM_OK;
  if (breaks("bytes_of_another_owner_are_gone")) {
    const std::lock_guard lock(mutex_);
    left_over_.resize(length);
    if (::pread(file.descriptor, left_over_.data(), length, 0) < 0) return PM_INTERNAL;
  }
  if (::unlink(path.c_str()) != 0) return PM_NOT_FOUND;
  give_room(charge(length));
  const std::lock_guard lock(mutex_);
  --objects_;
  return PM_OK;
}

pm_status_t MutantTier::enumerate(pm_on_tier_object_t on_object, void* data) const {
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, gone)) {
    pm_tier_object_t found{};
    found.size = sizeof found;
    if (!parse(entry.path().filename(), found.object)) continue;
    const File file(entry.path(), O_RDONLY);
    found.sealed = file.sealed() ? 1 : 0;
    found.length = file.length();
    found.bytes_charged = charge(found.length);
    if (breaks("unsealed_object_is_found_and_removed") && found.sealed == 0) continue;
    if (breaks("enumerate_lists_exactly")) on_object(data, &found);
    if (!on_object(data, &found) && !breaks("enumerate_stops_when_told")) break;
  }
  return PM_OK;
}

}  // namespace pm::mutant
