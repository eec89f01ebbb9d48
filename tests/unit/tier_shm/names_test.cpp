#include "names.h"

#include <gtest/gtest.h>

#include <cstring>

#include "test_host.h"

namespace pm::shm {
namespace {

const Names names("pm", "0123456789abcdef");

pm_object_id_t example() {
  pm_object_id_t object{};
  for (std::uint8_t i = 0; i < 16; ++i) object.payload[i] = static_cast<std::uint8_t>(i * 17);
  object.generation = 0x1234567890abcdef;
  return object;
}

TEST(ShmNames, segment_name_carries_instance_payload_and_generation) {
  EXPECT_EQ(names.segment(example()),
            "/pm-0123456789abcdef-00112233-4455-6677-8899-aabbccddeeff.1234567890abcdef");
}

TEST(ShmNames, segment_name_is_parsed_back) {
  const auto parsed = names.parse_segment(names.segment(example()).substr(1));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(std::memcmp(parsed->payload, example().payload, 16), 0);
  EXPECT_EQ(parsed->generation, example().generation);
}

TEST(ShmNames, other_names_are_no_segments) {
  const std::string good = names.segment(example()).substr(1);
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = 'X';
    EXPECT_FALSE(names.parse_segment(bad)) << bad;
    EXPECT_FALSE(names.parse_segment(good.substr(0, i))) << i;
  }
  EXPECT_FALSE(names.parse_segment(good + "0"));
  EXPECT_FALSE(names.parse_segment(names.slab(1).substr(1)));
  EXPECT_FALSE(Names("pm", "fedcba9876543210").parse_segment(good));
  EXPECT_FALSE(Names("p", "0123456789abcdef").parse_segment(good));
}

}  // namespace
}  // namespace pm::shm
