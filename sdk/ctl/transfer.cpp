#include "transfer.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

namespace pm::ctl {
namespace {

using Clock = std::chrono::steady_clock;

// Between two looks at signals and the progress line.
constexpr std::size_t chunk_bytes = std::size_t{8} << 20;

class File {
 public:
  explicit File(int number, bool owned = true) noexcept : number_(number), owned_(owned) {}
  File(File&& other) noexcept : number_(std::exchange(other.number_, -1)), owned_(other.owned_) {}
  File& operator=(File&&) = delete;
  ~File() {
    if (number_ >= 0 && owned_) ::close(number_);
  }
  int number() const noexcept { return number_; }

 private:
  int number_;
  bool owned_;
};

Status local_error(const std::string& what) { return {Code::unknown, what}; }

Status system_error(const std::string& what) {
  return local_error(what + ": " + std::strerror(errno));  // NOLINT(concurrency-mt-unsafe)
}

// Reads until `bytes` is full or the input ends; says how much came.
Result<std::size_t> read_some(int file, std::span<std::byte> bytes, const std::string& name) {
  for (;;) {
    PM_TRY(Interruption::check());
    const ssize_t count = ::read(file, bytes.data(), std::min(bytes.size(), chunk_bytes));
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) return system_error("cannot read " + name);
  }
}

Status write_all(int file, std::span<const std::byte> bytes, const std::string& name,
                 const OnProgress& on_progress) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    PM_TRY(Interruption::check());
    const ssize_t count =
        ::write(file, bytes.data() + done, std::min(bytes.size() - done, chunk_bytes));
    if (count < 0 && errno != EINTR) return system_error("cannot write " + name);
    if (count > 0) done += static_cast<std::size_t>(count);
    on_progress(done, bytes.size());
  }
  return {};
}

struct Input {
  File file;
  std::string name;
  std::uint64_t size_bytes;
};

// Copies a pipe to an unlinked file, because an allocation needs to know its size.
Result<Input> spool(const Input& pipe) {
  const char* named = std::getenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe)
  const std::string folder = named != nullptr && *named != '\0' ? named : "/tmp";
  File file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.number() < 0) return system_error("cannot make a temporary file in " + folder);
  const OnProgress ignore = [](std::uint64_t, std::uint64_t) {};
  std::vector<std::byte> buffer(std::size_t{1} << 20);
  std::uint64_t size_bytes = 0;
  for (;;) {
    const auto count = read_some(pipe.file.number(), buffer, pipe.name);
    if (!count) return count.status();
    if (*count == 0) break;
    PM_TRY(write_all(file.number(), std::span(buffer).first(*count), folder, ignore));
    size_bytes += *count;
  }
  if (::lseek(file.number(), 0, SEEK_SET) != 0) return system_error("cannot rewind " + folder);
  return Input{std::move(file), pipe.name, size_bytes};
}

Result<Input> open_input(const std::string& path) {
  const bool standard = path == "-";
  Input input{File(standard ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC), !standard),
              standard ? "standard input" : path, 0};
  if (input.file.number() < 0) return system_error("cannot open " + input.name);
  struct stat info {};
  if (::fstat(input.file.number(), &info) != 0) return system_error("cannot stat " + input.name);
  if (S_ISDIR(info.st_mode)) return local_error(input.name + " is a directory");
  if (!S_ISREG(info.st_mode)) return spool(input);
  const off_t position = ::lseek(input.file.number(), 0, SEEK_CUR);
  if (position < 0) return system_error("cannot seek in " + input.name);
  input.size_bytes = static_cast<std::uint64_t>(std::max<off_t>(info.st_size - position, 0));
  return input;
}

Status fill(std::span<std::byte> bytes, const Input& input, const OnProgress& on_progress) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto count = read_some(input.file.number(), bytes.subspan(done), input.name);
    if (!count) return count.status();
    if (*count == 0) {
      return local_error(input.name + " became shorter while it was read: " + std::to_string(done) +
                         " of " + std::to_string(bytes.size()) + " bytes");
    }
    done += *count;
    on_progress(done, bytes.size());
  }
  std::byte beyond{};
  const auto count = read_some(input.file.number(), {&beyond, 1}, input.name);
  if (!count) return count.status();
  if (*count != 0) return local_error(input.name + " became longer while it was read");
  return {};
}

// A leased payload, and the moment after which its block may hold other bytes.
struct Held {
  client::ReadLease lease;
  Clock::time_point sure_until;

  Status check() const {
    if (Clock::now() < sure_until) return {};
    return {Code::aborted,
            "the lease ended before its bytes were read; ask for a longer one with"
            " --duration-ms, or lease again"};
  }
};

Result<Held> hold(client::Client& client, const client::PayloadId& id,
                  const client::LeaseOptions& options) {
  // Counted from before the call: the server cannot have granted it earlier.
  const Clock::time_point asked = Clock::now();
  auto lease = client.open(id, options);
  if (!lease) return lease.status();
  const std::uint64_t duration_ms = lease->lease().duration_ms;
  const auto sure_until =
      duration_ms == 0 ? Clock::time_point::max() : asked + std::chrono::milliseconds(duration_ms);
  return Held{*std::move(lease), sure_until};
}

Status check_length(int file, std::uint64_t expected_bytes, const std::string& path) {
  struct stat info {};
  if (::fstat(file, &info) != 0) return system_error("cannot stat " + path);
  if (static_cast<std::uint64_t>(info.st_size) == expected_bytes) return {};
  return local_error(path + " has " + std::to_string(info.st_size) + " bytes, not " +
                     std::to_string(expected_bytes));
}

mode_t permissions_for_new_files() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return 0666 & ~mask;
}

Status write_and_rename(const Held& held, const std::string& path, const OnProgress& on_progress) {
  std::string temporary = path + ".XXXXXX";
  const File file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (file.number() < 0) return system_error("cannot make a file beside " + path);
  const auto attempt = [&]() -> Status {
    const std::span<const std::byte> bytes = held.lease.bytes();
    PM_TRY(write_all(file.number(), bytes, temporary, on_progress));
    PM_TRY(check_length(file.number(), held.lease.descriptor().size_bytes, temporary));
    PM_TRY(held.check());
    if (::fchmod(file.number(), permissions_for_new_files()) != 0) {
      return system_error("cannot set the permissions of " + temporary);
    }
    if (::rename(temporary.c_str(), path.c_str()) == 0) return {};
    return system_error("cannot rename " + temporary + " to " + path);
  };
  const Status status = attempt();
  if (!status) ::unlink(temporary.c_str());
  return status;
}

// Standard output, pipes and devices have no temporary name.
Status write_through(const Held& held, const std::string& path, const OnProgress& on_progress) {
  const bool standard = path == "-";
  const File file(standard ? STDOUT_FILENO : ::open(path.c_str(), O_WRONLY | O_CLOEXEC), !standard);
  const std::string name = standard ? "standard output" : path;
  if (file.number() < 0) return system_error("cannot open " + name);
  PM_TRY(write_all(file.number(), held.lease.bytes(), name, on_progress));
  return held.check();
}

bool is_special_file(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
}

}  // namespace

Result<client::Descriptor> put_file(client::Client& client, const std::string& path,
                                    const client::CreateOptions& options,
                                    const OnProgress& on_progress) {
  auto input = open_input(path);
  if (!input) return input.status();
  if (input->size_bytes == 0) {
    return local_error(input->name + " is empty, and a payload has at least one byte");
  }
  auto payload = client.create(input->size_bytes, options);
  if (!payload) return payload.status();
  PM_TRY(fill(payload->bytes(), *input, on_progress));
  PM_TRY(Interruption::check());
  return payload->commit();
}

Result<client::Descriptor> get_file(client::Client& client, const client::PayloadId& id,
                                    const std::string& path, const client::LeaseOptions& options,
                                    const OnProgress& on_progress) {
  auto held = hold(client, id, options);
  if (!held) return held.status();
  const client::Descriptor descriptor = held->lease.descriptor();
  const Status status = path == "-" || is_special_file(path)
                            ? write_through(*held, path, on_progress)
                            : write_and_rename(*held, path, on_progress);
  if (!status) return status;
  PM_TRY(held->lease.release());
  return descriptor;
}

Result<Hashed> hash_payload(client::Client& client, const client::PayloadId& id,
                            const client::LeaseOptions& options) {
  auto held = hold(client, id, options);
  if (!held) return held.status();
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash(EVP_MD_CTX_new(),
                                                                     EVP_MD_CTX_free);
  bool hashed = hash && EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr) == 1;
  std::span<const std::byte> bytes = held->lease.bytes();
  while (hashed && !bytes.empty()) {
    PM_TRY(Interruption::check());
    const auto chunk = bytes.first(std::min(bytes.size(), chunk_bytes));
    hashed = EVP_DigestUpdate(hash.get(), chunk.data(), chunk.size()) == 1;
    bytes = bytes.subspan(chunk.size());
  }
  std::array<unsigned char, 32> digest{};
  unsigned length = 0;
  hashed = hashed && EVP_DigestFinal_ex(hash.get(), digest.data(), &length) == 1;
  if (!hashed || length != digest.size()) return local_error("OpenSSL cannot hash with SHA-256");
  PM_TRY(held->check());
  static constexpr char digits[] = "0123456789abcdef";
  Hashed result{held->lease.descriptor(), {}};
  for (const unsigned char byte : digest) {
    result.sha256 += digits[byte >> 4];
    result.sha256 += digits[byte & 15];
  }
  PM_TRY(held->lease.release());
  return result;
}

}  // namespace pm::ctl
