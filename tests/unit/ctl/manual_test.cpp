// What docs/POLICY.md shows is so: each script loads and its examples hold, each command that needs
// no host runs, and each hit rate is what the simulation makes.

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <boost/json/parse.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "core/policy/policy.h"
#include "run.h"

namespace pm::ctl {
namespace {

namespace fs = std::filesystem;

struct Snippet {
  std::string language;
  std::string where;  // "POLICY.md:20", of its first line.
  std::string text;
};

std::vector<std::string> lines_of_manual() {
  const char* source = std::getenv("PM_SOURCE_DIR");
  std::ifstream file(fs::path(source != nullptr ? source : ".") / "docs/POLICY.md");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::vector<Snippet> snippets() {
  const std::string fence = "```";
  std::vector<Snippet> all;
  bool is_inside = false;
  std::size_t number = 0;
  for (const std::string& line : lines_of_manual()) {
    ++number;
    if (line.starts_with(fence)) {
      is_inside = !is_inside;
      const std::string where = "POLICY.md:" + std::to_string(number + 1);
      if (is_inside) all.push_back({line.substr(fence.size()), where, ""});
    } else if (is_inside) {
      all.back().text += line + "\n";
    }
  }
  return all;
}

// A snippet whose first line is "-- tests/a_test.lua" stands in that file.
std::string file_of(const Snippet& snippet) {
  const std::string begin = "-- ";
  const std::string line = snippet.text.substr(0, snippet.text.find('\n'));
  const bool names = line.starts_with(begin) && line.ends_with(".lua");
  return names ? line.substr(begin.size()) : "";
}

class Manual : public testing::Test {
 protected:
  Manual() {
    std::string name = fs::temp_directory_path() / "pm-manual-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  ~Manual() override { fs::remove_all(directory_); }

  fs::path directory_;
};

TEST_F(Manual, every_script_loads_and_its_examples_hold) {
  std::map<std::string, policy::SourceFile> named;
  int count = 0;
  for (const Snippet& snippet : snippets()) {
    if (snippet.language != "lua") continue;
    ++count;
    const std::string name = file_of(snippet);
    std::vector<policy::SourceFile> files;
    const std::string ending = "_test.lua";
    if (name.ends_with(ending)) {
      const std::string stem = fs::path(name).filename();
      files.push_back(named[stem.substr(0, stem.size() - ending.size()) + ".lua"]);
    }
    files.push_back({snippet.where, snippet.text});
    if (!name.empty()) named[name] = files.back();
    const auto policy = policy::Policy::load(files);
    ASSERT_TRUE(policy.ok()) << snippet.where << ": " << policy.status().message();
    EXPECT_GT((*policy)->examples_count(), 0u) << snippet.where;
    const Status status = (*policy)->check_examples();
    EXPECT_TRUE(status.ok()) << snippet.where << ": " << status.message();
  }
  EXPECT_GE(count, 4);
}

TEST_F(Manual, every_command_that_needs_no_host_runs) {
  const char* build = std::getenv("PM_BUILD_DIR");
  const std::string programs = fs::absolute(fs::path(build != nullptr ? build : ".") / "bin");
  for (const Snippet& snippet : snippets()) {
    if (snippet.language != "lua" || file_of(snippet).empty()) continue;
    const fs::path path = directory_ / file_of(snippet);
    fs::create_directories(path.parent_path());
    std::ofstream(path) << snippet.text;
  }
  int count = 0;
  for (const Snippet& snippet : snippets()) {
    if (snippet.language != "sh") continue;
    ++count;
    const fs::path script = directory_ / "script.sh";
    std::ofstream(script) << "set -eu\nexport PATH='" << programs << "':\"$PATH\"\ncd '"
                          << directory_.string() << "'\n"
                          << snippet.text;
    const std::string command = "sh '" + script.string() + "'";
    EXPECT_EQ(std::system(command.c_str()), 0) << snippet.where << ":\n" << snippet.text;
  }
  EXPECT_GE(count, 1);
}

// The cells of a table's row, without blanks.
std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream stream(line.substr(1));
  for (std::string cell; std::getline(stream, cell, '|');) {
    const std::size_t first = cell.find_first_not_of(' ');
    const std::size_t last = cell.find_last_not_of(' ');
    cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
  }
  return cells;
}

std::string percent(const boost::json::value& rate) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f", 100 * rate.as_double());
  return text.data();
}

// | `zipf` | `lru` | hits | byte hits | of Belady | LRU | LFU | Belady |
void expect_row(const std::vector<std::string>& cells) {
  const auto bare = [](const std::string& cell) { return cell.substr(1, cell.size() - 2); };
  const char* source = std::getenv("PM_SOURCE_DIR");
  const fs::path shipped = fs::path(source != nullptr ? source : ".") / "scripts/policies";
  std::ostringstream out;
  std::ostringstream err;
  ASSERT_EQ(
      ctl::run({"policy", "simulate", "--generate", bare(cells[0]), "--seed", "1", "--policy",
                shipped / (bare(cells[1]) + ".lua"), "-o", "json", "--address", "unix:/nowhere"},
               out, err),
      0)
      << err.str();
  const auto policies = boost::json::parse(out.str()).at("policies").as_array();
  const std::vector<std::string> made = {cells[0],
                                         cells[1],
                                         percent(policies[0].at("hitRate")),
                                         percent(policies[0].at("byteHitRate")),
                                         percent(policies[0].at("ofBelady")),
                                         percent(policies[1].at("hitRate")),
                                         percent(policies[2].at("hitRate")),
                                         percent(policies[3].at("hitRate"))};
  EXPECT_EQ(cells, made);
}

TEST_F(Manual, every_hit_rate_is_what_the_simulation_makes) {
  int count = 0;
  for (const std::string& line : lines_of_manual()) {
    bool is_row = false;
    for (const char* kind : {"zipf", "scan", "loop", "sized"}) {
      is_row = is_row || line.starts_with("| `" + std::string(kind) + "` |");
    }
    const auto cells = is_row ? cells_of(line) : std::vector<std::string>();
    if (cells.size() != 8) continue;
    ++count;
    expect_row(cells);
  }
  EXPECT_EQ(count, 9);
}

// Each is a part of a configuration, and stands behind the one that is built in.
TEST_F(Manual, every_piece_of_configuration_is_one) {
  const char* build = std::getenv("PM_BUILD_DIR");
  const char* source = std::getenv("PM_SOURCE_DIR");
  const fs::path host = fs::absolute(fs::path(build != nullptr ? build : ".") / "bin/pm-host");
  std::ifstream built_in(fs::path(source != nullptr ? source : ".") /
                         "packaging/config/payload-manager.toml");
  std::ostringstream text;
  text << built_in.rdbuf();
  ASSERT_FALSE(text.str().empty());
  int count = 0;
  for (const Snippet& snippet : snippets()) {
    if (snippet.language != "toml") continue;
    ++count;
    const fs::path file = directory_ / "host.toml";
    std::ofstream(file) << text.str() << snippet.text;
    const std::string command =
        "'" + host.string() + "' --check-config --config '" + file.string() + "'";
    EXPECT_EQ(std::system(command.c_str()), 0) << snippet.where << ":\n" << snippet.text;
  }
  EXPECT_EQ(count, 2);
}

}  // namespace
}  // namespace pm::ctl
