#include "root.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "layout.h"

namespace pm::disk {

namespace {

constexpr int format_version = 1;
constexpr const char* marker_temporary_name = "pm-tier-disk.json.new";
constexpr const char* probe_name = "pm-tier-disk.probe";

Status sync_directory(const std::string& path) {
  Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return errno_status(errno, "cannot open " + path);
  return sync(directory.get(), path);
}

// mkdir(2), with the mode whatever the umask. False, with errno, when there was nothing to make.
bool make_directory(int parent, const char* name, mode_t mode) {
  return ::mkdirat(parent, name, mode) == 0 && ::fchmodat(parent, name, mode, 0) == 0;
}

// mkdir -p, each new name made durable in its parent.
Status make_directories(const std::filesystem::path& path, mode_t mode) {
  if (make_directory(AT_FDCWD, path.c_str(), mode)) return sync_directory(path.parent_path());
  if (errno == EEXIST) return {};
  if (errno != ENOENT || !path.has_parent_path() || path == path.parent_path())
    return errno_status(errno, "cannot make the directory " + path.string());
  PM_TRY(make_directories(path.parent_path(), mode));
  if (!make_directory(AT_FDCWD, path.c_str(), mode) && errno != EEXIST)
    return errno_status(errno, "cannot make the directory " + path.string());
  return sync_directory(path.parent_path());
}

Result<std::string> read_small_file(int fd, const std::string& shown) {
  std::string text(4096, '\0');
  const ssize_t count = ::pread(fd, text.data(), text.size(), 0);
  if (count < 0) return errno_status(errno, "cannot read " + shown, Code::data_loss);
  text.resize(static_cast<std::size_t>(count));
  return text;
}

Status write_small_file(int fd, const std::string& text, const std::string& shown) {
  const ssize_t count = ::pwrite(fd, text.data(), text.size(), 0);
  if (count < 0) return errno_status(errno, "cannot write " + shown);
  if (static_cast<std::size_t>(count) != text.size())
    return errno_status(ENOSPC, "cannot write " + shown);
  return {};
}

// What the marker says, and every byte of it.
std::string marker_text(const std::string& instance_id, const std::string& medium_id) {
  return boost::json::serialize(boost::json::object{
             {"format", format_version}, {"instance_id", instance_id}, {"medium_id", medium_id}}) +
         "\n";
}

}  // namespace

Result<std::unique_ptr<Root>> Root::open(const sdk::Host& host, const std::string& path,
                                         const std::string& instance_id, mode_t file_mode) {
  std::error_code error;
  auto absolute = std::filesystem::absolute(path, error).lexically_normal();
  if (error) return Status(Code::internal, "root \"" + path + "\": " + error.message());
  if (!absolute.has_filename()) absolute = absolute.parent_path();  // Drops a slash at the end.

  auto root = std::unique_ptr<Root>(new Root);
  root->path_ = absolute.string();
  // Whoever may open the files may pass through their directories, but not list them.
  root->directory_mode_ =
      0700 | ((file_mode & 0060) != 0 ? 0010 : 0) | ((file_mode & 0006) != 0 ? 0001 : 0);
  PM_TRY(make_directories(absolute, root->directory_mode_));
  root->directory_ = Descriptor(::open(root->path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root->directory_)
    return errno_status(errno, "root " + root->path_ + " cannot be opened as a directory");
  PM_TRY(root->open_marker(host, instance_id));
  return root;
}

Status Root::open_marker(const sdk::Host& host, const std::string& instance_id) {
  const std::string shown = path_ + "/" + marker_name;
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto marker = open_regular(fd(), marker_name, O_RDWR, shown);
    if (!marker.ok()) {
      if (marker.status().code() != Code::not_found) return marker.status();
      PM_TRY(write_marker(instance_id));
      host.info("new root " + path_ + " of medium " + medium_id_);
      continue;
    }
    if (::flock(marker->get(), LOCK_EX | LOCK_NB) != 0)
      return Status(Code::failed_precondition,
                    "root " + path_ + " is in use by another tier; give each tier its own root");
    auto text = read_small_file(marker->get(), shown);
    if (!text.ok()) return text.status();
    marker_ = std::move(*marker);
    return check_marker(*text, instance_id);
  }
  return {Code::aborted, shown + " vanished while it was being opened; try again"};
}

Status Root::write_marker(const std::string& instance_id) {
  auto medium_id = random_hex();
  if (!medium_id.ok()) return medium_id.status();
  medium_id_ = *medium_id;
  const std::string shown = path_ + "/" + marker_temporary_name;
  const std::string text = marker_text(instance_id, medium_id_);
  Descriptor file(
      open_beneath(fd(), marker_temporary_name, O_RDWR | O_CREAT | O_TRUNC, S_IRUSR | S_IWUSR));
  if (!file) return errno_status(errno, "cannot make " + shown);
  PM_TRY(write_small_file(file.get(), text, shown));
  PM_TRY(sync(file.get(), shown));
  // link(2) refuses to replace a marker that another process has put there meanwhile.
  const int linked = ::linkat(fd(), marker_temporary_name, fd(), marker_name, 0);
  const int error = errno;
  ::unlinkat(fd(), marker_temporary_name, 0);
  if (linked != 0 && error != EEXIST) return errno_status(error, "cannot make " + shown);
  return sync(fd(), path_);
}

Status Root::check_marker(const std::string& text, const std::string& instance_id) {
  const std::string shown = path_ + "/" + marker_name;
  boost::json::error_code error;
  const auto value = boost::json::parse(text, error);
  const auto* object = error ? nullptr : value.if_object();
  const auto* format = object == nullptr ? nullptr : object->if_contains("format");
  const auto* owner = object == nullptr ? nullptr : object->if_contains("instance_id");
  const auto* medium = object == nullptr ? nullptr : object->if_contains("medium_id");
  if (format == nullptr || !format->is_int64() || owner == nullptr || !owner->is_string() ||
      medium == nullptr || !medium->is_string())
    return {Code::failed_precondition,
            shown + " is damaged; restore it, or choose another root for this tier"};
  if (format->get_int64() != format_version)
    return {Code::failed_precondition,
            shown + " has format " + std::to_string(format->get_int64()) +
                ", and this version of the plugin knows " + std::to_string(format_version)};
  if (std::string(owner->get_string()) != instance_id)
    return {Code::failed_precondition,
            "root " + path_ + " belongs to host instance \"" + std::string(owner->get_string()) +
                "\", and this host is \"" + instance_id + "\"; choose another root"};
  medium_id_ = std::string(medium->get_string());
  if (medium_id_.size() != 16)
    return {Code::failed_precondition, shown + ": medium_id is not 16 hexadecimal digits"};
  // Nobody else writes it, so what a parser forgives is damage, too.
  if (text != marker_text(instance_id, medium_id_))
    return {Code::failed_precondition,
            shown + " is not as this plugin wrote it; restore it, or choose another root"};
  return {};
}

std::string Root::absolute_path(const pm_object_id_t& object, bool sealed) const {
  return path_ + "/" + relative_path(object, sealed);
}

bool Root::accepts_direct() const {
  Descriptor file(open_beneath(fd(), probe_name, O_RDWR | O_CREAT | O_DIRECT, S_IRUSR | S_IWUSR));
  bool accepted = false;
  void* block = nullptr;
  if (file && ::posix_memalign(&block, block_bytes, block_bytes) == 0) {
    std::memset(block, 0, block_bytes);
    const auto whole = static_cast<ssize_t>(block_bytes);
    accepted = ::pwrite(file.get(), block, block_bytes, 0) == whole &&
               ::pread(file.get(), block, block_bytes, 0) == whole;
    std::free(block);
  }
  ::unlinkat(fd(), probe_name, 0);
  return accepted;
}

Result<Descriptor> Root::open_bucket(const pm_object_id_t& object) const {
  const std::string name = bucket_name(bucket_of(object));
  Descriptor bucket(open_beneath(fd(), name.c_str(), O_RDONLY | O_DIRECTORY));
  if (!bucket) return errno_status(errno, "cannot open the directory " + path_ + "/" + name);
  return bucket;
}

Status Root::make_bucket(const pm_object_id_t& object) const {
  const std::string name = bucket_name(bucket_of(object));
  const std::string upper = name.substr(0, 2);
  const std::string shown = path_ + "/" + name;
  if (!make_directory(fd(), upper.c_str(), directory_mode_) && errno != EEXIST)
    return errno_status(errno, "cannot make the directory " + path_ + "/" + upper);
  Descriptor parent(open_beneath(fd(), upper.c_str(), O_RDONLY | O_DIRECTORY));
  if (!parent) return errno_status(errno, "cannot open the directory " + path_ + "/" + upper);
  if (!make_directory(parent.get(), name.c_str() + 3, directory_mode_) && errno != EEXIST)
    return errno_status(errno, "cannot make the directory " + shown);
  return {};
}

Status Root::sync_bucket_names(const pm_object_id_t& object) {
  const unsigned bucket = bucket_of(object);
  auto& word = lower_durable_[bucket / 8];
  const auto bit = static_cast<std::uint8_t>(1u << bucket % 8);
  if ((word.load() & bit) != 0) return {};
  if (!upper_durable_[bucket / 256]) {
    PM_TRY(sync(fd(), path_));
    upper_durable_[bucket / 256] = true;
  }
  const std::string upper = bucket_name(bucket).substr(0, 2);
  Descriptor parent(open_beneath(fd(), upper.c_str(), O_RDONLY | O_DIRECTORY));
  if (!parent) return errno_status(errno, "cannot open the directory " + path_ + "/" + upper);
  PM_TRY(sync(parent.get(), path_ + "/" + upper));
  word.fetch_or(bit);
  return {};
}

}  // namespace pm::disk
