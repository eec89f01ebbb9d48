#include "text.h"

#include <gtest/gtest.h>

namespace pm::ctl {
namespace {

TEST(size_text, units_are_powers_of_1024) {
  EXPECT_EQ(*parse_size("0"), 0U);
  EXPECT_EQ(*parse_size("4096"), 4096U);
  EXPECT_EQ(*parse_size("4KiB"), 4096U);
  EXPECT_EQ(*parse_size("3MiB"), 3U << 20);
  EXPECT_EQ(*parse_size("2GiB"), std::uint64_t{2} << 30);
  EXPECT_EQ(*parse_size("1TiB"), std::uint64_t{1} << 40);
  EXPECT_EQ(*parse_size("18446744073709551615"), UINT64_MAX);
}

TEST(size_text, what_is_no_size_is_refused) {
  for (const char* text :
       {"", "-1", "+1", " 1", "1 ", "1.5MiB", "4kb", "4MB", "4Ki", "KiB", "0x10", "1KiBKiB",
        "18446744073709551616", "16777216TiB", "99999999999999999999GiB"}) {
    EXPECT_EQ(parse_size(text).status().code(), Code::invalid_argument) << "'" << text << "'";
  }
}

TEST(exit_status, every_code_has_the_one_that_the_help_lists) {
  EXPECT_EQ(exit_of(Code::ok), 0);
  EXPECT_EQ(exit_of(Code::not_found), 3);
  for (const Code code :
       {Code::failed_precondition, Code::aborted, Code::already_exists, Code::permission_denied}) {
    EXPECT_EQ(exit_of(code), 4) << code_name(code);
  }
  for (const Code code : {Code::unavailable, Code::deadline_exceeded, Code::resource_exhausted}) {
    EXPECT_EQ(exit_of(code), 5) << code_name(code);
  }
  EXPECT_EQ(exit_of(Code::data_loss), 6);
  for (const Code code :
       {Code::cancelled, Code::unknown, Code::invalid_argument, Code::out_of_range,
        Code::unimplemented, Code::internal, Code::unauthenticated}) {
    EXPECT_EQ(exit_of(code), 1) << code_name(code);
  }
}

TEST(iso_time, is_utc_with_milliseconds) {
  using namespace std::chrono;
  EXPECT_EQ(iso_time(client::WallTime(milliseconds(0))), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(iso_time(client::WallTime(milliseconds(1'700'000'000'042))),
            "2023-11-14T22:13:20.042Z");
  EXPECT_EQ(iso_time(client::WallTime(milliseconds(-1))), "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace pm::ctl
