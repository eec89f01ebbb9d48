// The root of a disk tier after somebody else was in it: its marker, names and files of any kind.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "input.h"
#include "layout.h"
#include "quiet_host.h"
#include "tier.h"

namespace pm::fuzz {
namespace {

// In memory, as no sync is asked of it. Removed at the end.
class Folder {
 public:
  Folder() {
    char name[] = "/dev/shm/pm-fuzz-disk-XXXXXX";
    expect(::mkdtemp(name) != nullptr, "mkdtemp");
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A name for one file: without slashes, and not a way up.
std::string name_from(std::string_view text) {
  std::string name(text.substr(0, text.find('\0')));
  std::replace(name.begin(), name.end(), '/', '_');
  if (name.empty() || name == "." || name == "..") name = "_";
  return name;
}

void put_file(const std::string& path, std::string_view content, std::uint64_t length) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return;
  const bool written = ::write(file, content.data(), content.size()) >= 0;
  // Lengths up to 1 TiB cost no memory: they are holes.
  if (written && length != 0) static_cast<void>(::ftruncate(file, length % (1LL << 40)) == 0);
  ::close(file);
}

// A file, a directory, a link or a pipe.
void put(const std::string& path, Input& input) {
  switch (input.byte() % 8) {
    case 0: static_cast<void>(::mkdir(path.c_str(), 0700)); break;
    case 1: static_cast<void>(::symlink("/dev/null", path.c_str()) == 0); break;
    case 2: static_cast<void>(::symlink(".", path.c_str()) == 0); break;
    case 3: static_cast<void>(::mkfifo(path.c_str(), 0600)); break;
    default: {
      const std::string_view content = input.text();
      put_file(path, content, input.number());
    }
  }
}

std::string marker_text(const char* owner) {
  return std::string("{\"format\":1,\"instance_id\":\"") + owner +
         "\",\"medium_id\":\"0011223344556677\"}\n";
}

void put_marker(const std::string& root, Input& input) {
  const std::string path = root + "/" + disk::Root::marker_name;
  switch (input.byte() % 4) {
    case 0: put_file(path, marker_text(instance_id), 0); break;
    case 1: put_file(path, input.text(), 0); break;
    case 2: put(path, input); break;
    default: break;
  }
}

// A name that the tier gives to some object, or any at all, in a directory where it belongs or not.
void put_name(const std::string& root, Input& input) {
  const pm_object_id_t object = object_number(input.byte());
  const std::uint8_t how = input.byte();
  std::string folder = disk::bucket_name(disk::bucket_of(object));
  if ((how & 1) != 0) folder = name_from(input.text());
  if ((how & 2) != 0) folder += "/" + name_from(input.text());
  std::error_code error;
  std::filesystem::create_directories(root + "/" + folder, error);
  std::string name = disk::file_name(object, (how & 4) != 0);
  if ((how & 8) != 0) name = name_from(input.text());
  put(root + "/" + folder + "/" + name, input);
}

// What the tier says of itself adds up, and each object it lists can be asked for.
void look(disk::DiskTier& tier) {
  struct Seen {
    disk::DiskTier& tier;
    std::uint64_t objects = 0;
  } seen{tier};
  const Status status = tier.enumerate(
      nullptr,
      [](void* data, const pm_tier_object_t* found) {
        auto& [disk_tier, objects] = *static_cast<Seen*>(data);
        ++objects;
        std::uint64_t charged = 0;
        const Status adopted = disk_tier.adopt(found->object, found->length, &charged);
        expect(found->sealed == 0 || found->length == 0 || adopted.ok() ||
                   adopted.code() == Code::data_loss,
               "a sealed object that is listed is there", adopted.to_string());
        return true;
      },
      &seen);
  expect(!status.ok() || seen.objects == tier.usage().objects, "usage counts what is listed",
         std::to_string(seen.objects) + " of " + std::to_string(tier.usage().objects));
}

void step(disk::DiskTier& tier, Input& input) {
  const std::uint8_t what = input.byte();
  const pm_object_id_t object = object_number(input.byte());
  const std::uint64_t length = input.number();
  std::vector<char> bytes(512);
  std::uint64_t count = 0;
  switch (what % 7) {
    case 0: {
      pm_allocation_t allocation{};
      static_cast<void>(tier.allocate(object, length % (1 << 20), &allocation));
      break;
    }
    case 1: static_cast<void>(tier.adopt(object, length, &count)); break;
    case 2:
      if (tier.read(nullptr, object, length, bytes.data(), bytes.size(), &count).ok()) {
        expect(count <= bytes.size(), "a read fills its buffer at most");
      }
      break;
    case 3:
      static_cast<void>(tier.write(nullptr, object, length, bytes.data(), bytes.size()));
      break;
    case 4: static_cast<void>(tier.seal(object, length)); break;
    case 5: static_cast<void>(tier.remove(object)); break;
    default: static_cast<void>(tier.set_length(object, length, input.number())); break;
  }
}

void check_name(std::string_view text) {
  const auto name = disk::parse_file_name(text);
  if (!name) return;
  expect(disk::file_name(name->object, name->sealed) == text, "a name has one form",
         std::string(text));
}

}  // namespace
}  // namespace pm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pm;
  fuzz::Input input(data, size);
  fuzz::check_name({reinterpret_cast<const char*>(data), size});
  const fuzz::Folder folder;
  fuzz::put_marker(folder.path(), input);
  for (int names = input.byte() % 16; names > 0 && !input.empty(); --names) {
    fuzz::put_name(folder.path(), input);
  }
  disk::Options options;
  options.root = folder.path();
  options.capacity_bytes = 1 << 24;
  auto tier = disk::DiskTier::open(sdk::Host(fuzz::quiet_host()), options);
  if (!tier.ok()) {
    fuzz::expect(!tier.status().message().empty(), "a tier that does not open says why");
    return 0;
  }
  fuzz::look(**tier);
  for (int steps = 0; steps < 64 && !input.empty(); ++steps) fuzz::step(**tier, input);
  fuzz::look(**tier);
  return 0;
}
