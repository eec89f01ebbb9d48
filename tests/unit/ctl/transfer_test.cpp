// put, get and sha256: bytes between files and payloads, and what is left when something fails.

#include "transfer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "fake_server.h"

namespace pm::ctl {
namespace {

namespace fs = std::filesystem;

const OnProgress quiet = [](std::uint64_t, std::uint64_t) {};

std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>((i * 131 + i / 4096) & 0xff);
  return bytes;
}

std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class TransferTest : public testing::Test {
 protected:
  TransferTest() : client_(*client::Client::connect(server_.address())) {}

  std::string path(const char* name) const { return server_.folder() + "/" + name; }
  std::string write(const char* name, const std::string& bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }
  std::string stored(const client::PayloadId& id) const {
    return server_.bytes_of(std::string(id.bytes.begin(), id.bytes.end()));
  }
  // Runs the real program under a shell, with $CTL before its arguments; its exit status.
  int shell(const std::string& script) const {
    const char* build = std::getenv("PM_BUILD_DIR");
    const std::string setup = "export PM_ADDRESS='" + server_.address() + "' CTL='" +
                              std::string(build != nullptr ? build : ".") + "/bin/payloadctl'; " +
                              "cd '" + server_.folder() + "'; ";
    const int status = std::system((setup + script).c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  test::FakeServer server_;
  client::Client client_;
};

TEST_F(TransferTest, a_file_comes_back_as_it_went) {
  for (const std::size_t size : {1U, 4096U, 4097U, 9U << 20}) {
    const std::string bytes = pattern(size);
    const auto put = put_file(client_, write("in", bytes), {}, quiet);
    ASSERT_TRUE(put.ok()) << put.status().to_string();
    EXPECT_EQ(put->size_bytes, size);
    EXPECT_TRUE(stored(put->id) == bytes);
    const auto get = get_file(client_, put->id, path("out"), {}, quiet);
    ASSERT_TRUE(get.ok()) << get.status().to_string();
    EXPECT_TRUE(read_all(path("out")) == bytes);
  }
  EXPECT_EQ(server_.leases(), 0U);
}

TEST_F(TransferTest, progress_reaches_the_total) {
  const std::string in = write("in", pattern(20 << 20));
  std::vector<std::uint64_t> seen;
  const OnProgress note = [&seen](std::uint64_t done_bytes, std::uint64_t total_bytes) {
    EXPECT_EQ(total_bytes, 20U << 20);
    seen.push_back(done_bytes);
  };
  ASSERT_TRUE(put_file(client_, in, {}, note).ok());
  EXPECT_GT(seen.size(), 1U);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.back(), 20U << 20);
}

TEST_F(TransferTest, get_replaces_a_file_and_leaves_no_temporary_one) {
  const auto put = put_file(client_, write("in", "payload"), {}, quiet);
  ASSERT_TRUE(put.ok());
  fs::create_directory(path("folder"));
  write("folder/out", "an older and longer content");
  ASSERT_TRUE(get_file(client_, put->id, path("folder/out"), {}, quiet).ok());
  EXPECT_EQ(read_all(path("folder/out")), "payload");
  EXPECT_EQ(std::distance(fs::directory_iterator(path("folder")), {}), 1);
}

TEST_F(TransferTest, get_that_fails_leaves_the_old_file_alone) {
  const auto put = put_file(client_, write("in", pattern(100'000)), {}, quiet);
  ASSERT_TRUE(put.ok());
  fs::create_directory(path("folder"));
  write("folder/out", "old");
  client::LeaseOptions short_lease;
  short_lease.duration_ms = 1;
  const OnProgress slow = [](std::uint64_t, std::uint64_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  };
  const auto get = get_file(client_, put->id, path("folder/out"), short_lease, slow);
  EXPECT_EQ(get.status().code(), Code::aborted) << get.status().to_string();
  EXPECT_EQ(read_all(path("folder/out")), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(path("folder")), {}), 1);
  EXPECT_EQ(server_.leases(), 0U);
}

TEST_F(TransferTest, get_into_a_device_does_not_replace_it) {
  const auto put = put_file(client_, write("in", "payload"), {}, quiet);
  ASSERT_TRUE(put.ok());
  ASSERT_TRUE(get_file(client_, put->id, "/dev/null", {}, quiet).ok());
  struct stat info {};
  ASSERT_EQ(::stat("/dev/null", &info), 0);
  EXPECT_TRUE(S_ISCHR(info.st_mode));
}

TEST_F(TransferTest, input_that_cannot_be_stored_allocates_nothing) {
  for (const std::string& in : {path("missing"), server_.folder(), write("empty", "")}) {
    EXPECT_EQ(put_file(client_, in, {}, quiet).status().code(), Code::unknown) << in;
  }
  EXPECT_EQ(server_.calls("AllocatePayload"), 0);
}

TEST_F(TransferTest, a_file_that_changes_while_it_is_read_is_not_stored) {
  for (const std::size_t length : {std::size_t{9} << 20, std::size_t{30} << 20}) {
    const std::string in = write("in", pattern(20 << 20));
    const OnProgress change = [&in, length](std::uint64_t, std::uint64_t) {
      fs::resize_file(in, length);
    };
    EXPECT_EQ(put_file(client_, in, {}, change).status().code(), Code::unknown);
    EXPECT_EQ(server_.payloads(), 0U);
  }
}

TEST_F(TransferTest, a_refused_commit_leaves_no_payload) {
  server_.fail("CommitPayload", {grpc::StatusCode::DATA_LOSS, "the tier failed to sync"});
  const auto put = put_file(client_, write("in", "payload"), {}, quiet);
  EXPECT_EQ(put.status().code(), Code::data_loss);
  EXPECT_EQ(server_.payloads(), 0U);
}

TEST_F(TransferTest, a_server_that_dies_during_put_is_unavailable) {
  const OnProgress die = [this](std::uint64_t, std::uint64_t) { server_.die(); };
  const auto put = put_file(client_, write("in", pattern(9 << 20)), {}, die);
  EXPECT_EQ(put.status().code(), Code::unavailable);
}

TEST_F(TransferTest, a_server_that_dies_during_get_is_unavailable) {
  const auto put = put_file(client_, write("in", pattern(9 << 20)), {}, quiet);
  ASSERT_TRUE(put.ok());
  const OnProgress die = [this](std::uint64_t, std::uint64_t) { server_.die(); };
  const auto get = get_file(client_, put->id, path("out"), {}, die);
  EXPECT_EQ(get.status().code(), Code::unavailable);
}

TEST_F(TransferTest, sha256_is_of_the_mapped_bytes) {
  const auto put = put_file(client_, write("in", "abc"), {}, quiet);
  ASSERT_TRUE(put.ok());
  const auto hashed = hash_payload(client_, put->id, {});
  ASSERT_TRUE(hashed.ok());
  // FIPS 180-4's example.
  EXPECT_EQ(hashed->sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(server_.leases(), 0U);
}

TEST_F(TransferTest, the_program_goes_through_pipes) {
  const std::string bytes = pattern(3'000'001);
  write("in", bytes);
  EXPECT_EQ(shell("id=$(cat in | $CTL put - -o json | sed 's/.*\"id\":\"\\([^\"]*\\).*/\\1/') && "
                  "$CTL get $id - | cat > out && cmp in out && "
                  "test \"$($CTL sha256 $id | tail -1 | cut -d' ' -f1)\" = "
                  "\"$(sha256sum < in | cut -d' ' -f1)\""),
            0);
  EXPECT_EQ(server_.payloads(), 1U);
  EXPECT_EQ(server_.leases(), 0U);
}

TEST_F(TransferTest, the_program_reads_a_redirected_file_from_where_it_stands) {
  write("in", "skip:rest");
  EXPECT_EQ(shell("{ head -c 5 >/dev/null; $CTL put - >/dev/null; } < in"), 0);
  EXPECT_THAT(server_.last_allocation(), testing::HasSubstr(R"("sizeBytes":"4")"));
}

TEST_F(TransferTest, the_program_gives_its_lease_back_when_the_reader_goes_away) {
  const auto put = put_file(client_, write("in", pattern(3'000'000)), {}, quiet);
  ASSERT_TRUE(put.ok());
  EXPECT_EQ(shell("{ $CTL get " + put->id.to_string() + " - 2>err; echo $? > status; } | true"), 0);
  EXPECT_EQ(read_all(path("status")), "1\n");
  EXPECT_THAT(read_all(path("err")), testing::HasSubstr("standard output"));
  EXPECT_EQ(server_.leases(), 0U);
}

TEST_F(TransferTest, the_program_deletes_its_allocation_when_interrupted) {
  // A sparse file of 512 MiB takes long enough to read for a signal to come in between.
  const std::string in = write("in", "");
  fs::resize_file(in, std::uintmax_t{1} << 29);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::setenv("PM_ADDRESS", server_.address().c_str(), 1);
    const std::string program = std::string(std::getenv("PM_BUILD_DIR")) + "/bin/payloadctl";
    const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(null, STDERR_FILENO);
    ::execl(program.c_str(), "payloadctl", "put", in.c_str(), "--tier", "disk", nullptr);
    ::_exit(126);
  }
  while (server_.payloads() == 0 && ::waitpid(child, nullptr, WNOHANG) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ASSERT_EQ(server_.payloads(), 1U);
  ::kill(child, SIGINT);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGINT);
  EXPECT_EQ(server_.payloads(), 0U);
}

}  // namespace
}  // namespace pm::ctl
