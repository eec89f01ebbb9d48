#include "core/policy/service.h"

#include <gmock/gmock.h>

#include <future>

#include "core/observe/log.h"
#include "script_directory.h"
#include "some_facts.h"

namespace pm::policy {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;
using testing::HasSubstr;

template <typename Facts>
Service::Gather<Facts> always(Facts facts) {
  return [facts] { return facts; };
}

struct Placed {
  std::string rule;
  TierIndex tier = no_tier;
  std::thread::id thread;
};

class ServiceTest : public testing::Test {
 protected:
  ServiceTest() { log::set_level(log::Level::error); }

  std::unique_ptr<Service> start(std::size_t workers = 1, std::size_t questions_max = 1'024) {
    ServiceOptions options;
    options.places.directory = scripts_.path();
    options.workers = workers;
    options.questions_max = questions_max;
    auto service = Service::start(options);
    EXPECT_TRUE(service.ok()) << service.status().message();
    return service.ok() ? *std::move(service) : nullptr;
  }

  static std::future<Placed> begin(Service& service) {
    auto promise = std::make_shared<std::promise<Placed>>();
    service.ask(always(place_facts()), [promise](PlaceDecision decision, const std::string& rule) {
      promise->set_value({rule, decision.tier, std::this_thread::get_id()});
    });
    return promise->get_future();
  }
  static Placed place(Service& service) { return begin(service).get(); }

  ScriptDirectory scripts_;
};

TEST_F(ServiceTest, answers_every_hook_on_a_thread_of_its_own) {
  scripts_.write("a.lua", rule("place", "return 'disk'") + rule("admit", "return 'no'") +
                              rule("spill", "return {2}") + rule("promote", "return 'shm'") +
                              rule("retain", "return {keep_ms = 5}"));
  const auto service = start();
  const Placed placed = place(*service);
  EXPECT_EQ(placed.rule, "one");
  EXPECT_EQ(placed.tier, disk);
  EXPECT_NE(placed.thread, std::this_thread::get_id());
  std::promise<std::string> words[4];
  service->ask(always(AdmitFacts()), [&](AdmitDecision decision, const std::string& rule) {
    words[0].set_value(rule + " " + decision.why);
  });
  service->ask(always(spill_facts(3)), [&](SpillDecision decision, const std::string& rule) {
    words[1].set_value(rule + " " + std::to_string(decision.victims.at(0).candidate));
  });
  PromoteFacts promote;
  promote.tiers = some_tiers();
  service->ask(always(promote), [&](PromoteDecision decision, const std::string& rule) {
    words[2].set_value(rule + " " + std::to_string(decision.tier));
  });
  service->ask(always(RetainFacts()), [&](RetainDecision decision, const std::string& rule) {
    words[3].set_value(rule + " " + std::to_string(decision.keep_ms));
  });
  EXPECT_EQ(words[0].get_future().get(), "one no");
  EXPECT_EQ(words[1].get_future().get(), "one 1");
  EXPECT_EQ(words[2].get_future().get(), "one 1");
  EXPECT_EQ(words[3].get_future().get(), "one 5");
}

TEST_F(ServiceTest, says_default_at_once_when_there_is_no_rule) {
  scripts_.write("a.lua", rule("spill", "return {}"));
  const auto service = start();
  EXPECT_TRUE(service->asks(Hook::spill));
  EXPECT_FALSE(service->asks(Hook::place));
  const Placed placed = place(*service);
  EXPECT_EQ(placed.rule, "");
  EXPECT_EQ(placed.thread, std::this_thread::get_id());
  EXPECT_EQ(service->states().questions, 1u);
  EXPECT_EQ(service->states().defaults, 1u);
  EXPECT_EQ(service->states().dropped, 0u);
}

TEST_F(ServiceTest, does_not_start_with_scripts_that_are_wrong) {
  ServiceOptions options;
  options.places.directory = scripts_.path();
  scripts_.write("a.lua", "\n\nnonsense");
  EXPECT_THAT(Service::start(options).status().message(), HasSubstr("a.lua:3: "));
  scripts_.write("a.lua", "policy.example {hook = 'admit', facts = {}, expect = false}");
  EXPECT_EQ(Service::start(options).status().message(),
            "a.lua:1: expected refused, and got default");
}

TEST_F(ServiceTest, drops_what_is_too_much) {
  scripts_.write("a.lua", rule("place", "return 'disk'"));
  const auto service = start(1, 2);
  // The only worker is kept by an answer.
  std::promise<void> entered;
  std::promise<void> release;
  service->ask(always(place_facts()), [&](PlaceDecision, const std::string&) {
    entered.set_value();
    release.get_future().wait();
  });
  entered.get_future().wait();
  auto first = begin(*service);
  auto second = begin(*service);
  const Placed third = place(*service);
  EXPECT_EQ(third.rule, "");
  EXPECT_EQ(third.thread, std::this_thread::get_id());
  EXPECT_EQ(service->states().dropped, 1u);
  release.set_value();
  EXPECT_EQ(first.get().rule, "one");
  EXPECT_EQ(second.get().rule, "one");
}

TEST_F(ServiceTest, answers_what_waits_with_the_default_when_it_stops) {
  scripts_.write("a.lua", rule("place", "return 'disk'"));
  const auto service = start();
  std::promise<void> entered;
  std::promise<void> release;
  service->ask(always(place_facts()), [&](PlaceDecision, const std::string&) {
    entered.set_value();
    release.get_future().wait();
  });
  entered.get_future().wait();
  auto waiting = begin(*service);
  std::thread stopping([&] { service->stop(); });
  release.set_value();
  // It either waited until the end, or the worker was quicker.
  const std::string answer = waiting.get().rule;
  stopping.join();
  EXPECT_EQ(service->states().dropped, answer.empty() ? 1u : 0u);
  EXPECT_EQ(place(*service).rule, "") << "after the end";
  EXPECT_EQ(service->states().dropped, answer.empty() ? 2u : 1u);
}

TEST_F(ServiceTest, reloads_when_it_is_told_to) {
  scripts_.write("a.lua", rule("place", "return 'disk'"));
  const auto service = start(2);
  EXPECT_EQ(place(*service).tier, disk);
  EXPECT_FALSE(service->files_changed());
  scripts_.write("a.lua", rule("place", "return 'shm'") +
                              "policy.spill {name = 's', from = 'score', rule = function() end}");
  EXPECT_TRUE(service->files_changed());
  EXPECT_EQ(place(*service).tier, disk) << "it was not told to";
  EXPECT_EQ(service->spill_order(), CandidateOrder::oldest);
  EXPECT_TRUE(service->reload().ok());
  EXPECT_FALSE(service->files_changed());
  EXPECT_EQ(service->spill_order(), CandidateOrder::score);
  EXPECT_TRUE(service->asks(Hook::spill));
  for (int n = 0; n < 10; ++n) EXPECT_EQ(place(*service).tier, shm);
  const ServiceStates states = service->states();
  EXPECT_EQ(states.generation, 2u);
  EXPECT_EQ(states.rules.at(0).counts.asked, 10u) << "since the reload, of both workers";
  EXPECT_EQ(states.questions, 12u);
}

TEST_F(ServiceTest, keeps_its_rules_when_a_reload_fails) {
  scripts_.write("a.lua", rule("place", "return 'disk'"));
  const auto service = start();
  scripts_.write("a.lua", "\npolicy.place {name = 'a'}");
  EXPECT_EQ(service->reload().message(), "a.lua:2: a rule needs a function");
  EXPECT_EQ(place(*service).tier, disk);
  EXPECT_EQ(service->states().last_reload_error, "a.lua:2: a rule needs a function");
  EXPECT_FALSE(service->files_changed()) << "they have been looked at";
  scripts_.write("a.lua", rule("place", "return 'shm'") +
                              "\npolicy.example {hook = 'place', facts = {tiers = {{name = 'shm'},"
                              " {name = 'disk'}}}, expect = 'disk'}");
  EXPECT_TRUE(service->files_changed());
  EXPECT_EQ(service->reload().message(), "a.lua:2: expected disk, and got shm from the rule 'one'");
  EXPECT_EQ(place(*service).tier, disk);
  EXPECT_EQ(service->states().generation, 1u);
  scripts_.write("a.lua", rule("place", "return 'shm'"));
  EXPECT_TRUE(service->reload().ok());
  EXPECT_EQ(service->states().last_reload_error, "");
  EXPECT_EQ(place(*service).tier, shm);
}

TEST_F(ServiceTest, suspends_a_rule_in_all_workers) {
  constexpr int workers = 4;
  scripts_.write("a.lua", rule("place", "error('broken')") +
                              "policy.spill {name = 's', from = 'score', rule = function() "
                              "return 7 end} ");
  const auto service = start(workers);
  for (int n = 0; n < 50; ++n) EXPECT_EQ(place(*service).rule, "");
  EXPECT_FALSE(service->asks(Hook::place));
  EXPECT_TRUE(service->asks(Hook::spill)) << "of another hook";
  const RuleState state = service->states().rules.at(0);
  EXPECT_TRUE(state.is_suspended);
  EXPECT_EQ(state.last_error, "a.lua:1: broken");
  EXPECT_GE(state.counts.failed, 3u);
  EXPECT_LE(state.counts.failed, 3u * workers);
  EXPECT_EQ(service->spill_order(), CandidateOrder::score);
  for (int n = 0; n < 50; ++n) {
    std::promise<void> done;
    service->ask(always(spill_facts(2)),
                 [&](SpillDecision, const std::string&) { done.set_value(); });
    done.get_future().wait();
  }
  EXPECT_FALSE(service->asks(Hook::spill));
  EXPECT_EQ(service->spill_order(), CandidateOrder::oldest);
  EXPECT_TRUE(service->reload().ok());
  EXPECT_TRUE(service->asks(Hook::place)) << "a reload is another chance";
}

TEST_F(ServiceTest, may_be_asked_reloaded_and_looked_at_by_many_at_once) {
  constexpr int threads = 4;
  constexpr int questions = 1'000;
  const std::string text =
      rule("place", "for n = 1, 50 do local hint = facts.hint end return 'disk'") +
      "policy.place {name = 'two', before = 'one', rule = function(facts) "
      "if facts.client.payloads == 0 then error('x') end end} ";
  scripts_.write("a.lua", text);
  const auto service = start(3, 64);
  std::atomic<int> answered = 0;
  std::atomic<int> wrong = 0;
  std::atomic<bool> is_done = false;
  std::vector<std::thread> asking;
  for (int thread = 0; thread < threads; ++thread) {
    asking.emplace_back([&, thread] {
      for (int n = 0; n < questions; ++n) {
        PlaceFacts facts = place_facts();
        facts.client.payloads = static_cast<std::uint64_t>((n + thread) % 3);
        std::promise<void> done;
        service->ask(always(facts), [&](PlaceDecision decision, const std::string& rule) {
          if (rule != "one" || decision.tier != disk) ++wrong;
          ++answered;
          done.set_value();
        });
        done.get_future().wait();
      }
    });
  }
  std::thread reloading([&] {
    for (int n = 0; !is_done; ++n) {
      scripts_.write("a.lua", n % 3 == 2 ? "nonsense" : text + "-- " + std::to_string(n));
      EXPECT_TRUE(service->files_changed());
      EXPECT_EQ(service->reload().ok(), n % 3 != 2);
      service->asks(Hook::place);
      service->states();
    }
  });
  for (std::thread& thread : asking) thread.join();
  is_done = true;
  reloading.join();
  service->stop();
  EXPECT_EQ(answered, threads * questions);
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(service->states().generation, 1u);
  EXPECT_EQ(service->states().questions, static_cast<std::uint64_t>(threads * questions));
}

TEST_F(ServiceTest, tells_the_files_that_it_has_read) {
  scripts_.write("b.lua", "");
  scripts_.write("a.lua", "");
  EXPECT_THAT(start()->states().files, ElementsAre("a.lua", "b.lua"));
}

}  // namespace
}  // namespace pm::policy
