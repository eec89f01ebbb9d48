// Facts and answers through the journal's JSON and back.

#include "core/policy/journal_reader.h"

#include <gmock/gmock.h>
#include <malloc.h>

#include <boost/json/parse.hpp>

#include "core/policy/answers.h"
#include "core/policy/facts_writer.h"
#include "script_directory.h"
#include "some_facts.h"

namespace pm::policy {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using testing::HasSubstr;

// Every member differs from what it is when nothing is said.
PayloadFacts full_payload() {
  PayloadFacts payload;
  payload.id = "01234567-89ab-4cde-8f01-23456789abcd";
  payload.size_bytes = INT64_MAX;
  payload.age_ms = 1;
  payload.expires_in_ms = 0;
  payload.labels = std::make_shared<catalog::Labels>(
      catalog::Labels{{"a\"b\\", "x\ny\x7f"}, {"ключ", "значение"}});
  payload.retention = {catalog::Priority::never, true, true, disk, nothing};
  payload.tiers = {shm, disk};
  payload.leases = UINT32_MAX;
  payload.pinned = true;
  payload.reads = 2;
  payload.unread_ms = 3;
  payload.frequency = 4;
  return payload;
}

std::vector<TierFacts> full_tiers() {
  std::vector<TierFacts> tiers = some_tiers();
  tiers[shm] = {"shm", 2, -5, false, true, true, disk, 0, 3, 9, 8, 7, 6, 5, false};
  tiers[disk].rank = INT32_MIN;
  tiers[nothing].number = 0;
  return tiers;
}

ClientFacts full_client() { return {"CN=\"me\"", 5, {1, 0, 3}, 0, 2}; }

bool same(const TierFacts& a, const TierFacts& b) {
  const auto tie = [](const TierFacts& t) {
    return std::tie(t.name, t.number, t.rank, t.keeps_bytes, t.survives_process, t.survives_power,
                    t.spill_to, t.numa_node, t.gpu, t.capacity_bytes, t.used_bytes, t.leaving_bytes,
                    t.waiting_bytes, t.bytes_per_second, t.in_service);
  };
  return tie(a) == tie(b);
}

void expect_same(const PayloadFacts& a, const PayloadFacts& b) {
  const auto tie = [](const PayloadFacts& p) {
    return std::tie(p.id, p.size_bytes, p.age_ms, p.expires_in_ms, p.retention.priority,
                    p.retention.no_evict, p.retention.require_durable, p.retention.spill_target,
                    p.retention.min_residency, p.tiers, p.leases, p.pinned, p.reads, p.unread_ms,
                    p.frequency);
  };
  EXPECT_EQ(tie(a), tie(b));
  ASSERT_EQ(a.labels == nullptr, b.labels == nullptr);
  if (a.labels != nullptr) {
    EXPECT_EQ(*a.labels, *b.labels);
  }
}

void expect_same(const ClientFacts& a, const ClientFacts& b) {
  const auto tie = [](const ClientFacts& c) {
    return std::tie(c.name, c.payloads, c.used_bytes, c.numa_node, c.gpu);
  };
  EXPECT_EQ(tie(a), tie(b));
}

template <typename Facts>
void expect_same_tiers(const Facts& a, const Facts& b) {
  ASSERT_EQ(a.tiers.size(), b.tiers.size());
  for (std::size_t tier = 0; tier < a.tiers.size(); ++tier) {
    EXPECT_TRUE(same(a.tiers[tier], b.tiers[tier])) << a.tiers[tier].name;
  }
}

class JournalReaderTest : public testing::Test {
 protected:
  std::string path() const { return directory_.path() / "j"; }
  void write(const std::string& text) const { directory_.write("j", text); }

  // One decision, there and back.
  template <typename Facts>
  Expectation<Facts> there_and_back(const Facts& facts, const DecisionOf<Facts>& decision,
                                    const std::string& rule = "one") const {
    std::filesystem::remove(path());
    {
      JournalOptions options;
      options.path = path();
      DecisionJournal(options).note(Facts(facts), decision, rule);
    }
    auto reader = JournalReader::open(path());
    JournalLine line;
    const auto more = (*reader)->next(line);
    EXPECT_TRUE(more.ok() && *more) << more.status().message();
    EXPECT_EQ(line.rule, rule);
    if (!std::holds_alternative<Expectation<Facts>>(line.what)) return {};
    const auto& read = std::get<Expectation<Facts>>(line.what);
    EXPECT_EQ(read.decision.has_value(), !rule.empty());
    if (read.decision) {
      EXPECT_EQ(words_of(facts, *read.decision), words_of(facts, decision));
    }
    expect_same_tiers(read.facts, facts);
    return read;
  }
  std::string error_of(const std::string& text) const {
    write(text);
    auto reader = JournalReader::open(path());
    for (JournalLine line;;) {
      const auto more = (*reader)->next(line);
      if (!more.ok()) return more.status().message();
      if (!*more) return "";
    }
  }

  ScriptDirectory directory_;
};

TEST_F(JournalReaderTest, gives_back_a_placement) {
  const PlaceFacts facts{full_tiers(), full_payload(), full_client(), nothing};
  const auto read = there_and_back(facts, {shm, disk});
  expect_same(read.facts.payload, facts.payload);
  expect_same(read.facts.client, facts.client);
  EXPECT_EQ(read.facts.hint, nothing);
  const auto plain = there_and_back(PlaceFacts{some_tiers(), {}, {}, no_tier}, {disk, no_tier});
  expect_same(plain.facts.payload, PayloadFacts());
  EXPECT_EQ(plain.facts.hint, no_tier);
  there_and_back(facts, {}, "");
}

TEST_F(JournalReaderTest, gives_back_an_admission) {
  const AdmitFacts facts{full_tiers(), full_payload(), full_client(), shm};
  const auto read = there_and_back(facts, {false, "it's \"full\""});
  expect_same(read.facts.payload, facts.payload);
  expect_same(read.facts.client, facts.client);
  EXPECT_EQ(read.facts.tier, shm);
  there_and_back(facts, {true, ""});
  there_and_back(facts, {false, ""});
}

TEST_F(JournalReaderTest, gives_back_a_spill) {
  SpillFacts facts{full_tiers(), shm, 77, {full_payload(), {}, full_payload()}};
  facts.candidates[2].id = "another";
  const auto read = there_and_back(facts, {{{2, disk}, {0, no_tier}}});
  EXPECT_EQ(read.facts.tier, shm);
  EXPECT_EQ(read.facts.bytes_wanted, 77u);
  ASSERT_EQ(read.facts.candidates.size(), 3u);
  for (std::size_t n = 0; n < 3; ++n) {
    expect_same(read.facts.candidates[n], facts.candidates[n]);
  }
  there_and_back(facts, {});
  there_and_back(spill_facts(64), {{{63, no_tier}}});
  there_and_back(spill_facts(0), {});
}

TEST_F(JournalReaderTest, gives_back_a_promotion) {
  PromoteFacts facts{full_tiers(), full_payload(), disk, shm, true, {}};
  const auto read = there_and_back(facts, {shm});
  EXPECT_TRUE(read.facts.has_victim);
  EXPECT_EQ(read.facts.tier, disk);
  EXPECT_EQ(read.facts.target, shm);
  facts.victim = full_payload();
  expect_same(there_and_back(facts, {no_tier}).facts.victim, facts.victim);
  facts.has_victim = false;
  EXPECT_FALSE(there_and_back(facts, {no_tier}).facts.has_victim);
}

TEST_F(JournalReaderTest, gives_back_the_end_of_a_payload) {
  const RetainFacts facts{full_tiers(), full_payload()};
  const auto read = there_and_back(facts, {60'000, disk});
  expect_same(read.facts.payload, facts.payload);
  there_and_back(facts, {60'000, no_tier});
  there_and_back(facts, {});
}

// The same file that scripts would have in their examples.
TEST_F(JournalReaderTest, has_facts_with_the_names_that_scripts_use) {
  std::string text;
  FactsWriter(text).facts(place_facts());
  const auto facts = boost::json::parse(text).as_object();
  EXPECT_EQ(facts.at("hint").as_string(), "shm");
  EXPECT_EQ(facts.at("payload").at("labels").at("app").as_string(), "train");
  EXPECT_EQ(facts.at("tiers").at(1).at("spill_to").as_string(), "disk");
  EXPECT_EQ(facts.at("client").at("used_bytes").at("shm").as_int64(), 6);
}

TEST_F(JournalReaderTest, says_where_it_is_wrong) {
  const std::string good = R"({"at":1,"op":"read","id":"a","size_bytes":1})"
                           "\n";
  EXPECT_EQ(error_of(good), "");
  EXPECT_EQ(error_of(good + R"({"at":1,"op":"re)"), "") << "torn";
  EXPECT_THAT(error_of(good + "{\"at\":\n" + good), HasSubstr("j:2: it is no JSON: "));
  EXPECT_THAT(error_of(good + "[]\n"), HasSubstr("j:2: it is no object of JSON"));
  EXPECT_THAT(error_of("{}\n"), HasSubstr("j:1: 'at' is a time in nanoseconds"));
  EXPECT_THAT(error_of("{\"at\":1,\"hook\":\"plac\"}\n"), HasSubstr("there is no hook 'plac'"));
  EXPECT_THAT(error_of("{\"at\":1,\"op\":\"reed\"}\n"), HasSubstr("j:1: it has neither a hook"));
  EXPECT_THAT(error_of(R"({"at":1,"op":"read","size_bytes":1})"
                       "\n"),
              HasSubstr("has its id"));
  EXPECT_THAT(error_of(R"({"at":1,"op":"read","id":"a","size_bytes":-1})"
                       "\n"),
              HasSubstr("size_bytes is a whole number"));
  EXPECT_THAT(error_of(good + good + R"({"at":1,"hook":"place","facts":{"hind":"shm"}})" + "\n"),
              HasSubstr("j:3: facts.hind is no field of a question of place"));
  EXPECT_THAT(error_of(R"({"at":1,"hook":"retain","rule":"a","facts":{},"answer":"disk"})"
                       "\n"),
              HasSubstr("j:1: answer: the answer is \"delete\""));
  EXPECT_THAT(JournalReader::open(path() + "-gone").status().message(),
              HasSubstr("No such file or directory"));
}

TEST_F(JournalReaderTest, keeps_nothing_of_the_lines_before) {
  constexpr int lines = 1'000;
  {
    JournalOptions options;
    options.path = path();
    DecisionJournal journal(options);
    for (int n = 0; n < lines; ++n) {
      journal.note(spill_facts(64), SpillDecision(), "one");
      if (n % 100 == 0) journal.flush();
    }
  }
  auto reader = JournalReader::open(path());
  JournalLine line;
  EXPECT_TRUE(*(*reader)->next(line));
  const std::size_t before = ::mallinfo2().uordblks;
  for (int n = 1; n < lines; ++n) ASSERT_TRUE(*(*reader)->next(line));
  EXPECT_LT(::mallinfo2().uordblks, before + (4 << 20));
}

TEST_F(JournalReaderTest, counts_torn_lines) {
  write("{\"at\":1,\"op\":\"begin\",\"tiers\":[],\"policies\":[]}\n{\"at\"");
  auto reader = JournalReader::open(path());
  JournalLine line;
  EXPECT_TRUE(*(*reader)->next(line));
  EXPECT_FALSE(*(*reader)->next(line));
  EXPECT_EQ((*reader)->lines(), 1u);
  EXPECT_EQ((*reader)->torn(), 1u);
}

}  // namespace
}  // namespace pm::policy
