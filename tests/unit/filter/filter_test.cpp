#include "core/api/filter/filter.h"

#include <gtest/gtest.h>

#include <random>

namespace pm::api::test {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t now_ns = 1'700'000'000 * second_ns;

std::optional<catalog::TierIndex> tier_by_name(std::string_view name) {
  if (name == "shm" || name == "ram" || name == "2") return catalog::TierIndex{0};
  if (name == "disk" || name == "3") return catalog::TierIndex{1};
  return std::nullopt;
}

// On shm, committed, 64 KiB, an hour old, leased twice, labelled.
catalog::View sample() {
  catalog::View view;
  view.size_bytes = 64 << 10;
  view.created_at_ns = now_ns - 3600 * second_ns;
  view.leases = 2;
  view.phase = catalog::Phase::committed;
  view.tier = 0;
  view.retention.priority = catalog::Priority::high;
  view.additions.labels = std::make_shared<const catalog::Labels>(
      catalog::Labels{{"a.b/c-d", "x"}, {"empty", ""}, {"team", "vision"}, {"words", "two words"}});
  return view;
}

bool holds(const std::string& text, const catalog::View& view = sample()) {
  const auto filter = parse_filter(text, tier_by_name);
  EXPECT_TRUE(filter.ok()) << text << ": " << filter.status().message();
  return filter.ok() && matches(filter->root, view, now_ns);
}

std::string error_of(const std::string& text) {
  const auto filter = parse_filter(text, tier_by_name);
  return filter.ok() ? "" : filter.status().message();
}

TEST(filter, compares_every_field) {
  for (const char* text : {"",
                           "  \t\n",
                           "tier = ram",
                           "tier=\"shm\"",
                           "tier = 2",
                           "tier != disk",
                           "state = active",
                           "state = ACTIVE",
                           "state != durable",
                           "size_bytes = 65536",
                           "size_bytes = 64KiB",
                           "size_bytes < 1MiB",
                           "size_bytes <= 65536",
                           "size_bytes > 1",
                           "size_bytes >= 64KiB",
                           "size_bytes != 3",
                           "age = 1h",
                           "age < 61m",
                           "age <= 3600s",
                           "age > 59m",
                           "age >= 3600000ms",
                           "age < 1d",
                           "pinned = false",
                           "pinned != true",
                           "leases = 2",
                           "leases > 1",
                           "priority = high",
                           "priority > normal",
                           "priority < NEVER",
                           "labels.team = vision",
                           "labels.team != nlp",
                           "labels.team >= a",
                           "labels.team < w",
                           "labels.team:*",
                           "labels:team",
                           "labels.team:vision",
                           "labels.\"a.b/c-d\" = x",
                           "labels.a.b/c-d = 'x'",
                           "labels:\"a.b/c-d\"",
                           "labels.words = \"two words\"",
                           "labels.empty = \"\"",
                           "labels.empty:*"}) {
    EXPECT_TRUE(holds(text)) << text;
  }
  for (const char* text : {"tier = disk", "tier != 2", "state = allocated", "state = lost",
                           "size_bytes = 1TiB", "size_bytes > 65536", "age < 1h", "age > 1h",
                           "pinned = true", "leases = 0", "priority = low", "labels.team = Vision",
                           "labels.team < vision", "labels.empty != \"\"", "labels.words = two"}) {
    EXPECT_FALSE(holds(text)) << text;
  }
}

TEST(filter, a_missing_label_fulfils_no_test_of_it) {
  for (const char* text : {"labels.none = x", "labels.none != x", "labels.none < x",
                           "labels.none:*", "labels:none", "labels.none = \"\""}) {
    EXPECT_FALSE(holds(text)) << text;
    EXPECT_FALSE(holds(text, catalog::View{})) << text;
    EXPECT_TRUE(holds("NOT " + std::string(text))) << text;
  }
}

TEST(filter, joins_tests_as_aip_160_does) {
  const auto value = [](bool truth) { return truth ? "leases = 2" : "leases = 9"; };
  for (int bits = 0; bits < 8; ++bits) {
    const bool a = (bits & 1) != 0;
    const bool b = (bits & 2) != 0;
    const bool c = (bits & 4) != 0;
    const auto text = [&](const char* first, const char* second) {
      return std::string(value(a)) + first + value(b) + second + value(c);
    };
    EXPECT_EQ(holds(text(" AND ", " AND ")), a && b && c) << bits;
    EXPECT_EQ(holds(text(" OR ", " OR ")), a || b || c) << bits;
    EXPECT_EQ(holds(text(" ", " ")), a && b && c) << bits;
    EXPECT_EQ(holds(text(" AND ", " OR ")), a && (b || c)) << "OR binds tighter than AND " << bits;
    EXPECT_EQ(holds(text(" OR ", " AND ")), (a || b) && c) << bits;
    EXPECT_EQ(holds(text(" ", " OR ")), a && (b || c)) << bits;
    EXPECT_EQ(holds("(" + text(" AND ", ") OR ")), (a && b) || c) << bits;
    EXPECT_EQ(holds("NOT " + text(" OR ", " OR ")), !a || b || c) << bits;
    EXPECT_EQ(holds("-(" + text(" AND ", " ") + ")"), !(a && b && c)) << bits;
  }
}

// LIST-7: a filter that cannot be read is refused with the place and what was expected there.
TEST(filter, says_where_it_is_wrong_and_what_was_expected) {
  const std::pair<const char*, const char*> cases[] = {
      {"tire = ram",
       "at byte 1: expected tier, state, size_bytes, age, pinned, leases, priority, "
       "labels.KEY, NOT or (, not tire"},
      {"tier ~ ram", "at byte 6: expected one of = != < <= > >= :, not ~"},
      {"tier", "at byte 5: expected one of = != < <= > >= :, not the end"},
      {"tier < ram", "at byte 6: expected = or !=, not <"},
      {"tier:ram", "at byte 5: expected = or !=, not :"},
      {"leases:*", "at byte 7: expected one of = != < <= > >=, not :"},
      {"tier = tape", "at byte 8: expected the name or the number of a configured tier, not tape"},
      {"tier =", "at byte 7: expected the name or the number of a configured tier, not the end"},
      {"state = gone", "at byte 9: expected allocated, active, spilling, durable or lost"},
      {"size_bytes > 5kB", "at byte 14: expected bytes: 4096, 64KiB"},
      {"size_bytes > -5", "at byte 14: expected bytes"},
      {"size_bytes > 99999999999TiB", "at byte 14: expected bytes"},
      {"age < 5", "at byte 7: expected a duration: 250ms, 90s, 15m, 1h, 7d, not 5"},
      {"age < 99999999999d", "at byte 7: expected a duration"},
      {"pinned = yes", "at byte 10: expected true or false"},
      {"leases = 1.5", "at byte 10: expected a number"},
      {"priority = urgent", "at byte 12: expected low, normal, high or never"},
      {"labels = x", "at byte 8: expected : and a key, or labels.KEY"},
      {"labels.Team = x", "at byte 1: expected labels. and the key of a label, not labels.Team"},
      {"labels. \"team\" = x", "at byte 1: expected labels. and the key of a label"},
      {"labels:*", "at byte 8: expected the key of a label"},
      {"labels.a = (", "at byte 12: expected a value; in quotes"},
      {"labels.a = AND", "at byte 12: expected a value; in quotes"},
      {"labels.a = \"x", "at byte 12: expected a closing quote, not \"x"},
      {"labels.a ! x", "at byte 10: expected !=, or NOT in front of a test, not !"},
      {"AND tier = ram", "at byte 1: expected tier, state"},
      {"tier = ram AND", "at byte 15: expected tier, state"},
      {"tier = ram OR OR tier = disk", "at byte 15: expected tier, state"},
      {"NOT NOT tier = ram", "at byte 5: expected tier, state"},
      {"(tier = ram", "at byte 12: expected AND, OR, another test, or ), not the end"},
      {"tier = ram)", "at byte 11: expected AND, OR, another test, or the end, not )"},
      {"()", "at byte 2: expected tier, state"},
  };
  for (const auto& [text, words] : cases) {
    EXPECT_EQ(error_of(text).substr(0, std::string_view(words).size()), words) << text;
  }
}

TEST(filter, is_bounded_in_length_and_depth) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '(') + "leases = 2" + std::string(depth, ')');
  };
  EXPECT_TRUE(holds(nested(31)));
  EXPECT_NE(error_of(nested(32)).find("fewer parentheses"), std::string::npos);
  EXPECT_NE(error_of(nested(2000)).find("fewer parentheses"), std::string::npos);
  const std::string full = "leases = 2" + std::string(filter_bytes_max - 10, ' ');
  EXPECT_TRUE(holds(full));
  EXPECT_NE(error_of(full + " ").find("at most 4096 bytes"), std::string::npos);
}

TEST(filter, survives_whatever_bytes_come) {
  std::mt19937_64 random(11);
  const std::vector<std::string> parts = {
      "tier", "state", "size_bytes", "age",    "pinned", "labels.", "labels", "labels.a",
      " ",    " AND ", " OR ",       " NOT ",  "-",      "(",       ")",      "=",
      "!=",   "<",     ">=",         ":",      "*",      "\"",      "'",      "\\",
      "ram",  "1h",    "64KiB",      "active", "true",   "\xff",    "\n",     "\xe2\x82\xac"};
  const catalog::View view = sample();
  int good = 0;
  for (int round = 0; round < 100'000; ++round) {
    std::string text;
    for (std::uint64_t left = random() % 12; left > 0; --left) {
      if (random() % 8 == 0) {
        text += static_cast<char>(random() % 256);
      } else {
        text += parts[random() % parts.size()];
      }
    }
    const auto filter = parse_filter(text, tier_by_name);
    if (filter.ok()) {
      matches(filter->root, view, now_ns);
      ++good;
    } else {
      const std::string& message = filter.status().message();
      ASSERT_EQ(message.rfind("at byte ", 0), 0u) << message;
      ASSERT_LE(std::stoul(message.substr(8)), text.size() + 1) << message;
    }
  }
  EXPECT_GT(good, 100) << "too few of them are filters";
}

}  // namespace
}  // namespace pm::api::test
