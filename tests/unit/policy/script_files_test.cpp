#include "core/policy/script_files.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "script_directory.h"

namespace pm::policy {
namespace {

namespace fs = std::filesystem;
using test::ScriptDirectory;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

class ScriptFiles : public testing::Test {
 protected:
  ScriptFiles() : places_{shipped_.path(), {}, own_.path()} {
    shipped_.write("lru.lua", "-- lru");
    shipped_.write("quota.lua", "-- quota");
  }

  std::vector<std::string> names() const {
    const auto files = read_scripts(places_);
    EXPECT_TRUE(files.ok()) << files.status().message();
    std::vector<std::string> names;
    for (const SourceFile& file : *files) names.push_back(file.name);
    return names;
  }
  Status why_not() const { return read_scripts(places_).status(); }

  ScriptDirectory shipped_;
  ScriptDirectory own_;
  ScriptPlaces places_;
};

TEST_F(ScriptFiles, are_those_that_ship_as_they_are_named_and_then_the_own_ones_by_name) {
  own_.write("20-b.lua", "-- b");
  own_.write("10-a.lua", "-- a");
  own_.write("notes.txt", "");
  own_.write(".#10-a.lua", "left behind by an editor");
  places_.use = {"quota", "lru"};
  EXPECT_THAT(names(), ElementsAre("quota.lua", "lru.lua", "10-a.lua", "20-b.lua"));
  EXPECT_EQ((*read_scripts(places_))[3].text, "-- b");
  places_.directory.clear();
  EXPECT_THAT(names(), ElementsAre("quota.lua", "lru.lua"));
}

TEST_F(ScriptFiles, that_do_not_ship_are_refused_with_those_that_do) {
  for (const char* name : {"lfu", "",
                           "../"
                           "x",
                           "lru.lua"}) {
    places_.use = {name};
    EXPECT_EQ(why_not().code(), Code::not_found) << name;
    EXPECT_THAT(why_not().message(), EndsWith("; there are lru, quota")) << name;
  }
  places_.shipped_directory = "/nowhere";
  EXPECT_THAT(why_not().message(), HasSubstr("/nowhere: No such file"));
}

TEST_F(ScriptFiles, that_cannot_be_read_are_refused_with_their_path) {
  places_.directory = own_.path() / "gone";
  EXPECT_EQ(why_not().code(), Code::not_found);
  EXPECT_THAT(why_not().message(), EndsWith("/gone: No such file or directory"));
  places_.directory = own_.path();
  fs::create_directory(own_.path() / "a.lua");
  EXPECT_THAT(why_not().message(), EndsWith("/a.lua: it is no regular file"));
  fs::remove(own_.path() / "a.lua");
  ASSERT_EQ(::mkfifo((own_.path() / "pipe.lua").c_str(), 0600), 0);
  EXPECT_THAT(why_not().message(), EndsWith("/pipe.lua: it is no regular file"));
  fs::remove(own_.path() / "pipe.lua");
  fs::create_symlink("/nowhere", own_.path() / "link.lua");
  EXPECT_THAT(why_not().message(), EndsWith("/link.lua: No such file or directory"));
  fs::remove(own_.path() / "link.lua");
  own_.write("big.lua", std::string((256 << 10) + 1, ' '));
  EXPECT_THAT(why_not().message(), EndsWith("/big.lua: it is longer than 262144 bytes"));
}

TEST_F(ScriptFiles, may_be_links_to_files) {
  own_.write("text", "-- text");
  fs::create_symlink(own_.path() / "text", own_.path() / "a.lua");
  EXPECT_THAT(names(), ElementsAre("a.lua"));
}

TEST_F(ScriptFiles, have_another_fingerprint_once_one_was_written_came_or_went) {
  places_.use = {"lru"};
  own_.write("a.lua", "-- a");
  std::string before = fingerprint_of(places_);
  EXPECT_EQ(fingerprint_of(places_), before);
  const auto expect_change = [&](const char* what) {
    const std::string now = fingerprint_of(places_);
    EXPECT_NE(now, before) << what;
    before = now;
  };
  own_.write("a.lua", "-- b");
  expect_change("of the same size");
  own_.write("b.lua", "");
  expect_change("another one");
  fs::remove(own_.path() / "b.lua");
  expect_change("one less");
  shipped_.write("lru.lua", "-- new");
  expect_change("one that ships");
  fs::remove(shipped_.path() / "lru.lua");
  expect_change("a missing one");
  own_.write("notes.txt", "");
  EXPECT_EQ(fingerprint_of(places_), before) << "no script";
}

}  // namespace
}  // namespace pm::policy
