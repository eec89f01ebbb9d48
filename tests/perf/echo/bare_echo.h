#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <pm/cpp/result.hpp>
#include <string>
#include <vector>

// The yardstick: the fastest plain gRPC echo that Debian's grpc++ gives (typed, asynchronous, two
// threads, one completion queue, a Unix socket), in a process of its own, and a load on it. A
// figure of ours that goes through gRPC is told as a ratio to this one from the same run.

namespace pm::perf {

struct EchoLoad {
  std::uint32_t threads = 1;
  double seconds = 2;
  std::uint32_t request_bytes = 64;  // Of payload in the request.
  std::uint32_t reply_bytes = 64;    // Of payload in the reply; 0: as the request.
  bool channel_per_thread = false;   // Else one connection for all.
  double calls_per_second = 0;       // Open loop at this rate; 0: each thread calls back to back.
};

struct EchoFigures {
  std::uint64_t calls = 0;
  std::uint64_t errors = 0;
  double calls_per_second = 0;
  double p50_us = 0;  // In an open loop from the time at which the call was due.
  double p99_us = 0;
  double client_cpu_us = 0;  // User and system, of each call.
  double server_cpu_us = 0;  // Filled in by measure().
};

// A child process that serves pm.perf.echo.Echo. It is killed with its owner.
class EchoServer {
 public:
  // Starts `arguments` with the socket's address ("unix:/...") behind them, and waits until the
  // child has written a line.
  static Result<std::unique_ptr<EchoServer>> start(std::vector<std::string> arguments);

  // The bare echo.
  static Result<std::unique_ptr<EchoServer>> start_bare(std::uint32_t threads = 2);

  ~EchoServer();
  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;

  const std::string& address() const { return address_; }
  double cpu_seconds() const;

 private:
  EchoServer() = default;
  std::string directory_;
  std::string address_;
  pid_t pid_ = -1;
  int standard_input_ = -1;
};

// Runs the load on any server of pm.perf.echo.Echo. UNAVAILABLE: it does not answer.
Result<EchoFigures> run_echo_load(const std::string& address, const EchoLoad& load);

// The same, with the server's CPU time.
Result<EchoFigures> measure(const EchoServer& server, const EchoLoad& load);

// Starts the bare echo, measures it, stops it.
Result<EchoFigures> measure_bare_echo(const EchoLoad& load);

}  // namespace pm::perf
