// perf_echo [--rounds N] [--seconds S] [--bytes N] [--channel-per-thread] [--rate CALLS/S]
// The gRPC frontend beside the bare echo, in turns, with 1, 8 and 64 threads; prints one JSON
// object a line with medians, the reference from the same run, and the ratio.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bare_echo.h"

namespace {

using pm::perf::EchoFigures;
using pm::perf::EchoLoad;
using pm::perf::EchoServer;

struct Options {
  int rounds = 5;
  EchoLoad load;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double median_of(const std::vector<EchoFigures>& rounds, double EchoFigures::*figure) {
  std::vector<double> values;
  for (const auto& round : rounds) values.push_back(round.*figure);
  return median(values);
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--channel-per-thread") == 0) {
      options.load.channel_per_thread = true;
    } else if (i + 1 == argc) {
      return false;
    } else if (std::strcmp(argv[i], "--rounds") == 0) {
      options.rounds = std::max(1, std::atoi(argv[++i]));
    } else if (std::strcmp(argv[i], "--seconds") == 0) {
      options.load.seconds = std::atof(argv[++i]);
    } else if (std::strcmp(argv[i], "--bytes") == 0) {
      options.load.request_bytes = static_cast<std::uint32_t>(std::atoi(argv[++i]));
      options.load.reply_bytes = options.load.request_bytes;
    } else if (std::strcmp(argv[i], "--rate") == 0) {
      options.load.calls_per_second = std::atof(argv[++i]);
    } else {
      return false;
    }
  }
  return true;
}

void print(const std::vector<EchoFigures>& ours, const std::vector<EchoFigures>& bare,
           std::uint32_t threads, const char* name, double EchoFigures::*figure, const char* unit,
           bool more_is_better, double aim) {
  const double value = median_of(ours, figure);
  const double reference = median_of(bare, figure);
  const double ratio = value / reference;
  const bool meets = more_is_better ? ratio >= aim : ratio <= aim;
  std::printf(
      "{\"name\":\"frontend_grpc_%s_%u_threads\",\"value\":%.1f,\"unit\":\"%s\","
      "\"reference\":{\"name\":\"bare_echo\",\"value\":%.1f},\"ratio\":%.3f,\"aim\":\"%s %.2f\","
      "\"meets_aim\":%s}\n",
      name, threads, value, unit, reference, ratio, more_is_better ? ">=" : "<=", aim,
      meets ? "true" : "false");
}

bool compare(const EchoServer& ours, const EchoServer& bare, const Options& options,
             std::uint32_t threads) {
  EchoLoad load = options.load;
  load.threads = threads;
  std::vector<EchoFigures> our_rounds;
  std::vector<EchoFigures> bare_rounds;
  for (int i = 0; i < options.rounds; ++i) {
    for (const bool first : {i % 2 == 0, i % 2 != 0}) {
      const auto figures = pm::perf::measure(first ? bare : ours, load);
      if (!figures.ok() || figures->errors != 0 || figures->calls == 0) {
        std::fprintf(stderr, "%s failed\n", first ? "the bare echo" : "the frontend");
        return false;
      }
      (first ? bare_rounds : our_rounds).push_back(*figures);
    }
  }
  print(our_rounds, bare_rounds, threads, "calls", &EchoFigures::calls_per_second, "calls/s", true,
        0.95);
  print(our_rounds, bare_rounds, threads, "p50", &EchoFigures::p50_us, "us", false, 1.05);
  print(our_rounds, bare_rounds, threads, "p99", &EchoFigures::p99_us, "us", false, 1.25);
  print(our_rounds, bare_rounds, threads, "server_cpu", &EchoFigures::server_cpu_us, "us/call",
        false, 1.05);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) {
    std::fprintf(stderr,
                 "usage: perf_echo [--rounds N] [--seconds S] [--bytes N] "
                 "[--channel-per-thread] [--rate CALLS/S]\n");
    return 2;
  }
  const auto bare = EchoServer::start_bare();
  const auto ours = EchoServer::start({PM_PERF_FRONTEND_SERVER, PM_PERF_FRONTEND_PLUGIN, "2"});
  if (!bare.ok() || !ours.ok()) {
    std::fprintf(stderr, "%s\n", (bare.ok() ? ours : bare).status().to_string().c_str());
    return 1;
  }
  for (const std::uint32_t threads : {1U, 8U, 64U}) {
    if (!compare(**ours, **bare, options, threads)) return 1;
  }
  return 0;
}
