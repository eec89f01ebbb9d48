#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "core/config/toml_reader.h"
#include "sources.h"

namespace pm {
namespace {

using testing::HasSubstr;

std::string repeat(const std::string& text, std::size_t count) {
  std::string out;
  out.reserve(text.size() * count);
  while (count-- > 0) out += text;
  return out;
}

// The first error of `text`, or "" when it can be read.
std::string first_error(const std::string& text) {
  config::Errors errors;
  const auto root = config::read_toml(text, "FILE", errors);
  EXPECT_EQ(root.has_value(), errors.empty());
  return errors.empty() ? "" : errors.texts()[0];
}

TEST(HostileToml, deep_nesting_is_refused) {
  EXPECT_THAT(first_error("a = " + repeat("[", 300'000)), HasSubstr("FILE:1: syntax: "));
  EXPECT_THAT(first_error("a = " + repeat("{a=", 300'000)), HasSubstr("FILE:1: syntax: "));
  EXPECT_THAT(first_error("\n" + repeat("a.", 300'000) + "a = 1"),
              HasSubstr("FILE:2: syntax: more than 64 dots on one line"));
  EXPECT_THAT(first_error("[" + repeat("a.", 300'000) + "a]"), HasSubstr("more than 64 dots"));
  EXPECT_THAT(first_error("[[" + repeat("a . ", 100'000) + "a]]"), HasSubstr("more than 64 dots"));
}

TEST(HostileToml, nesting_by_many_lines_is_refused) {
  const std::string level = "{" + repeat("a.", 60) + "a = [\n";
  EXPECT_NE(first_error("a = [\n" + repeat(level, 31)), "");
  EXPECT_NE(first_error("a = [\n" + repeat(level, 31) + repeat("]}\n", 31) + "]"), "");
  const std::string deep = "[" + repeat("a.", 60) + "a]\n" + repeat("b.", 60) + "b = 1\n";
  EXPECT_THAT(first_error(deep), HasSubstr("is nested deeper than 64 levels"));
}

TEST(HostileToml, a_huge_text_is_refused) {
  EXPECT_THAT(first_error(std::string(2u << 20, '\n')), HasSubstr("at most 1 MiB"));
  const test::Loaded loaded(std::string(3u << 20, '#'));
  EXPECT_THAT(loaded.text(), HasSubstr("a configuration has at most 1 MiB"));
}

TEST(HostileToml, many_keys_take_seconds_at_most) {
  std::string text;
  for (int i = 0; text.size() < 1'000'000; ++i) text += "k" + std::to_string(i) + "=1\n";
  EXPECT_EQ(first_error(text), "");
}

TEST(HostileToml, binary_is_refused) {
  std::string bytes;
  for (int i = 0; i < 4096; ++i) bytes += static_cast<char>(i * 37);
  EXPECT_THAT(first_error(bytes), HasSubstr("FILE:1: syntax: "));
  EXPECT_THAT(first_error(std::string("\x7f"
                                      "ELF\0\0",
                                      6)),
              HasSubstr("FILE:1: syntax: "));
  EXPECT_NE(first_error("a = \"\xff\xfe\""), "");
  EXPECT_EQ(first_error(""), "");
  EXPECT_EQ(first_error("\xEF\xBB\xBF"
                        "a = 1"),
            "");
}

TEST(HostileToml, text_cut_off_anywhere_does_no_harm) {
  const std::string text = std::string(default_config_text()) +
                           "x = { y = [1, 2.5e3, '''a\nb''', \"\"\"c\\\n d\"\"\"], z = 0x1F }\n"
                           "[[a.b]]\nt = 1979-05-27T07:32:00Z\n[a.\"c d\".e]\nf = -inf\n";
  for (std::size_t length = 0; length <= text.size(); ++length) {
    first_error(text.substr(0, length));
  }
}

TEST(HostileToml, mutations_do_no_harm) {
  const std::string text = std::string(default_config_text()) +
                           "x = { y = [1, 2.5e3, '''a\nb''', \"\"\"c\\u00e9\"\"\"], z = 0b11 }\n"
                           "[[a.b]]\nt = 1979-05-27T07:32:00Z\n[a.\"c d\".e]\nf = nan\n";
  const std::string alphabet = "[]{}=.,\"'\\#\n\r\t -+_0179abtxuU:TZ\xc3\xa9\xff\0$";
  std::mt19937 random(20260301);
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string mutated = text.substr(0, random() % text.size());
    for (std::size_t edits = 1 + random() % 8; edits > 0 && !mutated.empty(); --edits) {
      const std::size_t at = random() % mutated.size();
      const char character = alphabet[random() % alphabet.size()];
      switch (random() % 3) {
        case 0: mutated[at] = character; break;
        case 1: mutated.insert(at, 1, character); break;
        default: mutated.erase(at, 1 + random() % 8); break;
      }
    }
    refused += first_error(mutated).empty() ? 0 : 1;
  }
  EXPECT_GT(refused, 10'000);
}

// What passes the parser goes through the rest as well.
TEST(HostileToml, mutated_configurations_do_no_harm) {
  const std::string text = default_config_text();
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::string mutated = text;
    const std::size_t at = random() % mutated.size();
    mutated.replace(at, random() % 12, std::string("= [ {\"$"), random() % 7, 1);
    const test::Loaded loaded(mutated);
    EXPECT_TRUE(!loaded.errors.empty() || !print_config(loaded.config).empty());
  }
}

}  // namespace
}  // namespace pm
