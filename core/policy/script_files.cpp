#include "script_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "words.h"

namespace pm::policy {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t files_max = 256;
constexpr std::size_t bytes_max = SandboxLimits().source_bytes_max;
constexpr const char* extension = ".lua";

struct Place {
  std::string path;
  std::string name;
};

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return descriptor_; }

 private:
  const int descriptor_;
};

Status failed(const std::string& path, int error) {
  const Code code = error == ENOENT ? Code::not_found : Code::failed_precondition;
  return {code, path + ": " + std::strerror(error)};
}

// Hidden files are what editors leave behind, and what config maps are made of.
bool is_script(const std::string& name) {
  return name.size() > std::strlen(extension) && name.front() != '.' && name.ends_with(extension);
}

// The names of the scripts in a directory, sorted.
Result<std::vector<std::string>> names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(directory, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (!is_script(name)) continue;
    // It stands in errors and answers.
    if (printable(name, name.size()) != name) {
      return Status(Code::invalid_argument, directory + ": a script's name cannot be printed");
    }
    if (names.size() >= files_max) {
      return Status(Code::invalid_argument,
                    directory + ": there are more than " + std::to_string(files_max) + " scripts");
    }
    names.push_back(std::move(name));
  }
  if (error) return failed(directory, error.value());
  std::ranges::sort(names);
  return names;
}

Status no_such_policy(const ScriptPlaces& places, const std::string& name) {
  std::string words = "no policy '" + name + "' ships in " + places.shipped_directory;
  const auto names = names_in(places.shipped_directory);
  if (!names.ok()) return {names.status().code(), words + ": " + names.status().message()};
  words += names->empty() ? "; there are none" : "; there are ";
  for (const std::string& file : *names) {
    words += file.substr(0, file.size() - std::strlen(extension));
    if (&file != &names->back()) words += ", ";
  }
  return {Code::not_found, words};
}

Result<std::vector<Place>> files_of(const ScriptPlaces& places) {
  std::vector<Place> files;
  for (const std::string& name : places.use) {
    const std::string file = name + extension;
    // A name is no path to somewhere else.
    const bool is_plain = name.find('/') == std::string::npos && is_script(file);
    const std::string path = places.shipped_directory + "/" + file;
    if (!is_plain || ::access(path.c_str(), F_OK) != 0) return no_such_policy(places, name);
    files.push_back({path, file});
  }
  if (places.directory.empty()) return files;
  const auto names = names_in(places.directory);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) files.push_back({places.directory + "/" + name, name});
  return files;
}

}  // namespace

Result<SourceFile> read_script(const std::string& path, const std::string& name) {
  // A pipe would be waited for.
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return failed(path, errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return failed(path, errno);
  if (!S_ISREG(status.st_mode)) {
    return Status(Code::failed_precondition, path + ": it is no regular file");
  }
  SourceFile source{name, {}};
  std::array<char, 16 << 10> part{};
  while (true) {
    const ssize_t count = ::read(file.get(), part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed(path, errno);
    if (count == 0) return source;
    source.text.append(part.data(), static_cast<std::size_t>(count));
    if (source.text.size() > bytes_max) {
      return Status(Code::invalid_argument,
                    path + ": it is longer than " + std::to_string(bytes_max) + " bytes");
    }
  }
}

Result<std::vector<SourceFile>> read_scripts(const ScriptPlaces& places) {
  const auto files = files_of(places);
  if (!files.ok()) return files.status();
  std::vector<SourceFile> sources;
  for (const Place& file : *files) {
    auto source = read_script(file.path, file.name);
    if (!source.ok()) return source.status();
    sources.push_back(*std::move(source));
  }
  return sources;
}

std::string fingerprint_of(const ScriptPlaces& places) {
  const auto files = files_of(places);
  if (!files.ok()) return files.status().message();
  std::string text;
  for (const Place& file : *files) {
    struct stat status {};
    text += file.path;
    if (::stat(file.path.c_str(), &status) != 0) {
      text += ": " + std::string(std::strerror(errno)) + "\n";
      continue;
    }
    // The number changes when a file is put in another's place.
    for (const std::int64_t number :
         {static_cast<std::int64_t>(status.st_ino), static_cast<std::int64_t>(status.st_size),
          static_cast<std::int64_t>(status.st_mtim.tv_sec),
          static_cast<std::int64_t>(status.st_mtim.tv_nsec)}) {
      text += " " + std::to_string(number);
    }
    text += "\n";
  }
  return text;
}

}  // namespace pm::policy
