#include "local_scene.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace pm::local::test {

integration::HostOptions local_options(std::uint64_t slab_bytes) {
  integration::HostOptions options;
  options.local_socket = true;
  options.slab_bytes = slab_bytes;
  options.shm_capacity_bytes = slab_bytes + (16 << 20);
  return options;
}

client::Client connect(const integration::HostProcess& host, bool direct) {
  client::ConnectOptions options;
  options.direct = direct;
  auto client = client::Client::connect(host.local_address(), options);
  if (!client) throw std::runtime_error(client.status().to_string());
  return *std::move(client);
}

void fill(std::span<std::byte> bytes, std::uint64_t number) {
  for (std::size_t at = 0; at + sizeof number <= bytes.size(); at += sizeof number) {
    std::memcpy(bytes.data() + at, &number, sizeof number);
  }
}

bool has(std::span<const std::byte> bytes, std::uint64_t number) {
  for (std::size_t at = 0; at + sizeof number <= bytes.size(); at += sizeof number) {
    if (std::memcmp(bytes.data() + at, &number, sizeof number) != 0) return false;
  }
  return true;
}

client::PayloadId put(client::Client& client, std::uint64_t number, std::uint64_t size_bytes) {
  client::CreateOptions options;
  options.layout = client::Layout::slab;
  auto made = client.create(size_bytes, options);
  if (!made) throw std::runtime_error("create: " + made.status().to_string());
  fill(made->bytes(), number);
  const auto committed = made->commit();
  if (!committed) throw std::runtime_error("commit: " + committed.status().to_string());
  return committed->id;
}

pid_t in_child(const std::function<int()>& body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child != 0) return child;
  int status = 99;
  try {
    status = body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "child: %s\n", error.what());
  }
  std::fflush(nullptr);
  ::_exit(status);
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::chrono::nanoseconds until(const std::function<bool()>& holds,
                               std::chrono::milliseconds limit) {
  const auto begin = std::chrono::steady_clock::now();
  while (!holds()) {
    if (std::chrono::steady_clock::now() - begin >= limit) return limit;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return std::chrono::steady_clock::now() - begin;
}

long number_from(const char* variable, const char* fallback, long otherwise) {
  for (const char* name : {variable, fallback}) {
    if (const char* text = std::getenv(name)) return std::atol(text);
  }
  return otherwise;
}

}  // namespace pm::local::test
