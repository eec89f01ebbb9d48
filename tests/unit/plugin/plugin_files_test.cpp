#include "core/plugin/plugin_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/plugin/plugin_set.h"
#include "scratch.h"

namespace pm {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class PluginFilesTest : public test::Scratch {
 protected:
  PluginFiles find() {
    auto files = find_plugins({directory_});
    EXPECT_TRUE(files.ok()) << files.status().message();
    return files.ok() ? *files : PluginFiles{};
  }

  // The one refusal of a directory that holds one file.
  std::string refusal() {
    const PluginFiles files = find();
    EXPECT_TRUE(files.found.empty());
    EXPECT_EQ(files.refused.size(), 1u);
    return files.refused.empty() ? "" : files.refused[0].why.message();
  }
};

TEST_F(PluginFilesTest, finds_a_plugin_without_running_it) {
  unsetenv("PM_FIXTURE_LOADED");
  const fs::path path = put("good");
  std::ofstream(directory_ / "README") << "not a plugin";
  const PluginFiles files = find();
  ASSERT_EQ(files.found.size(), 1u);
  EXPECT_EQ(files.find("org.example.fixture"), &files.found[0]);
  EXPECT_EQ(files.find("org.example"), nullptr);
  EXPECT_EQ(files.found[0].path, path);
  EXPECT_TRUE(files.refused.empty());
  EXPECT_EQ(std::getenv("PM_FIXTURE_LOADED"), nullptr);
}

TEST_F(PluginFilesTest, refuses_another_abi_before_its_code_runs) {
  unsetenv("PM_FIXTURE_LOADED");
  const fs::path path = put("wrong_minor");
  EXPECT_THAT(refusal(), AllOf(HasSubstr(path.string()), HasSubstr("version 1.7 of the plugin")));
  EXPECT_EQ(std::getenv("PM_FIXTURE_LOADED"), nullptr);
}

TEST_F(PluginFilesTest, refuses_a_library_without_a_note_and_garbage) {
  put("no_note");
  EXPECT_THAT(refusal(), HasSubstr("no_note.so: has no section .note.pm"));
  fs::remove(directory_ / "no_note.so");
  put("garbage", "garbage");
  EXPECT_THAT(refusal(), HasSubstr("garbage.so: is not an ELF file"));
}

TEST_F(PluginFilesTest, refuses_a_file_that_others_may_write) {
  const fs::path path = put("good");
  for (const unsigned mode : {0620u, 0602u, 0777u}) {
    fs::permissions(path, fs::perms(mode));
    EXPECT_THAT(refusal(), HasSubstr("good.so: may be written by its group or by others"));
  }
}

TEST_F(PluginFilesTest, refuses_a_directory_that_others_may_write) {
  put("good");
  fs::permissions(directory_, fs::perms(0777));
  const auto files = find_plugins({directory_});
  EXPECT_EQ(files.status().code(), Code::permission_denied);
  EXPECT_THAT(files.status().message(),
              AllOf(HasSubstr(directory_.string()), HasSubstr("run chmod go-w")));
}

TEST_F(PluginFilesTest, refuses_what_belongs_to_somebody_else) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  const fs::path path = put("good");
  ASSERT_EQ(chown(path.c_str(), 12345, static_cast<gid_t>(-1)), 0);
  EXPECT_THAT(refusal(), HasSubstr("good.so: belongs to user 12345"));
  ASSERT_EQ(chown(directory_.c_str(), 12345, static_cast<gid_t>(-1)), 0);
  EXPECT_EQ(find_plugins({directory_}).status().code(), Code::permission_denied);
}

TEST_F(PluginFilesTest, refuses_a_relative_or_missing_directory) {
  EXPECT_EQ(find_plugins({"plugins"}).status().code(), Code::invalid_argument);
  EXPECT_EQ(find_plugins({""}).status().code(), Code::invalid_argument);
  EXPECT_EQ(find_plugins({directory_ / "none"}).status().code(), Code::not_found);
  EXPECT_EQ(find_plugins({put("good")}).status().code(), Code::invalid_argument);
}

TEST_F(PluginFilesTest, refuses_a_link_that_leads_out) {
  fs::create_symlink(test::fixture("good"), directory_ / "good.so");
  EXPECT_THAT(refusal(), HasSubstr("good.so: is a symbolic link that leads out"));
}

TEST_F(PluginFilesTest, refuses_a_link_to_nowhere_a_directory_and_a_pipe) {
  fs::create_symlink("nowhere", directory_ / "a.so");
  fs::create_directory(directory_ / "b.so");
  ASSERT_EQ(mkfifo((directory_ / "c.so").c_str(), 0600), 0);
  const PluginFiles files = find();
  EXPECT_TRUE(files.found.empty());
  EXPECT_EQ(files.refused.size(), 3u);
}

TEST_F(PluginFilesTest, link_within_the_directory_is_the_same_plugin) {
  put("good");
  fs::create_symlink("good.so", directory_ / "alias.so");
  EXPECT_EQ(find().found.size(), 1u);
}

TEST_F(PluginFilesTest, directory_given_twice_counts_once) {
  put("good");
  const auto files = find_plugins({directory_, directory_ / "."});
  ASSERT_TRUE(files.ok()) << files.status().message();
  EXPECT_EQ(files->found.size(), 1u);
}

TEST_F(PluginFilesTest, duplicate_id_names_both_paths) {
  const fs::path first = put("good");
  const fs::path second = put("twin");
  const auto files = find_plugins({directory_});
  EXPECT_EQ(files.status().code(), Code::already_exists);
  EXPECT_THAT(files.status().message(),
              AllOf(HasSubstr("org.example.fixture"), HasSubstr(first.string()),
                    HasSubstr(second.string())));
}

TEST_F(PluginFilesTest, plugin_that_is_not_there_is_told_with_what_is) {
  put("good");
  put("wrong_minor");
  auto plugins = PluginSet::find({directory_});
  ASSERT_TRUE(plugins.ok());
  const Status status = plugins->load("org.example.none", "pm.tier/1").status();
  EXPECT_EQ(status.code(), Code::not_found);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("`org.example.none` in " + directory_.string()),
                    HasSubstr("found: org.example.fixture"), HasSubstr("refused: "),
                    HasSubstr("wrong_minor.so: is built for version 1.7")));
  EXPECT_THAT(plugins->load("org.example.fixture", "pm.frontend/1").status().message(),
              HasSubstr("is a pm.tier/1, and a pm.frontend/1 is needed here"));
}

}  // namespace
}  // namespace pm
