#include "output.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <sstream>

namespace pm::ctl {
namespace {

namespace json = boost::json;

client::Descriptor descriptor_with_name(const std::string& name) {
  client::Descriptor descriptor;
  descriptor.id = *client::PayloadId::parse("00112233-4455-6677-8899-aabbccddeeff");
  descriptor.tier = client::Tier::ram;
  descriptor.state = client::State::active;
  descriptor.version = 18446744073709551615U;
  descriptor.size_bytes = 4096;
  descriptor.location.kind = client::LocationKind::memory;
  descriptor.location.name = name;
  descriptor.location.offset_bytes = 64;
  descriptor.location.length_bytes = 4096;
  descriptor.location.mapping_bytes = 8192;
  descriptor.created_at = client::WallTime(std::chrono::milliseconds(1'700'000'000'042));
  return descriptor;
}

TEST(json_output, a_descriptor_has_this_shape) {
  EXPECT_EQ(json::serialize(descriptor_json(descriptor_with_name("/pm-1"))),
            R"({"id":"00112233-4455-6677-8899-aabbccddeeff","tier":"ram","state":"active",)"
            R"("sizeBytes":4096,"version":18446744073709551615,)"
            R"("location":{"kind":"shm","shmName":"/pm-1","mappingBytes":8192,"slab":0,)"
            R"("blockIndex":0,"offsetBytes":64,"lengthBytes":4096},)"
            R"("createdAt":"2023-11-14T22:13:20.042Z","expiresAt":null})");
}

TEST(json_output, a_file_a_device_and_a_foreign_place_have_these_shapes) {
  client::Descriptor descriptor;
  descriptor.location.kind = client::LocationKind::file;
  descriptor.location.name = "/var/x";
  EXPECT_EQ(json::serialize(descriptor_json(descriptor).at("location")),
            R"({"kind":"file","path":"/var/x","offsetBytes":0,"lengthBytes":0})");
  descriptor.location = {};
  descriptor.location.kind = client::LocationKind::device;
  descriptor.location.device = 2;
  descriptor.location.handle = std::string("\x00\xff", 2);
  EXPECT_EQ(json::serialize(descriptor_json(descriptor).at("location")),
            R"({"kind":"gpu","device":2,"ipcHandle":"00ff","offsetBytes":0,"lengthBytes":0})");
  descriptor.location.kind = client::LocationKind::generic;
  descriptor.location.name = "x://y";
  EXPECT_EQ(json::serialize(descriptor_json(descriptor).at("location")),
            R"({"kind":"generic","uri":"x://y","handle":"00ff","offsetBytes":0,"lengthBytes":0})");
  descriptor.location = {};
  EXPECT_TRUE(descriptor_json(descriptor).at("location").is_null());
}

TEST(json_output, texts_are_escaped) {
  const std::string name = "/a\"b\\c\nd\te\x01 \xc3\xa9";
  const std::string text = json::serialize(descriptor_json(descriptor_with_name(name)));
  EXPECT_NE(text.find(R"("shmName":"/a\"b\\c\nd\te\u0001 é")"), std::string::npos) << text;
  EXPECT_EQ(json::parse(text).at("location").at("shmName").as_string(), name);
}

TEST(json_output, an_unbounded_capacity_is_null) {
  client::Stats stats;
  stats.tiers.push_back({"ram", client::Tier::ram, 1, UINT64_MAX, 1, "ok"});
  stats.tiers.push_back({"disk", client::Tier::disk, 1, UINT64_MAX - 1, 1, "ok"});
  const json::array tiers = stats_json(stats).at("tiers").as_array();
  EXPECT_TRUE(tiers[0].at("bytesCapacity").is_null());
  EXPECT_EQ(tiers[1].at("bytesCapacity").as_uint64(), UINT64_MAX - 1);
}

TEST(table_output, a_cell_has_no_white_space) {
  EXPECT_EQ(cell("a b\n\x7f"), "a\\040b\\012\\177");
  EXPECT_EQ(cell(""), "-");
  EXPECT_EQ(cell("caf\xc3\xa9"), "caf\xc3\xa9");
}

TEST(table_output, columns_line_up_and_lines_have_no_tail) {
  std::ostringstream out;
  Table table(out, {"ID", "TIER", "X"});
  table.add({"1", "object", ""});
  table.add({"22222", "b b", "y"});
  table.flush();
  EXPECT_EQ(out.str(),
            "ID     TIER    X\n"
            "1      object  -\n"
            "22222  b\\040b  y\n");
}

TEST(table_output, a_long_table_has_one_header_and_every_row) {
  std::ostringstream out;
  Table table(out, {"N"});
  for (int i = 0; i < 1234; ++i) table.add({std::to_string(i)});
  table.flush();
  std::istringstream lines(out.str());
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(line, "N");
  for (int i = 0; i < 1234; ++i) {
    ASSERT_TRUE(std::getline(lines, line));
    EXPECT_EQ(line, std::to_string(i));
  }
  EXPECT_FALSE(std::getline(lines, line));
}

}  // namespace
}  // namespace pm::ctl
