#include "core/simulate/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <sstream>

namespace pm::simulate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<std::vector<Access>> read_text(const std::string& text,
                                      TimeUnit unit = TimeUnit::automatic) {
  std::istringstream stream(text);
  TraceReader reader(stream, "t.csv", unit);
  std::vector<Access> trace;
  for (Access access;;) {
    const Result<bool> more = reader.next(access);
    if (!more.ok()) return more.status();
    if (!*more) return trace;
    trace.push_back(access);
  }
}

std::vector<Access> accesses(const std::string& text, TimeUnit unit = TimeUnit::automatic) {
  const auto trace = read_text(text, unit);
  EXPECT_TRUE(trace.ok()) << trace.status().to_string();
  return trace.ok() ? *trace : std::vector<Access>();
}

std::string error(const std::string& text) {
  const auto trace = read_text(text);
  EXPECT_FALSE(trace.ok()) << text;
  return trace.ok() ? "" : trace.status().message();
}

std::vector<std::uint64_t> times(const std::string& text, TimeUnit unit = TimeUnit::automatic) {
  std::vector<std::uint64_t> found;
  for (const Access& access : accesses(text, unit)) found.push_back(access.time_ms);
  return found;
}

TEST(Trace, a_line_is_time_id_size_op) {
  EXPECT_THAT(accesses("10,a,100,get\n11,b,200,set\n12,a,100,delete\n"),
              ElementsAre(Access{0, 0, 100, Op::read}, Access{1000, 1, 200, Op::write},
                          Access{2000, 0, 100, Op::remove}));
}

TEST(Trace, without_an_op_it_is_a_read) {
  EXPECT_THAT(accesses("10,a,100\n"), ElementsAre(Access{0, 0, 100, Op::read}));
}

TEST(Trace, operations_have_the_names_of_memcached_and_of_block_traces) {
  std::string text;
  for (const char* name : {"get", "GETS", "Read", "r"}) text += "1,a,1," + std::string(name) + "\n";
  for (const Access& access : accesses(text)) EXPECT_EQ(access.op, Op::read);
  text.clear();
  for (const char* name : {"set", "put", "WRITE", "w", "add", "cas", "replace", "append", "prepend",
                           "incr", "decr", "update"}) {
    text += "1,a,1," + std::string(name) + "\n";
  }
  const auto writes = accesses(text);
  EXPECT_EQ(writes.size(), 12u);
  for (const Access& access : writes) EXPECT_EQ(access.op, Op::write);
  for (const Access& access : accesses("1,a,1,delete\n1,a,1,del\n1,a,1,Remove\n1,a,1,d\n")) {
    EXPECT_EQ(access.op, Op::remove);
  }
}

TEST(Trace, a_header_says_where_the_columns_are) {
  EXPECT_THAT(accesses("op,ttl,Size,key,timestamp_ms\nset,60,100,a,5\nget,0,7,b,9\n"),
              ElementsAre(Access{0, 0, 100, Op::write}, Access{4, 1, 7, Op::read}));
}

TEST(Trace, blanks_comments_empty_lines_and_line_ends_of_windows_are_skipped) {
  EXPECT_THAT(accesses("# made by hand\r\n\r\n 1 , a b , 100 , get \r\n1,a b,100,get"),
              ElementsAre(Access{0, 0, 100, Op::read}, Access{0, 0, 100, Op::read}));
}

TEST(Trace, ids_are_numbered_as_they_come) {
  std::vector<std::uint64_t> ids;
  for (const Access& access : accesses("1,7,1\n1,07,1\n1,x/y,1\n1,7,1\n")) ids.push_back(access.id);
  EXPECT_THAT(ids, ElementsAre(0, 1, 2, 0));
}

TEST(Trace, the_first_time_tells_the_unit) {
  EXPECT_THAT(times("1700000000,a,1\n1700000002,a,1\n"), ElementsAre(0, 2000));
  EXPECT_THAT(times("0.5,a,1\n0.7519,a,1\n2,a,1\n"), ElementsAre(0, 251, 1500));
  EXPECT_THAT(times("1700000000000,a,1\n1700000000002,a,1\n"), ElementsAre(0, 2));
  EXPECT_THAT(times("1700000000000000,a,1\n1700000000002500,a,1\n"), ElementsAre(0, 2));
  EXPECT_THAT(times("1700000000000000000,a,1\n1700000000003000000,a,1\n"), ElementsAre(0, 3));
}

TEST(Trace, a_header_tells_the_unit_and_the_caller_knows_best) {
  EXPECT_THAT(times("time_us,id,size\n0,a,1\n5000,a,1\n"), ElementsAre(0, 5));
  EXPECT_THAT(times("time_us,id,size\n0,a,1\n5000,a,1\n", TimeUnit::ms), ElementsAre(0, 5000));
  EXPECT_THAT(times("0,a,1\n5,a,1\n", TimeUnit::ms), ElementsAre(0, 5));
}

TEST(Trace, time_never_goes_back) {
  EXPECT_THAT(times("10,a,1\n12,a,1\n11,a,1\n9,a,1\n13,a,1\n"),
              ElementsAre(0, 2000, 2000, 2000, 3000));
}

TEST(Trace, a_size_of_0_counts_as_1_and_a_removal_needs_none) {
  EXPECT_THAT(accesses("1,a,0,get\n1,a,,delete\n"),
              ElementsAre(Access{0, 0, 1, Op::read}, Access{0, 0, 1, Op::remove}));
}

TEST(Trace, an_error_says_where_what_was_found_and_what_is_expected) {
  EXPECT_EQ(error("1,a,1,get\n\n2,b,many,get\n"),
            "t.csv:3: found \"many\", expected a size: bytes, a whole number from 0 to 2^64 - 1");
  EXPECT_THAT(error("1,a,1\n2,b,-1\n"), HasSubstr("t.csv:2: found \"-1\", expected a size"));
  EXPECT_THAT(error("1,a,1\n2,b,1.5\n"), HasSubstr("t.csv:2: found \"1.5\", expected a size"));
  EXPECT_THAT(error("1,a,1\nsoon,b,1\n"), HasSubstr("t.csv:2: found \"soon\", expected a time"));
  EXPECT_THAT(error("-1,a,1\n"), HasSubstr("t.csv:1: found \"-1\", expected a time"));
  EXPECT_THAT(error("1.2.3,a,1\n"), HasSubstr("t.csv:1: found \"1.2.3\", expected a time"));
  EXPECT_THAT(error("1,a,1,fetch\n"), HasSubstr("t.csv:1: found \"fetch\", expected an operation"));
  EXPECT_THAT(error("1,,1,get\n"), HasSubstr("t.csv:1: found \"1,,1,get\", expected an id"));
  EXPECT_THAT(error("1,a,1,get\n1,a,1\n"),
              HasSubstr("t.csv:2: found \"1,a,1\", expected at least 4"));
  EXPECT_THAT(error("1,a,,get\n"), HasSubstr("t.csv:1: found \"\", expected a size"));
  EXPECT_THAT(error("time,id\n1,a\n"), HasSubstr("t.csv:1: found \"time,id\", expected a header"));
  EXPECT_THAT(error("1,a,1,get,5\n"), HasSubstr("expected time,id,size,op"));
  EXPECT_THAT(error("18446744073,a,1\n"),
              HasSubstr("found \"18446744073\", expected a time before"));
  EXPECT_THAT(error("99999999999999999999,a,1\n"), HasSubstr("expected a time"));
  EXPECT_THAT(error("1,a," + std::string(100, 'x')),
              HasSubstr("\"" + std::string(40, 'x') + "...\""));
}

TEST(Trace, a_file_is_read_as_it_is_and_one_that_is_not_there_is_an_error) {
  const std::string path = testing::TempDir() + "pm_trace_test.csv";
  std::ofstream(path) << "time,id,size,op\n1,a,10,read\n2,b,20,read\n";
  const auto trace = read_trace(path);
  std::remove(path.c_str());
  ASSERT_TRUE(trace.ok()) << trace.status().to_string();
  EXPECT_THAT(*trace, ElementsAre(Access{0, 0, 10, Op::read}, Access{1000, 1, 20, Op::read}));
  const auto missing = read_trace(path);
  EXPECT_EQ(missing.status().code(), Code::not_found);
  EXPECT_THAT(missing.status().message(), HasSubstr(path + ": cannot open"));
}

}  // namespace
}  // namespace pm::simulate
