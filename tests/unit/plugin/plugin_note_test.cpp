#include "core/plugin/plugin_note.h"

#include <elf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pm/plugin.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <random>

#include "scratch.h"

namespace pm {
namespace {

using testing::HasSubstr;

// Reads the note of a file with these bytes, which lie in memory only.
Result<PluginIdentity> read_bytes(const std::string& bytes) {
  const int descriptor = memfd_create("pm-plugin-note", MFD_CLOEXEC);
  EXPECT_GE(descriptor, 0);
  EXPECT_EQ(write(descriptor, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  auto result = read_plugin_note(descriptor);
  close(descriptor);
  return result;
}

std::string good() { return test::read_all(test::fixture("good")); }

void unload_mark() { unsetenv("PM_FIXTURE_LOADED"); }

TEST(PluginNote, tells_abi_kind_and_id) {
  const auto identity = read_bytes(good());
  ASSERT_TRUE(identity.ok()) << identity.status().message();
  EXPECT_EQ(identity->id, "org.example.fixture");
  EXPECT_EQ(identity->kind, "pm.tier/1");
  EXPECT_TRUE(check_abi(identity->abi_major, identity->abi_minor).ok());
}

TEST(PluginNote, other_versions_of_the_abi_are_told_as_such) {
  for (const char* name : {"wrong_minor", "wrong_major"}) {
    const auto identity = read_bytes(test::read_all(test::fixture(name)));
    ASSERT_TRUE(identity.ok()) << identity.status().message();
    const Status status = check_abi(identity->abi_major, identity->abi_minor);
    EXPECT_EQ(status.code(), Code::failed_precondition);
    EXPECT_EQ(status.reason(), "PLUGIN_ABI_MISMATCH");
  }
  EXPECT_THAT(check_abi(1, 7).message(), HasSubstr("version 1.7 of the plugin ABI"));
}

TEST(PluginNote, missing_note_is_not_found) {
  const auto identity = read_bytes(test::read_all(test::fixture("no_note")));
  EXPECT_EQ(identity.status().code(), Code::not_found);
  EXPECT_THAT(identity.status().message(), HasSubstr("has no section .note.pm"));
}

TEST(PluginNote, unknown_kind_and_endless_id_are_refused) {
  EXPECT_THAT(read_bytes(test::read_all(test::fixture("unknown_kind"))).status().message(),
              HasSubstr("a kind that is none of pm.tier/1"));
  EXPECT_THAT(read_bytes(test::read_all(test::fixture("unterminated_id"))).status().message(),
              HasSubstr("`id` does not end in NUL"));
}

TEST(PluginNote, what_is_no_library_for_this_machine_is_refused) {
  EXPECT_THAT(read_bytes("").status().message(), HasSubstr("is not an ELF file"));
  EXPECT_THAT(read_bytes("#!/bin/sh\n" + std::string(200, 'x')).status().message(),
              HasSubstr("is not an ELF file"));
  EXPECT_THAT(read_bytes(test::read_all("/proc/self/exe").substr(0, 100)).status().message(),
              testing::Not(HasSubstr("is not an ELF file")));
  std::string other = good();
  other[EI_CLASS] = ELFCLASS32;
  EXPECT_THAT(read_bytes(other).status().message(), HasSubstr("another kind of machine"));
  other = good();
  other[offsetof(Elf64_Ehdr, e_machine)] = EM_SPARC;
  EXPECT_THAT(read_bytes(other).status().message(), HasSubstr("another kind of machine"));
  other = good();
  other[offsetof(Elf64_Ehdr, e_type)] = ET_EXEC;
  EXPECT_THAT(read_bytes(other).status().message(), HasSubstr("not a shared library"));
}

TEST(PluginNote, directory_and_pipe_are_refused) {
  const int directory = open("/tmp", O_RDONLY | O_CLOEXEC);
  EXPECT_THAT(read_plugin_note(directory).status().message(), HasSubstr("not a regular file"));
  close(directory);
  int pipe[2];
  ASSERT_EQ(pipe2(pipe, O_CLOEXEC), 0);
  EXPECT_THAT(read_plugin_note(pipe[0]).status().message(), HasSubstr("not a regular file"));
  close(pipe[0]);
  close(pipe[1]);
  EXPECT_EQ(read_plugin_note(-1).status().code(), Code::unavailable);
}

TEST(PluginNote, second_note_is_refused) {
  std::string bytes = good();
  // Gives another section the name of the note.
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  const std::size_t section = sizeof(Elf64_Shdr);
  Elf64_Shdr names;
  std::memcpy(&names, bytes.data() + header.e_shoff + header.e_shstrndx * section, section);
  const std::size_t name = bytes.find(std::string(PM_NOTE_SECTION) + '\0', names.sh_offset);
  ASSERT_NE(name, std::string::npos);
  const auto index = static_cast<Elf64_Word>(name - names.sh_offset);
  std::size_t renamed = 0;
  for (std::size_t i = 1; i < header.e_shnum && renamed == 0; ++i) {
    Elf64_Shdr other;
    std::memcpy(&other, bytes.data() + header.e_shoff + i * section, section);
    if (other.sh_name == index || i == header.e_shstrndx) continue;
    other.sh_name = index;
    std::memcpy(bytes.data() + header.e_shoff + i * section, &other, section);
    renamed = i;
  }
  ASSERT_NE(renamed, 0u);
  EXPECT_THAT(read_bytes(bytes).status().message(), HasSubstr("more than one section .note.pm"));
}

TEST(PluginNote, file_cut_off_anywhere_is_refused) {
  const std::string bytes = good();
  for (std::size_t length = 0; length < bytes.size(); length += 1 + length / 64) {
    EXPECT_FALSE(read_bytes(bytes.substr(0, length)).ok()) << length;
  }
}

TEST(PluginNote, mutations_do_no_harm_and_run_no_code) {
  unload_mark();
  const std::string bytes = good();
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  std::mt19937_64 random(20260301);
  int refused = 0;
  for (int round = 0; round < 4'000; ++round) {
    std::string mutated = bytes;
    // Half of the edits hit the headers and the section table, where the reader looks.
    for (std::size_t edits = 1 + random() % 6; edits > 0; --edits) {
      const std::size_t table = header.e_shoff + random() % (bytes.size() - header.e_shoff);
      const std::size_t places[] = {random() % bytes.size(), random() % sizeof header, table};
      const std::size_t at = places[random() % 3];
      const std::uint64_t values[] = {0, ~0ull, random(), bytes.size(), 0x8000000000000000ull};
      const std::uint64_t value = values[random() % 5];
      const std::size_t width = std::min<std::size_t>(1u << (random() % 4), bytes.size() - at);
      std::memcpy(mutated.data() + at, &value, width);
    }
    if (random() % 4 == 0) mutated.resize(random() % mutated.size());
    refused += read_bytes(mutated).ok() ? 0 : 1;
  }
  EXPECT_GT(refused, 1'000);
  EXPECT_EQ(std::getenv("PM_FIXTURE_LOADED"), nullptr);
}

}  // namespace
}  // namespace pm
