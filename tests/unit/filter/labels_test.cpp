#include "core/api/labels.h"
#include "core/api/texts.h"

#include <gtest/gtest.h>

namespace pm::api::test {
namespace {

TEST(label_key, is_what_the_contract_says) {
  for (const char* key : {"a", "7", "team", "app.kubernetes.io/name", "a-b_c.d/e", "a--b"}) {
    EXPECT_TRUE(is_label_key(key)) << key;
  }
  EXPECT_TRUE(is_label_key(std::string(63, 'k')));
  EXPECT_FALSE(is_label_key(std::string(64, 'k')));
  for (const char* key : {"", "A", "teaM", "-a", "a-", ".a", "a.", "/a", "a/", "_", "a b", "a=b",
                          "a\nb", "\xc3\xa4", "a:b"}) {
    EXPECT_FALSE(is_label_key(key)) << key;
  }
}

TEST(label_value, is_utf8_without_control_characters) {
  for (const char* value : {"", " ", "a=b", "Ärger 7", "\xe2\x82\xac", "\xc2\xa0"}) {
    EXPECT_TRUE(is_plain_text(value)) << value;
  }
  EXPECT_TRUE(is_plain_text(std::string(255, 'v')));
  EXPECT_FALSE(is_plain_text(std::string(256, 'v')));
  for (const std::string& value : {std::string("\n"), std::string("a\tb"), std::string(1, '\0'),
                                   std::string("\x7f"), std::string("a\xc2\x85")}) {
    EXPECT_FALSE(is_plain_text(value)) << value;
  }
}

TEST(labels, are_read_in_order_and_refused_by_name) {
  LabelMap map;
  map["b"] = "2";
  map["a"] = "1";
  catalog::Labels labels;
  ASSERT_TRUE(read_labels(map, labels).ok());
  EXPECT_EQ(labels, (catalog::Labels{{"a", "1"}, {"b", "2"}}));
  map["c"] = "\n";
  const Status status = read_labels(map, labels);
  EXPECT_EQ(status.reason(), "LABEL_INVALID");
  EXPECT_NE(status.message().find("'c'"), std::string::npos);
  map.clear();
  for (int number = 0; number < 65; ++number) map["k" + std::to_string(number)] = "";
  EXPECT_EQ(read_labels(map, labels).reason(), "LABELS_FULL");
}

}  // namespace
}  // namespace pm::api::test
