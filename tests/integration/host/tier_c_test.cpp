#include <gtest/gtest.h>

#include <fstream>

#include "content.h"
#include "host_process.h"

// A tier of a third party, built outside the project and dropped into a plugin directory, holds
// payloads like the ones that come with the host.

namespace pm::integration {
namespace {

constexpr std::uint64_t payload_bytes = (3 << 20) + 17;
constexpr auto folder_tier = static_cast<client::Tier>(100);

TEST(ForeignTier, holds_payloads_like_any_other) {
  const std::filesystem::path plugins = build_directory() / "out_of_tree/plugins";
  ASSERT_TRUE(std::filesystem::exists(plugins / "tier-c.so")) << "the test out_of_tree builds it";
  HostOptions options;
  options.plugin_directory = plugins.string();
  options.more =
      "[[tier]]\nname = \"folder\"\nplugin = \"org.example.tier-c\"\nnumber = 100\nrank = 35\n"
      "[tier.config]\ndirectory = \"${state_directory}/folder\"\ncapacity_bytes = \"64MiB\"\n";
  HostProcess host(options);
  ASSERT_TRUE(host.start_ready()) << host.log();
  const std::string payloadctl = (build_directory() / "bin/payloadctl").string();
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {payloadctl, "--address", host.address()});
    return run_program(arguments, host.directory());
  };

  const std::filesystem::path input = host.directory() / "input.bin";
  std::vector<std::byte> bytes(payload_bytes);
  fill(bytes, 11);
  std::ofstream(input, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  const Finished put = run({"put", input.string(), "--tier", "tier-100"});
  ASSERT_EQ(put.exit.code, 0) << put.output;
  client::Client client = host.client();
  const auto page = client.list({.tier = folder_tier});
  ASSERT_TRUE(page.ok() && page->payloads.size() == 1) << put.output;
  const client::PayloadId id = page->payloads.front().id;
  EXPECT_EQ(page->payloads.front().state, client::State::durable);
  EXPECT_NE(put.output.find(id.to_string()), std::string::npos) << put.output;
  const Finished get = run({"get", id.to_string(), "output.bin"});
  EXPECT_EQ(get.exit.code, 0) << get.output;
  EXPECT_EQ(*digest_of(client, id), sha256(bytes));
  EXPECT_EQ(
      run_program({"/usr/bin/cmp", input.string(), (host.directory() / "output.bin").string()})
          .exit.code,
      0);

  // Up, down again, and through a kill.
  ASSERT_TRUE(client.promote(id, client::Tier::ram).ok());
  EXPECT_EQ(*digest_of(client, id), sha256(bytes));
  const auto down = client.spill(std::span(&id, 1), {.to = folder_tier});
  ASSERT_TRUE(down.ok() && down->front().status.ok());
  host.kill();
  ASSERT_TRUE(host.start_ready()) << host.log();
  client::Client later = host.client();
  EXPECT_EQ(later.resolve(id)->tier, folder_tier);
  EXPECT_EQ(*digest_of(later, id), sha256(bytes));
  ASSERT_TRUE(later.erase(id).ok());
  EXPECT_TRUE(eventually([&] {
    const auto stats = later.stats();
    return stats.ok() && stats->tiers.back().name == "folder" && stats->tiers.back().copies == 0;
  }));
  EXPECT_EQ(host.terminate()->code, 0);
}

}  // namespace
}  // namespace pm::integration
