#include <grpcpp/grpcpp.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "bare_echo.h"
#include "echo.grpc.pb.h"

namespace pm::perf {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto in_seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return in_seconds(usage.ru_utime) + in_seconds(usage.ru_stime);
}

std::shared_ptr<grpc::Channel> connect(const std::string& address, int number) {
  grpc::ChannelArguments arguments;
  // Channels with equal arguments share one connection; the number keeps them apart.
  arguments.SetInt("pm.perf.channel", number);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

struct Caller {
  std::unique_ptr<echo::Echo::Stub> stub;
  std::vector<std::uint32_t> latencies_ns;
  std::uint64_t errors = 0;
};

void call_until(Caller& caller, const EchoLoad& load, Clock::time_point start,
                Clock::time_point end, std::uint32_t index) {
  echo::EchoRequest request;
  request.set_payload(std::string(load.request_bytes, 'x'));
  request.set_reply_bytes(load.reply_bytes);
  echo::EchoReply reply;
  const bool open_loop = load.calls_per_second > 0;
  const std::chrono::duration<double> step(
      open_loop ? static_cast<double>(load.threads) / load.calls_per_second : 0);
  auto due = start + std::chrono::duration_cast<Clock::duration>(step * index / load.threads);
  for (std::uint64_t i = 1;; ++i) {
    if (open_loop) std::this_thread::sleep_until(due);
    const auto begin = open_loop ? due : Clock::now();
    if (begin >= end) return;
    grpc::ClientContext context;
    if (!caller.stub->Call(&context, request, &reply).ok()) ++caller.errors;
    const auto nanoseconds = std::chrono::nanoseconds(Clock::now() - begin).count();
    caller.latencies_ns.push_back(
        static_cast<std::uint32_t>(std::min<std::int64_t>(nanoseconds, std::int64_t{UINT32_MAX})));
    due = start + std::chrono::duration_cast<Clock::duration>(
                      step * (static_cast<double>(i) + static_cast<double>(index) / load.threads));
  }
}

double percentile_us(std::vector<std::uint32_t>& sorted, double share) {
  const auto last = static_cast<double>(sorted.size() - 1);
  return static_cast<double>(sorted[static_cast<std::size_t>(last * share)]) / 1000;
}

EchoFigures summarize(const std::vector<Caller>& callers, double elapsed, double cpu) {
  EchoFigures figures;
  std::vector<std::uint32_t> all;
  for (const auto& caller : callers) {
    all.insert(all.end(), caller.latencies_ns.begin(), caller.latencies_ns.end());
    figures.errors += caller.errors;
  }
  figures.calls = all.size();
  if (all.empty()) return figures;
  std::sort(all.begin(), all.end());
  figures.calls_per_second = static_cast<double>(all.size()) / elapsed;
  figures.p50_us = percentile_us(all, 0.50);
  figures.p99_us = percentile_us(all, 0.99);
  figures.client_cpu_us = cpu * 1e6 / static_cast<double>(all.size());
  return figures;
}

}  // namespace

Result<EchoFigures> run_echo_load(const std::string& address, const EchoLoad& load) {
  std::vector<Caller> callers(load.threads);
  auto channel = connect(address, 0);
  for (std::uint32_t i = 0; i < load.threads; ++i) {
    if (load.channel_per_thread && i != 0) channel = connect(address, static_cast<int>(i));
    if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10))) {
      return Status(Code::unavailable, "no server answers at " + address);
    }
    callers[i].stub = echo::Echo::NewStub(channel);
    callers[i].latencies_ns.reserve(1U << 16);
  }
  const double cpu_before = cpu_seconds();
  const auto start = Clock::now();
  const auto end = start + std::chrono::duration_cast<Clock::duration>(
                               std::chrono::duration<double>(load.seconds));
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < load.threads; ++i) {
    threads.emplace_back([&, i] { call_until(callers[i], load, start, end, i); });
  }
  for (auto& thread : threads) thread.join();
  return summarize(callers, seconds(Clock::now() - start), cpu_seconds() - cpu_before);
}

}  // namespace pm::perf
