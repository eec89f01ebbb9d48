#include "core/plugin/instance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "scratch.h"

namespace pm {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class InstanceTest : public test::Scratch {
 protected:
  Result<PluginLibrary> load(const std::string& name) {
    put(name);
    const auto files = find_plugins({directory_});
    if (!files.ok()) return files.status();
    if (files->found.empty()) return Status{Code::internal, "refused: " + name};
    return PluginLibrary::load(files->found[0]);
  }

  Result<Tier> create(const std::string& name, std::optional<HostIdentity> identity = {}) {
    const auto library = load(name);
    if (!library.ok()) return library.status();
    return Tier::create(*library, "tape", std::move(identity), R"({"key":1})");
  }
};

TEST_F(InstanceTest, loads_and_creates) {
  const auto tier = create("good");
  ASSERT_TRUE(tier.ok()) << tier.status().message();
  EXPECT_STREQ(std::getenv("PM_FIXTURE_LOADED"), "org.example.fixture");
  EXPECT_EQ(tier->name(), "tape");
  pm_tier_info_t info{};
  info.size = sizeof info;
  (*tier)->get_info(tier->get(), &info);
  EXPECT_EQ(info.charge_granularity_bytes, 1u);
}

TEST_F(InstanceTest, status_of_a_call_carries_the_plugin_s_words_once) {
  const auto tier = create("good");
  ASSERT_TRUE(tier.ok());
  const auto* abi = tier->get();
  const Status full = take_error(abi->allocate(abi, nullptr, nullptr, 1, nullptr, nullptr));
  EXPECT_EQ(full.code(), Code::resource_exhausted);
  EXPECT_EQ(full.message(), "tape: the fixture is full");
  EXPECT_EQ(take_error(PM_NOT_FOUND).message(), "");
  EXPECT_EQ(take_error(abi->write(abi, nullptr, nullptr, nullptr, 0, nullptr, 0)).code(),
            Code::internal);
}

TEST_F(InstanceTest, words_left_by_a_call_that_succeeds_are_forgotten) {
  const auto tier = create("good");
  ASSERT_TRUE(tier.ok());
  (*tier)->allocate(tier->get(), nullptr, nullptr, 1, nullptr, nullptr);
  EXPECT_TRUE(take_error(PM_OK).ok());
  EXPECT_EQ(take_error(PM_INTERNAL).message(), "");
}

TEST_F(InstanceTest, words_belong_to_their_thread) {
  const auto tier = create("good");
  ASSERT_TRUE(tier.ok());
  const auto* abi = tier->get();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([abi] {
      for (int round = 0; round < 1'000; ++round) {
        const auto status = abi->allocate(abi, nullptr, nullptr, 1, nullptr, nullptr);
        EXPECT_EQ(take_error(status).message(), "tape: the fixture is full");
        EXPECT_EQ(take_error(PM_INTERNAL).message(), "");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(InstanceTest, identity_is_there_when_given) {
  const auto without = create("good");
  ASSERT_TRUE(without.ok());
  EXPECT_EQ((*without)->get_extension(without->get(), PM_HOST_IDENTITY), nullptr);
  const auto with = create("good", HostIdentity{"0123456789abcdef", read_boot_id(), "/state"});
  ASSERT_TRUE(with.ok());
  const auto* identity =
      static_cast<const pm_host_identity_t*>((*with)->get_extension(with->get(), PM_HOST_IDENTITY));
  ASSERT_NE(identity, nullptr);
  EXPECT_EQ(identity->size, sizeof *identity);
  EXPECT_STREQ(identity->instance_id, "0123456789abcdef");
  EXPECT_EQ(std::string(identity->boot_id).size(), 36u);
  EXPECT_STREQ(identity->state_directory, "/state");
  EXPECT_EQ((*with)->get_extension(with->get(), "pm.nothing/1"), nullptr);
}

TEST_F(InstanceTest, log_lines_carry_the_name_and_destroy_comes_once) {
  testing::internal::CaptureStderr();
  {
    auto tier = create("good");
    ASSERT_TRUE(tier.ok());
    Tier moved = *std::move(tier);
    moved = Tier(std::move(moved));
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, HasSubstr("warn  tape: {\"key\":1}\n"));
  const std::size_t first = text.find("tape: destroyed");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(text.find("tape: destroyed", first + 1), std::string::npos);
}

TEST_F(InstanceTest, null_function_is_refused_by_name) {
  const auto tier = create("null_function");
  EXPECT_EQ(tier.status().code(), Code::invalid_argument);
  EXPECT_THAT(tier.status().message(),
              AllOf(HasSubstr("null_function.so"), HasSubstr("leaves the function `seal` NULL")));
}

TEST_F(InstanceTest, failure_of_create_carries_its_words) {
  const auto tier = create("create_fails");
  EXPECT_EQ(tier.status().code(), Code::failed_precondition);
  EXPECT_THAT(tier.status().message(), HasSubstr("tape: the fixture has no medium"));
}

TEST_F(InstanceTest, entry_that_differs_from_the_note_is_refused) {
  EXPECT_THAT(load("entry_differs").status().message(), HasSubstr("another version of the ABI"));
}

TEST_F(InstanceTest, id_that_differs_from_the_note_is_refused) {
  EXPECT_THAT(load("id_differs").status().message(),
              HasSubstr("says pm.tier/1 org.example.other, and its note says"));
}

TEST_F(InstanceTest, missing_entry_is_refused) {
  EXPECT_THAT(load("no_entry").status().message(),
              HasSubstr("no_entry.so: does not export `pm_plugin_entry_v1`"));
}

TEST_F(InstanceTest, undefined_symbol_is_told) {
  EXPECT_THAT(load("undefined_symbol").status().message(),
              AllOf(HasSubstr("undefined_symbol.so: cannot be loaded"),
                    HasSubstr("pm_fixture_no_such_symbol")));
}

TEST_F(InstanceTest, another_kind_is_refused) {
  const auto library = load("good");
  ASSERT_TRUE(library.ok());
  EXPECT_THAT(Frontend::create(*library, "web", {}, "{}").status().message(),
              HasSubstr("the plugin is a pm.tier/1, and a pm.frontend/1 is needed here"));
}

}  // namespace
}  // namespace pm
