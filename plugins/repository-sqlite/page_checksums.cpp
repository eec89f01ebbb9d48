#include "page_checksums.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

namespace pm::repository_sqlite {

namespace {

// Of the database file format (https://sqlite.org/fileformat.html, section 1.3).
constexpr std::string_view magic("SQLite format 3", 16);  // With its NUL.
constexpr int header_bytes = 100;
constexpr int reserved_at = 20;        // Bytes that each page leaves free at its end.
constexpr int application_id_at = 68;  // 32 bits, big-endian.
constexpr int page_bytes_min = 512;
constexpr int page_bytes_max = 65536;

// A second sign of checksums, so that no single damaged byte turns them off: "PmCk".
constexpr std::uint32_t application_id = 0x506d436b;
constexpr int checksum_bytes = sizeof(XXH64_hash_t);

thread_local std::uint64_t damaged_page_of_thread = 0;

bool is_header(const unsigned char* bytes) {
  return std::memcmp(bytes, magic.data(), magic.size()) == 0;
}

bool keeps_checksums(const unsigned char* header) {
  std::uint32_t id = 0;
  for (int i = 0; i < 4; ++i) id = id << 8 | header[application_id_at + i];
  return header[reserved_at] == checksum_bytes || id == application_id;
}

// SQLite reads and writes whole pages, but for some fields of the header.
bool is_page(int length, sqlite3_int64 offset) {
  const bool is_size =
      length >= page_bytes_min && length <= page_bytes_max && (length & (length - 1)) == 0;
  return is_size && offset % length == 0;
}

std::uint64_t number_of(int length, sqlite3_int64 offset) {
  return static_cast<std::uint64_t>(offset / length) + 1;
}

std::array<unsigned char, checksum_bytes> checksum_of(const unsigned char* page, int length,
                                                      sqlite3_int64 offset) {
  const auto bytes = static_cast<std::size_t>(length - checksum_bytes);
  XXH64_canonical_t canonical;
  XXH64_canonicalFromHash(&canonical, XXH3_64bits_withSeed(page, bytes, number_of(length, offset)));
  std::array<unsigned char, checksum_bytes> result;
  std::memcpy(result.data(), canonical.digest, result.size());
  return result;
}

// The system's methods of a file with some put before them. Which table a file has says what is
// known of it, so that nothing has to be kept beside SQLite's own structure.
struct Methods : sqlite3_io_methods {
  const sqlite3_io_methods* system;
  const Methods* checking;  // Of the same file, once it is known to keep checksums.
};

const Methods& methods_of(const sqlite3_file* file) {
  return *static_cast<const Methods*>(file->pMethods);
}

int damaged(int length, sqlite3_int64 offset) {
  damaged_page_of_thread = number_of(length, offset);
  return SQLITE_IOERR_DATA;
}

int check(const unsigned char* page, int length, sqlite3_int64 offset) {
  const auto wanted = checksum_of(page, length, offset);
  const bool is_as_written =
      std::memcmp(page + length - checksum_bytes, wanted.data(), wanted.size()) == 0;
  return is_as_written ? SQLITE_OK : damaged(length, offset);
}

int read_checked(sqlite3_file* file, void* data, int length, sqlite3_int64 offset) {
  const sqlite3_io_methods* system = methods_of(file).system;
  const int code = system->xRead(file, data, length, offset);
  if (!is_page(length, offset)) return code;
  if (code == SQLITE_OK) return check(static_cast<const unsigned char*>(data), length, offset);
  if (code != SQLITE_IOERR_SHORT_READ) return code;
  // SQLite goes on with zeros for what is not there. A page behind the end may be read so, a part
  // of a page was cut off.
  sqlite3_int64 size = 0;
  const int found = system->xFileSize(file, &size);
  if (found != SQLITE_OK) return found;
  return size > offset ? damaged(length, offset) : code;
}

int write_checked(sqlite3_file* file, const void* data, int length, sqlite3_int64 offset) {
  const sqlite3_io_methods* system = methods_of(file).system;
  if (!is_page(length, offset)) return system->xWrite(file, data, length, offset);
  // Not in SQLite's buffer, which may be one of its cache that a reader looks at.
  alignas(16) thread_local unsigned char page[page_bytes_max];
  std::memcpy(page, data, static_cast<std::size_t>(length));
  const auto checksum = checksum_of(page, length, offset);
  std::memcpy(page + length - checksum_bytes, checksum.data(), checksum.size());
  return system->xWrite(file, page, length, offset);
}

// A database without checksums is left to the system from now on.
void decide(sqlite3_file* file, const unsigned char* header) {
  const Methods& undecided = methods_of(file);
  if (keeps_checksums(header))
    file->pMethods = undecided.checking;
  else
    file->pMethods = undecided.system;
}

int read_undecided(sqlite3_file* file, void* data, int length, sqlite3_int64 offset) {
  const int code = methods_of(file).system->xRead(file, data, length, offset);
  const auto* bytes = static_cast<const unsigned char*>(data);
  if (code != SQLITE_OK || offset != 0 || length < header_bytes || !is_header(bytes)) return code;
  decide(file, bytes);
  const bool checks = keeps_checksums(bytes) && is_page(length, offset);
  return checks ? check(bytes, length, offset) : SQLITE_OK;
}

int write_undecided(sqlite3_file* file, const void* data, int length, sqlite3_int64 offset) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  if (offset != 0 || length < header_bytes || !is_header(bytes))
    return methods_of(file).system->xWrite(file, data, length, offset);
  decide(file, bytes);
  return file->pMethods->xWrite(file, data, length, offset);
}

// Mapped pages would not be read; SQLite then reads them.
int fetch_nothing(sqlite3_file*, sqlite3_int64, int, void** page) {
  *page = nullptr;
  return SQLITE_OK;
}

int characteristics_of_whole_pages(sqlite3_file* file) {
  int result = methods_of(file).system->xDeviceCharacteristics(file);
#ifdef SQLITE_IOCAP_SUBPAGE_READ
  result &= ~SQLITE_IOCAP_SUBPAGE_READ;
#endif
  return result;
}

struct Tables {
  Methods undecided{};
  Methods checking{};

  explicit Tables(const sqlite3_io_methods* system) {
    static_cast<sqlite3_io_methods&>(checking) = *system;
    checking.system = system;
    checking.checking = &checking;
    checking.xDeviceCharacteristics = characteristics_of_whole_pages;
    if (system->iVersion >= 3) checking.xFetch = fetch_nothing;
    undecided = checking;
    checking.xRead = read_checked;
    checking.xWrite = write_checked;
    undecided.xRead = read_undecided;
    undecided.xWrite = write_undecided;
  }
  Tables(const Tables&) = delete;
  Tables& operator=(const Tables&) = delete;
};

// The system has a few tables of methods, one for each way to lock.
const Methods* undecided_of(const sqlite3_io_methods* system) {
  static std::mutex mutex;
  static std::map<const sqlite3_io_methods*, Tables> tables;
  const std::lock_guard lock(mutex);
  return &tables.try_emplace(system, system).first->second.undecided;
}

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* result) {
  sqlite3_vfs* system = sqlite3_vfs_find(nullptr);
  const int code = system->xOpen(system, name, file, flags, result);
  if (code == SQLITE_OK && (flags & SQLITE_OPEN_MAIN_DB) != 0)
    file->pMethods = undecided_of(file->pMethods);
  return code;
}

}  // namespace

const char* page_checksum_vfs() {
  static sqlite3_vfs vfs = [] {
    sqlite3_vfs made = *sqlite3_vfs_find(nullptr);
    made.zName = "pm-page-checksums";
    made.pNext = nullptr;
    made.xOpen = open_file;
    return made;
  }();
  static const int registered = sqlite3_vfs_register(&vfs, 0);
  return registered == SQLITE_OK ? vfs.zName : nullptr;
}

Result<PageChecksums> find_page_checksums(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, header_bytes> header{};
  file.read(header.data(), header.size());
  std::error_code error;
  if (file.gcount() == 0 || std::filesystem::exists(path + "-journal", error))
    return PageChecksums::undecided;
  const auto* bytes = reinterpret_cast<const unsigned char*>(header.data());
  if (file.gcount() < header_bytes || !is_header(bytes))
    return Status(Code::data_loss, path + " does not begin as a SQLite database does");
  return keeps_checksums(bytes) ? PageChecksums::kept : PageChecksums::none;
}

Status reserve_page_checksums(const Connection& connection) {
  int reserved = checksum_bytes;
  const int code =
      sqlite3_file_control(connection.handle(), "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
  if (code != SQLITE_OK) return connection.failure(code, "reserving room for page checksums");
  return connection.run(("PRAGMA application_id=" + std::to_string(application_id)).c_str());
}

std::uint64_t damaged_page() { return damaged_page_of_thread; }

}  // namespace pm::repository_sqlite
