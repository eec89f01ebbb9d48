#include <fcntl.h>
#include <sys/mman.h>

#include "disk_tier.h"

namespace pm::test {
namespace {

// Lengths around the block and around the least direct transfer.
const std::vector<std::size_t> lengths = {
    1, 4095, 4096, 4097, 65535, 65536, 70000, (1 << 20) + 7, (9u << 20) + 4095};

class DiskTransfer : public testing::TestWithParam<bool> {
 protected:
  const TemporaryDirectory directory;
  const SmallHost host;
  DiskTier tier{host, DiskTier::FromConfig{},
                "{\"root\":\"" + directory.path() +
                    "\",\"capacity_bytes\":0,\"file_mode\":\"0600\",\"direct\":" +
                    (GetParam() ? "true" : "false") + ",\"depth\":8}"};
};
INSTANTIATE_TEST_SUITE_P(direct_and_not, DiskTransfer, testing::Bool());

TEST_P(DiskTransfer, what_is_written_is_read) {
  for (const std::size_t length : lengths) {
    for (const std::size_t misalignment : {0u, 8u}) {
      const auto object = DiskTier::id(1, length * 2 + misalignment);
      AlignedBuffer source(length + 8);
      AlignedBuffer target(length + 8);
      fill(source.data() + misalignment, length, length);
      ASSERT_EQ(tier.allocate(object, length), PM_OK) << host.error();
      ASSERT_EQ(tier.write(object, 0, source.data() + misalignment, length), PM_OK) << host.error();
      ASSERT_EQ(tier.seal(object, length), PM_OK) << host.error();
      EXPECT_EQ(std::filesystem::file_size(tier.locate(object)), length);
      std::uint64_t count = 0;
      ASSERT_EQ(tier.read(object, 0, target.data() + misalignment, length, &count), PM_OK);
      EXPECT_EQ(count, length);
      EXPECT_EQ(std::memcmp(source.data(), target.data(), length + 8), 0) << length;
    }
  }
}

TEST_P(DiskTransfer, what_a_client_writes_through_the_page_cache_is_read) {
  for (const std::size_t length : lengths) {
    const auto object = DiskTier::id(2, length);
    ASSERT_EQ(tier.allocate(object, length), PM_OK) << host.error();
    const int fd = ::open(tier.locate(object).c_str(), O_RDWR);
    ASSERT_GE(fd, 0);
    void* mapping = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ASSERT_NE(mapping, MAP_FAILED);
    fill(static_cast<char*>(mapping), length, length);
    const std::size_t half = length / 2;  // And the rest by write(2), over it.
    const auto bytes = pattern(length, length + 1);
    ASSERT_EQ(::pwrite(fd, bytes.data() + half, length - half, static_cast<off_t>(half)),
              static_cast<ssize_t>(length - half));
    ::munmap(mapping, length);
    ::close(fd);
    ASSERT_EQ(tier.seal(object, length), PM_OK) << host.error();

    AlignedBuffer target(length);
    std::uint64_t count = 0;
    ASSERT_EQ(tier.read(object, 0, target.data(), length, &count), PM_OK);
    EXPECT_EQ(std::memcmp(target.data(), pattern(length, length).data(), half), 0);
    EXPECT_EQ(std::memcmp(target.data() + half, bytes.data() + half, length - half), 0);
  }
}

TEST_P(DiskTransfer, a_client_reads_what_was_written) {
  const auto object = DiskTier::id(3);
  const auto bytes = pattern((2 << 20) + 77);
  tier.put(object, bytes);
  EXPECT_EQ(file_bytes(tier.locate(object)), bytes);
}

TEST_P(DiskTransfer, unaligned_ranges_over_each_other_stay_coherent) {
  const auto object = DiskTier::id(4);
  const std::size_t length = (3 << 20) + 123;
  AlignedBuffer expected(length);
  ASSERT_EQ(tier.allocate(object, length), PM_OK);
  std::uint64_t state = 5;
  for (int i = 0; i < 200; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::uint64_t offset = (state >> 20) % length;
    if (i % 2 == 0) offset = offset / 4096 * 4096;  // Half of them have a direct part.
    const std::uint64_t size = std::min<std::uint64_t>(length - offset, (state >> 40) % 300000);
    fill(expected.data() + offset, size, state);
    ASSERT_EQ(tier.write(object, offset, expected.data() + offset, size), PM_OK) << host.error();
  }
  ASSERT_EQ(tier.seal(object, length), PM_OK) << host.error();
  AlignedBuffer target(length);
  std::uint64_t count = 0;
  ASSERT_EQ(tier.read(object, 0, target.data(), length, &count), PM_OK);
  EXPECT_EQ(std::memcmp(target.data(), expected.data(), length), 0);
  EXPECT_EQ(file_bytes(tier.locate(object)),
            std::vector<char>(expected.data(), expected.data() + length));
}

TEST_P(DiskTransfer, read_ends_at_the_end_of_the_object) {
  const auto object = DiskTier::id(5);
  const std::size_t length = (1 << 20) + 7;
  tier.put(object, pattern(length));
  AlignedBuffer target(2 << 20);
  std::uint64_t count = 0;
  ASSERT_EQ(tier.read(object, 0, target.data(), 2 << 20, &count), PM_OK) << host.error();
  EXPECT_EQ(count, length);
  ASSERT_EQ(tier.read(object, 1 << 20, target.data(), 1 << 20, &count), PM_OK) << host.error();
  EXPECT_EQ(count, 7u);
  ASSERT_EQ(tier.read(object, 4 << 20, target.data(), 1 << 20, &count), PM_OK) << host.error();
  EXPECT_EQ(count, 0u);
}

TEST_P(DiskTransfer, ranges_out_of_bounds_are_refused) {
  const auto object = DiskTier::id(6);
  char byte = 0;
  std::uint64_t count = 0;
  EXPECT_EQ(tier.write(object, 0, &byte, 1), PM_NOT_FOUND);
  EXPECT_EQ(tier.read(object, 0, &byte, 1, &count), PM_NOT_FOUND);
  ASSERT_EQ(tier.allocate(object, 100), PM_OK);
  EXPECT_EQ(tier.write(object, 100, &byte, 1), PM_OUT_OF_RANGE);
  EXPECT_EQ(tier.write(object, UINT64_MAX, &byte, 1), PM_OUT_OF_RANGE);
  EXPECT_EQ(tier.write(object, 1, &byte, UINT64_MAX), PM_OUT_OF_RANGE);
  EXPECT_EQ(tier.write(object, 100, &byte, 0), PM_OK);
  EXPECT_EQ(tier.read(object, UINT64_MAX, &byte, 1, &count), PM_OUT_OF_RANGE);
  EXPECT_EQ(std::filesystem::file_size(tier.locate(object)), 100u);
}

TEST_P(DiskTransfer, a_cancelled_call_ends) {
  const auto object = DiskTier::id(8);
  ASSERT_EQ(tier.allocate(object, 20 << 20), PM_OK);
  const AlignedBuffer source(20 << 20);
  pm_call_context_t context{};
  context.size = sizeof(context);
  int calls = 0;
  context.host_data = &calls;
  context.is_cancelled = [](const pm_call_context_t* asked) {
    return ++*static_cast<int*>(asked->host_data) > 1;
  };
  const pm_cookie_t cookie{};
  EXPECT_EQ(tier.abi()->write(tier.abi(), &context, &object, &cookie, 0,
                              const_cast<AlignedBuffer&>(source).data(), 20 << 20),
            PM_CANCELLED);
  EXPECT_NE(host.error().find("cancelled after 8388608 bytes"), std::string::npos);
}

}  // namespace
}  // namespace pm::test
