#include "core/observe/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "core/observe/service_manager.h"

namespace pm {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

// What is written to standard error by `body`, in this format.
template <typename Body>
std::string captured(log::Level level, log::Format format, Body body) {
  log::configure(level, format);
  testing::internal::CaptureStderr();
  body();
  std::string text = testing::internal::GetCapturedStderr();
  log::configure(log::Level::info, log::Format::text);
  return text;
}

TEST(Log, text_has_time_level_component_and_message) {
  const std::string text =
      captured(log::Level::info, log::Format::text, [] { log::warn("shm", "100% full {} %s"); });
  EXPECT_THAT(text, ContainsRegex("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]"
                                  "{3}Z warn  shm: 100% full \\{\\} %s\n$"));
}

TEST(Log, json_is_one_object_a_line_with_everything_escaped) {
  const std::string text = captured(log::Level::info, log::Format::json, [] {
    log::error("a\"b", "line\nbreak \\ tab\t \x01 \xff \xc3\xa9 \xed\xa0\x80");
  });
  EXPECT_THAT(text, HasSubstr(R"(","level":"error","component":"a\"b","message":"line\nbreak \\ )"
                              R"(tab\t \u0001 )"
                              "\xEF\xBF\xBD \xc3\xa9 "));
  EXPECT_EQ(text.find('\n'), text.size() - 1);
}

TEST(Log, message_cannot_forge_a_line) {
  const std::string text = captured(log::Level::info, log::Format::text, [] {
    log::info("a", "x\n2026-01-01T00:00:00.000Z error host: forged\x1b[31m");
  });
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  EXPECT_THAT(text, HasSubstr("\\u001b[31m"));
}

TEST(Log, lines_below_the_level_are_left_out) {
  const std::string text = captured(log::Level::warn, log::Format::text, [] {
    log::info("a", "left out");
    log::set_level(log::Level::debug);
    log::debug("a", "kept");
  });
  EXPECT_THAT(text, testing::Not(HasSubstr("left out")));
  EXPECT_THAT(text, HasSubstr("debug a: kept\n"));
}

TEST(Log, lines_of_many_threads_stay_whole) {
  const std::string text = captured(log::Level::info, log::Format::text, [] {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([] {
        for (int round = 0; round < 200; ++round) log::info("a", "0123456789");
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  std::size_t lines = 0;
  for (std::size_t at = 0; (at = text.find("Z info  a: 0123456789\n", at)) != std::string::npos;) {
    ++lines;
    ++at;
  }
  EXPECT_EQ(lines, 800u);
}

TEST(ServiceManager, gets_a_datagram_at_a_path_and_in_the_abstract_namespace) {
  char directory[] = "/tmp/pm-notify-test.XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  const std::string path = std::string(directory) + "/socket";
  for (const std::string& name : {path, "@" + path}) {
    const int receiver = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.c_str(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    ASSERT_EQ(bind(receiver, reinterpret_cast<sockaddr*>(&address), size), 0);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    notify_service_manager("READY=1\n");
    char text[64] = {};
    EXPECT_EQ(recv(receiver, text, sizeof text, MSG_DONTWAIT), 8);
    EXPECT_STREQ(text, "READY=1\n");
    close(receiver);
  }
  // Nobody there, and nonsense: no harm.
  notify_service_manager("READY=1\n");
  setenv("NOTIFY_SOCKET", std::string(500, '/').c_str(), 1);
  notify_service_manager("READY=1\n");
  unsetenv("NOTIFY_SOCKET");
  notify_service_manager("READY=1\n");
  unlink(path.c_str());
  rmdir(directory);
}

}  // namespace
}  // namespace pm
