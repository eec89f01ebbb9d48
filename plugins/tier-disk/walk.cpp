#include "walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <string>

namespace pm::disk {

namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using DirectoryStream = std::unique_ptr<DIR, CloseDirectory>;

class Walker {
 public:
  Walker(const Root& root, const Visit& visit) : root_(root), visit_(visit) {}

  Result<WalkTotals> run() {
    // A fresh descriptor: the position of a directory belongs to the open file.
    const int fd = open_beneath(root_.fd(), ".", O_RDONLY | O_DIRECTORY);
    if (fd < 0) return errno_status(errno, "cannot open the directory " + root_.path());
    PM_TRY(each_name(fd, root_.path(), [&](int top, const char* name) {
      if (std::string_view(name) == Root::marker_name) return Status();
      const auto upper = parse_hex_byte(name);
      return upper ? enter_upper(top, name, *upper) : stranger();
    }));
    return totals_;
  }

 private:
  template <typename Action>
  Status each_name(int fd, const std::string& shown, const Action& action) {
    DirectoryStream stream(::fdopendir(fd));
    if (!stream) {
      const int error = errno;
      Descriptor closes(fd);
      return errno_status(error, "cannot list " + shown);
    }
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(stream.get());
      if (entry == nullptr) break;
      const std::string_view name(entry->d_name);
      if (name == "." || name == "..") continue;
      PM_TRY(action(fd, entry->d_name));
      if (ended_) return {};
    }
    return errno == 0 ? Status() : errno_status(errno, "cannot list " + shown, Code::data_loss);
  }

  Status stranger() {
    ++totals_.strangers;
    return {};
  }

  // What is no directory, or a link to one, is a stranger, and what vanished is nothing.
  Status enter(int parent, const char* name, const std::string& shown,
               const std::function<Status(int)>& action) {
    const int fd = open_beneath(parent, name, O_RDONLY | O_DIRECTORY);
    if (fd >= 0) return action(fd);
    if (errno == ENOENT) return {};
    if (errno == ENOTDIR || errno == ELOOP) return stranger();
    return errno_status(errno, "cannot open the directory " + shown);
  }

  Status enter_upper(int top, const char* name, unsigned upper) {
    const std::string shown = root_.path() + "/" + name;
    return enter(top, name, shown, [&](int fd) {
      return each_name(fd, shown, [&](int parent, const char* lower_name) {
        const auto lower = parse_hex_byte(lower_name);
        return lower ? enter_lower(parent, lower_name, upper * 256 + *lower) : stranger();
      });
    });
  }

  Status enter_lower(int parent, const char* name, unsigned bucket) {
    const std::string shown = root_.path() + "/" + bucket_name(bucket);
    return enter(parent, name, shown, [&](int fd) {
      return each_name(fd, shown, [&](int directory, const char* file) {
        return visit_file(directory, file, bucket, shown);
      });
    });
  }

  Status visit_file(int directory, const char* file, unsigned bucket, const std::string& shown) {
    const auto name = parse_file_name(file);
    if (!name || bucket_of(name->object) != bucket) return stranger();
    struct stat state {};
    if (::fstatat(directory, file, &state, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) return {};
      return errno_status(errno, "cannot stat " + shown + "/" + file, Code::data_loss);
    }
    if (!S_ISREG(state.st_mode)) return stranger();
    const auto length = static_cast<std::uint64_t>(state.st_size);
    ++totals_.objects;
    totals_.bytes_charged += round_up_to_block(length);
    ended_ = !visit_(*name, length);
    return {};
  }

  const Root& root_;
  const Visit& visit_;
  WalkTotals totals_;
  bool ended_ = false;
};

}  // namespace

Result<WalkTotals> walk(const Root& root, const Visit& visit) { return Walker(root, visit).run(); }

}  // namespace pm::disk
