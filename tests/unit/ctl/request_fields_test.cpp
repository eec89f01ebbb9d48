#include "request_fields.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "call_verbs.h"
#include "message_view.h"
#include "payload/manager/admin/v1/inspect.pb.h"
#include "payload/manager/catalog/v1/lineage.pb.h"
#include "payload/manager/catalog/v1/metadata.pb.h"
#include "payload/manager/runtime/v1/stream.pb.h"

// From options to requests, and from replies to text.

namespace pm::ctl {
namespace {

namespace catalog = payload::manager::catalog::v1;
namespace runtime = payload::manager::runtime::v1;
namespace core = payload::manager::core::v1;

constexpr const char* id_text = "00112233-4455-6677-8899-aabbccddeeff";

RequestField field_of(const google::protobuf::Message& request, const std::string& option) {
  for (const RequestField& field : request_fields(request)) {
    if (field.option == option) return field;
  }
  ADD_FAILURE() << "no option " << option;
  return {};
}

TEST(request_fields, opens_messages_and_leaves_pages_out) {
  std::vector<std::string> options;
  for (const auto& field : request_fields(catalog::UpdatePayloadMetadataRequest())) {
    options.push_back(field.option);
  }
  std::sort(options.begin(), options.end());
  EXPECT_EQ(options, (std::vector<std::string>{"actor", "data", "id", "mode", "reason",
                                               "request-id", "schema"}));
  for (const auto& field : request_fields(runtime::ListStreamsRequest())) {
    EXPECT_EQ(field.option.find("page"), std::string::npos);
  }
}

TEST(request_fields, sets_ids_enums_bytes_and_pairs) {
  catalog::UpdatePayloadMetadataRequest request;
  EXPECT_TRUE(set_field(request, field_of(request, "id"), id_text).ok());
  EXPECT_TRUE(set_field(request, field_of(request, "mode"), "replace").ok());
  EXPECT_TRUE(set_field(request, field_of(request, "data"), "a text").ok());
  EXPECT_EQ(request.id().value().size(), 16u);
  EXPECT_EQ(request.mode(), core::METADATA_UPDATE_MODE_REPLACE);
  EXPECT_EQ(request.metadata().data(), "a text");
  EXPECT_FALSE(set_field(request, field_of(request, "id"), "no id").ok());
  const Status bad = set_field(request, field_of(request, "mode"), "melt");
  EXPECT_NE(bad.message().find("--mode"), std::string::npos) << bad.message();
  EXPECT_NE(bad.message().find("merge, replace"), std::string::npos) << bad.message();
}

TEST(request_fields, takes_bytes_from_a_file) {
  const std::string path = testing::TempDir() + "pm-request-fields";
  std::ofstream(path, std::ios::binary) << std::string("a\0b", 3);
  catalog::UpdatePayloadMetadataRequest request;
  EXPECT_TRUE(set_field(request, field_of(request, "data"), "@" + path).ok());
  EXPECT_EQ(request.metadata().data(), std::string("a\0b", 3));
  EXPECT_FALSE(set_field(request, field_of(request, "data"), "@/no/such/file").ok());
}

TEST(request_fields, makes_elements_by_position_and_fills_all_of_them_by_options) {
  runtime::AppendRequest request;
  EXPECT_TRUE(set_field(request, field_of(request, "stream"), "lab/frames").ok());
  RequestField item = field_of(request, "payload-id");
  item.adds_element = true;
  EXPECT_TRUE(set_field(request, item, id_text).ok());
  EXPECT_TRUE(set_field(request, item, id_text).ok());
  EXPECT_TRUE(set_field(request, field_of(request, "tags"), "a=b=c").ok());
  EXPECT_TRUE(set_field(request, field_of(request, "duration-ns"), "18446744073709551615").ok());
  EXPECT_TRUE(set_field(request, field_of(request, "event-time"), "2026-01-02T03:04:05Z").ok());
  EXPECT_EQ(request.stream().namespace_(), "lab");
  EXPECT_EQ(request.stream().name(), "frames");
  ASSERT_EQ(request.items_size(), 2);
  for (const auto& entry : request.items()) {
    EXPECT_EQ(entry.tags().at("a"), "b=c");
    EXPECT_EQ(entry.duration_ns(), UINT64_MAX);
    EXPECT_EQ(entry.event_time().seconds(), 1767323045);
  }
  for (const auto& [option, text] : std::vector<std::pair<std::string, std::string>>{
           {"tags", "nothing"}, {"duration-ns", "-1"}, {"event-time", "yesterday"}}) {
    EXPECT_FALSE(set_field(request, field_of(request, option), text).ok()) << option;
  }
}

TEST(request_fields, reads_checksums) {
  core::Checksum checksum;
  const RequestField field{"checksum", {}, {}, false, false};
  EXPECT_TRUE(set_value(checksum, field, "crc32c:00ff10a0").ok());
  EXPECT_EQ(checksum.algorithm(), core::CHECKSUM_ALGORITHM_CRC32C);
  EXPECT_EQ(checksum.value(), std::string("\x00\xff\x10\xa0", 4));
  EXPECT_TRUE(set_value(checksum, field, "sha256").ok());
  EXPECT_TRUE(checksum.value().empty());
  EXPECT_FALSE(set_value(checksum, field, "sha256:0").ok());
  EXPECT_FALSE(set_value(checksum, field, "sha256:zz").ok());
  EXPECT_FALSE(set_value(checksum, field, "md5").ok());
}

TEST(message_view, shows_ids_times_enums_bytes_and_maps) {
  runtime::StreamEntry entry;
  entry.mutable_stream()->set_name("frames");
  entry.set_offset(UINT64_MAX);
  EXPECT_EQ(field_text(entry, "append_time"), "");
  entry.mutable_append_time()->set_seconds(1767323045);
  (*entry.mutable_tags())["k"] = "v";
  EXPECT_EQ(field_text(entry, "offset"), "18446744073709551615");
  EXPECT_EQ(field_text(entry, "stream.name"), "frames");
  EXPECT_EQ(field_text(entry, "append_time"), "2026-01-02T03:04:05.000Z");
  EXPECT_EQ(field_text(entry, "tags"), "k=v");
  EXPECT_EQ(enum_text(*core::Tier_descriptor(), 2), "ram");
  EXPECT_EQ(enum_text(*core::Tier_descriptor(), 100), "tier-100");
  EXPECT_EQ(enum_text(*core::PromotionPolicy_descriptor(), 1), "best-effort");
  catalog::PayloadMetadata metadata;
  metadata.set_data(std::string("\0\xff", 2));
  EXPECT_EQ(field_text(metadata, "data"), "base64=AP8=");
  EXPECT_TRUE(set_value(*metadata.mutable_id(), RequestField(), id_text).ok());
  EXPECT_EQ(field_text(metadata, "id"), id_text);
}

TEST(call_verbs, name_fields_that_are_there) {
  for (const CallVerb& verb : call_verbs()) {
    const auto fields = request_fields(verb.request());
    for (const char* name : verb.positional) {
      EXPECT_TRUE(std::any_of(fields.begin(), fields.end(),
                              [&](const RequestField& field) { return field.option == name; }))
          << verb.name << ": " << name;
    }
    const auto* row = verb.reply().GetDescriptor();
    if (verb.rows != nullptr) {
      ASSERT_NE(row->FindFieldByName(verb.rows), nullptr) << verb.name;
      row = row->FindFieldByName(verb.rows)->message_type();
    }
    for (const std::string path : verb.columns) {
      const auto* at = row;
      std::size_t begin = 0;
      while (at != nullptr && begin < path.size()) {
        const std::size_t end = std::min(path.find('.', begin), path.size());
        const auto* field = at->FindFieldByName(path.substr(begin, end - begin));
        ASSERT_NE(field, nullptr) << verb.name << ": " << path;
        at = field->message_type();
        begin = end + 1;
      }
    }
  }
}

}  // namespace
}  // namespace pm::ctl
