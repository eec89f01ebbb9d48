#include "core/policy/decision_journal.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <future>

#include "core/observe/log.h"
#include "core/policy/journal_reader.h"
#include "core/policy/service.h"
#include "script_directory.h"
#include "some_facts.h"

namespace pm::policy {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;
using testing::HasSubstr;

catalog::Id id_of(std::uint8_t number) {
  catalog::Id id;
  id.bytes.fill(number);
  return id;
}

class DecisionJournalTest : public testing::Test {
 protected:
  DecisionJournalTest() { log::set_level(log::Level::error); }

  JournalOptions options() const {
    JournalOptions options;
    options.path = path();
    return options;
  }
  std::string path() const { return directory_.path() / "journal.jsonl"; }
  static std::string read(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static std::size_t lines_in(const std::string& text) {
    return static_cast<std::size_t>(std::ranges::count(text, '\n'));
  }
  std::vector<JournalLine> lines() const {
    std::vector<JournalLine> all;
    auto reader = JournalReader::open(path());
    EXPECT_TRUE(reader.ok()) << reader.status().message();
    for (JournalLine line; reader.ok();) {
      const auto more = (*reader)->next(line);
      EXPECT_TRUE(more.ok()) << more.status().message();
      if (!more.ok() || !*more) break;
      all.push_back(line);
    }
    return all;
  }
  static void note_reads(DecisionJournal& journal, int count) {
    for (int n = 0; n < count; ++n) journal.note(Access{AccessKind::read, shm, id_of(7), 4096});
  }

  ScriptDirectory directory_;
};

TEST_F(DecisionJournalTest, begins_with_what_the_tiers_and_policies_are) {
  {
    DecisionJournal journal(options());
    journal.set_policies({{"a.lua", "return \"\x01\"\n"}});
    journal.set_tiers(some_tiers());
    journal.note(Access{AccessKind::write, disk, id_of(1), 5});
    journal.note(Access{AccessKind::read, shm, id_of(1), 5});
    journal.note(Access{AccessKind::remove, no_tier, id_of(1), 0});
  }
  const auto all = lines();
  ASSERT_EQ(all.size(), 4u);
  const auto& begin = std::get<JournalBegin>(all[0].what);
  ASSERT_EQ(begin.tiers.size(), 3u);
  EXPECT_EQ(begin.tiers[shm].capacity_bytes, 1'000 * mib);
  EXPECT_EQ(begin.policies.at(0).text, "return \"\x01\"\n");
  const auto& wrote = std::get<JournalAccess>(all[1].what);
  EXPECT_EQ(wrote.kind, AccessKind::write);
  EXPECT_EQ(wrote.tier, "disk");
  EXPECT_EQ(wrote.size_bytes, 5u);
  EXPECT_EQ(wrote.id, to_text(id_of(1)));
  EXPECT_EQ(std::get<JournalAccess>(all[2].what).tier, "shm");
  EXPECT_EQ(std::get<JournalAccess>(all[3].what).kind, AccessKind::remove);
  EXPECT_GT(all[1].at_ns, 1'600'000'000'000'000'000);
  EXPECT_LE(all[1].at_ns, all[3].at_ns);
}

TEST_F(DecisionJournalTest, is_for_its_user_alone) {
  { DecisionJournal(options()).note(Access{}); }
  struct stat facts {};
  ASSERT_EQ(::stat(path().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
}

TEST_F(DecisionJournalTest, becomes_another_file_when_it_is_large) {
  JournalOptions small = options();
  small.bytes_max = 4'096;
  {
    DecisionJournal journal(small);
    journal.set_tiers(some_tiers());
    note_reads(journal, 100);
  }
  const std::string now = read(path());
  const std::string before = read(path() + ".1");
  EXPECT_LE(now.size(), small.bytes_max);
  EXPECT_LE(before.size(), small.bytes_max);
  EXPECT_GT(before.size(), small.bytes_max / 2);
  for (const std::string& text : {now, before}) EXPECT_THAT(text.substr(0, 60), HasSubstr("begin"));
  const auto all = lines();
  EXPECT_EQ(all.size(), lines_in(now) + lines_in(before)) << "what was before is read first";
  for (std::size_t n = 1; n < all.size(); ++n) EXPECT_LE(all[n - 1].at_ns, all[n].at_ns);
}

TEST_F(DecisionJournalTest, goes_on_behind_the_last_whole_line) {
  { note_reads(*std::make_unique<DecisionJournal>(options()), 2); }
  std::ofstream(path(), std::ios::app) << R"({"at":1,"op":"re)";
  EXPECT_EQ(lines().size(), 2u) << "a torn line is none";
  { note_reads(*std::make_unique<DecisionJournal>(options()), 1); }
  EXPECT_EQ(lines().size(), 3u);
  EXPECT_EQ(read(path()).find("\"re{"), std::string::npos);
}

TEST_F(DecisionJournalTest, drops_and_counts_what_is_too_much) {
  JournalOptions little = options();
  little.queue_max = 200;
  DecisionJournal journal(little);
  std::uint64_t noted = 0;
  // It may keep up for a while, but not with this.
  while (journal.state().dropped == 0 && noted < 10'000'000) {
    journal.note(spill_facts(64), SpillDecision(), "");
    ++noted;
  }
  journal.flush();
  const std::uint64_t dropped = journal.state().dropped;
  EXPECT_GT(dropped, 0u);
  EXPECT_EQ(lines_in(read(path())) + dropped, noted);
  EXPECT_EQ(journal.state().error, "") << "that is no error";
}

TEST_F(DecisionJournalTest, counts_what_cannot_be_written_and_goes_on_when_it_can) {
  log::set_level(log::Level::error);
  JournalOptions elsewhere = options();
  elsewhere.path = directory_.path() / "later" / "journal.jsonl";
  DecisionJournal journal(elsewhere);
  journal.set_tiers(some_tiers());
  note_reads(journal, 3);
  journal.flush();
  EXPECT_THAT(journal.state().error, HasSubstr("journal.jsonl: cannot be opened: No such file"));
  EXPECT_GE(journal.state().dropped, 3u);
  std::filesystem::create_directory(directory_.path() / "later");
  note_reads(journal, 2);
  journal.flush();
  EXPECT_EQ(journal.state().error, "");
  EXPECT_THAT(read(elsewhere.path), HasSubstr("\"begin\""));
  EXPECT_EQ(lines_in(read(elsewhere.path)), 3u);
}

TEST_F(DecisionJournalTest, writes_no_part_of_a_line_when_there_is_no_room) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit little{1'000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &little), 0);
  DecisionJournal journal(options());
  note_reads(journal, 5);
  journal.flush();
  note_reads(journal, 20);
  journal.flush();
  EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(journal.state().error, HasSubstr("cannot be written: File too large"));
  const std::uint64_t dropped = journal.state().dropped;
  EXPECT_GT(dropped, 10u);
  note_reads(journal, 1);
  journal.flush();
  EXPECT_EQ(journal.state().error, "");
  EXPECT_EQ(lines().size() + dropped, 26u);
}

TEST_F(DecisionJournalTest, refuses_to_write_to_what_is_no_file) {
  JournalOptions full = options();
  full.path = "/dev/full";
  DecisionJournal journal(full);
  note_reads(journal, 1);
  journal.flush();
  EXPECT_THAT(journal.state().error, HasSubstr("is not a regular file"));
  EXPECT_EQ(journal.state().dropped, 1u);
}

TEST_F(DecisionJournalTest, has_what_a_service_was_asked) {
  ScriptDirectory scripts;
  scripts.write("a.lua", rule("place", "if facts.hint == 'shm' then return 'disk' end"));
  ServiceOptions service_options;
  service_options.places.directory = scripts.path();
  service_options.journal = options();
  {
    auto service = Service::start(service_options);
    ASSERT_TRUE(service.ok()) << service.status().message();
    (*service)->journal()->set_tiers(some_tiers());
    for (const TierIndex hint : {shm, no_tier}) {
      std::promise<void> done;
      (*service)->ask<PlaceFacts>(
          [hint] {
            PlaceFacts facts = place_facts();
            facts.hint = hint;
            return facts;
          },
          [&](const PlaceDecision&, const std::string&) { done.set_value(); });
      done.get_future().wait();
    }
    EXPECT_TRUE((*service)->reload().ok());
    EXPECT_EQ((*service)->states().journal.dropped, 0u);
  }
  const auto all = lines();
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(std::get<JournalBegin>(all[0].what).policies.at(0).name, "a.lua");
  const auto& placed = std::get<Expectation<PlaceFacts>>(all[1].what);
  EXPECT_EQ(all[1].rule, "one");
  ASSERT_TRUE(placed.decision.has_value());
  EXPECT_EQ(placed.decision->tier, disk);
  EXPECT_EQ(placed.facts.client.name, "uid:1000");
  EXPECT_EQ(all[2].rule, "");
  EXPECT_FALSE(std::get<Expectation<PlaceFacts>>(all[2].what).decision.has_value());
  EXPECT_TRUE(std::holds_alternative<JournalBegin>(all[3].what)) << "they were loaded anew";
}

}  // namespace
}  // namespace pm::policy
