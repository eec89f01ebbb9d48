#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "shm_tier.h"
#include "test_host.h"

// Memory of one NUMA node, on a machine that hwloc is told of: two nodes, of which nothing is bound
// to, as they are not there; and on this one, which has at least one.

namespace pm::shm {
namespace {

class NumaTest : public testing::Test {
 protected:
  void SetUp() override { ::setenv("HWLOC_SYNTHETIC", "numa:2 core:2 pu:1", 1); }
  void TearDown() override { ::unsetenv("HWLOC_SYNTHETIC"); }

  Result<std::unique_ptr<ShmTier>> open(const std::string& key) {
    const std::string json =
        R"({"capacity_bytes": 1048576, "slab_bytes": 65536, "mode": "0600", "prefix": ")" +
        host_.prefix() + "\"" + key + "}";
    return ShmTier::open(host_.host(), sdk::Config(json.c_str()));
  }
  static std::map<std::string, std::int64_t> facts_of(const ShmTier& tier) {
    std::map<std::string, std::int64_t> facts;
    tier.visit_facts(
        [](void* data, const char* name, std::int64_t value) {
          static_cast<std::map<std::string, std::int64_t>*>(data)->emplace(name, value);
          return true;
        },
        &facts);
    return facts;
  }
  static void write_both_layouts(ShmTier& tier) {
    for (const std::uint32_t flags : {0u, std::uint32_t{PM_ALLOCATE_SLAB}}) {
      const pm_object_id_t object = object_number(flags + 1);
      const pm_allocate_options_t options{sizeof options, flags, 1000, 0};
      pm_allocation_t allocation{};
      ASSERT_TRUE(tier.allocate(nullptr, object, 8192, options, allocation).ok());
      EXPECT_TRUE(tier.write(object, allocation.cookie, 0, "bytes", 5).ok());
      EXPECT_TRUE(tier.seal(object, allocation.cookie, 8192).ok());
      EXPECT_TRUE(tier.remove(object, allocation.cookie, 8192).ok());
    }
  }

  // What the kernel says of a mapping of the slab, whoever makes it; empty: nothing.
  static std::string policy_of_slab(ShmTier& tier) {
    const pm_object_id_t object = object_number(9);
    const pm_allocate_options_t options{sizeof options, PM_ALLOCATE_SLAB, 1000, 0};
    pm_allocation_t allocation{};
    EXPECT_TRUE(tier.allocate(nullptr, object, 4096, options, allocation).ok());
    char text[256] = "";
    pm_location_t location{};
    location.size = sizeof location;
    location.text = text;
    location.text_capacity = sizeof text;
    EXPECT_TRUE(tier.locate(object, allocation.cookie, 4096, location).ok());
    const auto slab = ShmFile::open(text, O_RDWR);
    EXPECT_TRUE(slab.ok()) << text;
    void* const memory = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, slab->get(), 0);
    std::ifstream maps("/proc/self/numa_maps");
    std::string line;
    while (std::getline(maps, line) && line.find(text) == std::string::npos) {
    }
    ::munmap(memory, 4096);
    EXPECT_TRUE(tier.remove(object, allocation.cookie, 4096).ok());
    return line.find(text) == std::string::npos ? std::string() : line;
  }

  TestHost host_;
};

TEST_F(NumaTest, a_tier_tells_the_node_that_it_was_given) {
  const auto tier = open(R"(, "numa_node": 1)");
  ASSERT_TRUE(tier.ok()) << tier.status().to_string();
  EXPECT_EQ(facts_of(**tier), (std::map<std::string, std::int64_t>{{"numa_node", 1}}));
  write_both_layouts(**tier);
}

TEST_F(NumaTest, a_tier_without_a_node_tells_nothing) {
  const auto tier = open("");
  ASSERT_TRUE(tier.ok()) << tier.status().to_string();
  EXPECT_TRUE(facts_of(**tier).empty());
}

TEST_F(NumaTest, a_node_that_is_not_there_is_refused_with_those_that_are) {
  const auto tier = open(R"(, "numa_node": 2)");
  ASSERT_FALSE(tier.ok());
  EXPECT_EQ(tier.status().code(), Code::invalid_argument);
  EXPECT_EQ(tier.status().message(), "numa_node: this machine has no NUMA node 2; it has 0, 1");
  EXPECT_EQ(host_.entries(), 0);
}

TEST_F(NumaTest, memory_of_this_machine_can_be_bound) {
  ::unsetenv("HWLOC_SYNTHETIC");
  const auto tier = open(R"(, "numa_node": 0)");
  if (!tier.ok() && tier.status().code() == Code::invalid_argument) GTEST_SKIP() << "no node 0";
  if (!tier.ok() && tier.status().code() == Code::permission_denied) {
    GTEST_SKIP() << "a sandbox keeps processes from saying where memory is to be";
  }
  ASSERT_TRUE(tier.ok()) << tier.status().to_string();
  write_both_layouts(**tier);
  const std::string shown = policy_of_slab(**tier);
  if (shown.empty()) GTEST_SKIP() << "the kernel does not show where memory is wanted";
  EXPECT_NE(shown.find("prefer"), std::string::npos) << shown;
}

}  // namespace
}  // namespace pm::shm
