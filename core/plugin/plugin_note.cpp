#include "core/plugin/plugin_note.h"

#include <elf.h>
#include <pm/frontend.h>
#include <pm/plugin.h>
#include <pm/repository.h>
#include <pm/tier.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace pm {
namespace {

constexpr std::uint64_t kNameBytesMax = sizeof PM_NOTE_SECTION;

#if defined(__x86_64__)
constexpr Elf64_Half kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr Elf64_Half kMachine = EM_AARCH64;
#else
#error "Tell here which e_machine of elf(5) this machine has."
#endif

Status damaged(const std::string& what) {
  return {Code::invalid_argument, "the ELF file is damaged: " + what, "PLUGIN_DAMAGED"};
}

// A file of known length; every read is checked against it.
class FileBytes {
 public:
  explicit FileBytes(int descriptor) : descriptor_(descriptor) {}

  Status open() {
    struct stat status {};
    if (fstat(descriptor_, &status) != 0) {
      return {Code::unavailable, std::string("cannot be read: ") + std::strerror(errno)};
    }
    if (!S_ISREG(status.st_mode)) return {Code::invalid_argument, "is not a regular file"};
    size_ = static_cast<std::uint64_t>(status.st_size);
    return {};
  }

  // True when [offset, offset + length) lies in the file.
  bool holds(std::uint64_t offset, std::uint64_t length) const {
    return offset <= size_ && length <= size_ - offset;
  }

  Status read(std::uint64_t offset, void* target, std::size_t length, const char* what) const {
    if (!holds(offset, length)) return damaged(std::string(what) + " lies past the end");
    auto* bytes = static_cast<char*>(target);
    while (length > 0) {
      const ssize_t count = pread(descriptor_, bytes, length, static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) {
        return {Code::unavailable, std::string("cannot be read: ") + std::strerror(errno)};
      }
      if (count == 0) return damaged(std::string(what) + " was cut off");
      bytes += count;
      offset += static_cast<std::uint64_t>(count);
      length -= static_cast<std::size_t>(count);
    }
    return {};
  }

 private:
  int descriptor_;
  std::uint64_t size_ = 0;
};

Status read_header(const FileBytes& file, Elf64_Ehdr& header) {
  if (!file.holds(0, sizeof header)) {
    return {Code::failed_precondition, "is not an ELF file: too short"};
  }
  PM_TRY(file.read(0, &header, sizeof header, "the header"));
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    return {Code::failed_precondition, "is not an ELF file"};
  }
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_machine != kMachine) {
    return {Code::failed_precondition, "is an ELF file for another kind of machine"};
  }
  if (header.e_type != ET_DYN) {
    return {Code::failed_precondition, "is an ELF file, and not a shared library"};
  }
  if (header.e_shentsize != sizeof(Elf64_Shdr)) return damaged("section headers of odd size");
  const std::uint64_t table_bytes = std::uint64_t{header.e_shnum} * sizeof(Elf64_Shdr);
  if (!file.holds(header.e_shoff, table_bytes)) {
    return damaged("the section headers lie past the end");
  }
  if (header.e_shnum > 0 && header.e_shstrndx >= header.e_shnum) {
    return damaged("no section holds the names of sections");
  }
  return {};
}

Status read_section(const FileBytes& file, const Elf64_Ehdr& header, std::uint32_t index,
                    Elf64_Shdr& section) {
  const std::uint64_t offset = header.e_shoff + std::uint64_t{index} * sizeof section;
  return file.read(offset, &section, sizeof section, "a section header");
}

// Sets `is_note` when the section's name is that of the note.
Status compare_name(const FileBytes& file, const Elf64_Shdr& names, const Elf64_Shdr& section,
                    bool& is_note) {
  is_note = false;
  if (section.sh_name >= names.sh_size) return damaged("a section's name lies past the names");
  if (names.sh_size - section.sh_name < kNameBytesMax) return {};
  std::array<char, kNameBytesMax> name{};
  PM_TRY(
      file.read(names.sh_offset + section.sh_name, name.data(), name.size(), "a section's name"));
  is_note = std::memcmp(name.data(), PM_NOTE_SECTION, kNameBytesMax) == 0;
  return {};
}

Status find_note(const FileBytes& file, Elf64_Shdr& note) {
  Elf64_Ehdr header{};
  PM_TRY(read_header(file, header));
  std::uint32_t found = 0;
  if (header.e_shnum > 0) {
    Elf64_Shdr names{};
    PM_TRY(read_section(file, header, header.e_shstrndx, names));
    if (!file.holds(names.sh_offset, names.sh_size)) {
      return damaged("the names of sections lie past the end");
    }
    for (std::uint32_t index = 1; index < header.e_shnum; ++index) {
      Elf64_Shdr section{};
      PM_TRY(read_section(file, header, index, section));
      bool is_note = false;
      PM_TRY(compare_name(file, names, section, is_note));
      if (!is_note) continue;
      note = section;
      ++found;
    }
  }
  if (found == 0) {
    return {Code::not_found, "has no section " PM_NOTE_SECTION ", so it is not a plugin",
            "PLUGIN_NOTE_MISSING"};
  }
  if (found > 1) return damaged("more than one section " PM_NOTE_SECTION);
  return {};
}

// The text in a NUL-terminated field of the note.
template <std::size_t capacity>
Result<std::string> note_text(const char (&field)[capacity], const char* name) {
  const void* end = std::memchr(field, '\0', capacity);
  if (end == nullptr) {
    return Status{Code::invalid_argument,
                  std::string("its note is not allowed: `") + name + "` does not end in NUL"};
  }
  return std::string(field);
}

bool is_id(std::string_view id) {
  if (id.empty() || id.front() == '.' || id.back() == '.') return false;
  for (const char c : id) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && !(c >= '0' && c <= '9') && c != '.' && c != '-' && c != '_') return false;
  }
  return true;
}

Result<PluginIdentity> parse_note(const pm_plugin_note_t& note) {
  constexpr std::uint32_t kDataBytes = sizeof(pm_plugin_note_t) - 16;
  if (note.name_size != 4 || note.data_size != kDataBytes || note.type != PM_NOTE_TYPE ||
      std::memcmp(note.owner, "pm\0", 4) != 0) {
    return Status{Code::invalid_argument,
                  "its note is not one of PM_PLUGIN_NOTE (owner, type or size differ)"};
  }
  auto kind = note_text(note.kind, "kind");
  if (!kind.ok()) return kind.status();
  auto id = note_text(note.id, "id");
  if (!id.ok()) return id.status();
  // The ABI comes first: a later one may know kinds that this host does not, and says so better.
  PluginIdentity identity{note.abi_major, note.abi_minor, *kind, *id};
  if (!check_abi(note.abi_major, note.abi_minor).ok() && is_id(*id)) return identity;
  if (*kind != PM_KIND_TIER && *kind != PM_KIND_REPOSITORY && *kind != PM_KIND_FRONTEND) {
    return Status{Code::invalid_argument, "its note names a kind that is none of " PM_KIND_TIER
                                          ", " PM_KIND_REPOSITORY ", " PM_KIND_FRONTEND};
  }
  if (!is_id(*id)) {
    return Status{Code::invalid_argument,
                  "its note has an id that is not reverse DNS, like org.example.tier-tape"};
  }
  return identity;
}

}  // namespace

Result<PluginIdentity> read_plugin_note(int descriptor) {
  FileBytes file(descriptor);
  PM_TRY(file.open());
  Elf64_Shdr section{};
  PM_TRY(find_note(file, section));
  // AddressSanitizer lays zeros behind the note, so the section may be longer.
  if (section.sh_type == SHT_NOBITS || section.sh_size < sizeof(pm_plugin_note_t)) {
    return damaged("the section " PM_NOTE_SECTION " has " + std::to_string(section.sh_size) +
                   " bytes, less than the " + std::to_string(sizeof(pm_plugin_note_t)) +
                   " of a note");
  }
  pm_plugin_note_t note{};
  PM_TRY(file.read(section.sh_offset, &note, sizeof note, "the note"));
  return parse_note(note);
}

Status check_abi(std::uint32_t abi_major, std::uint32_t abi_minor) {
  if (abi_major == PM_ABI_MAJOR && abi_minor == PM_ABI_MINOR) return {};
  return {Code::failed_precondition,
          "is built for version " + std::to_string(abi_major) + "." + std::to_string(abi_minor) +
              " of the plugin ABI, and this host has " + std::to_string(PM_ABI_MAJOR) + "." +
              std::to_string(PM_ABI_MINOR) + "; build it against this host's headers",
          "PLUGIN_ABI_MISMATCH"};
}

}  // namespace pm
