#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "oracle.h"

// Clients in threads of this process that put, read, move and delete at a rate, and remember what
// they were promised. Whatever a host under faults may answer is fine, but for wrong bytes.

namespace pm::soak {

class Worker {
 public:
  Worker(const integration::HostProcess& host, unsigned seed) : host_(host), random_(seed) {}

  // Until `stop`; `calls_per_s` of 0: as fast as it goes.
  void run(const std::atomic<bool>& stop, double calls_per_s);

  std::vector<integration::Known>& known() { return known_; }
  const integration::Violations& violations() const { return violations_; }
  std::uint64_t calls() const { return calls_; }
  std::uint64_t refusals() const { return refusals_; }
  // Of each put since the last time, in milliseconds.
  std::vector<double> take_latencies() { return std::exchange(latencies_ms_, {}); }

 private:
  void put(client::Client& client);
  void read(client::Client& client, const integration::Known& known);
  void move(client::Client& client, integration::Known& known);
  void erase(client::Client& client, integration::Known& known);
  bool took(const Status& status);

  const integration::HostProcess& host_;
  std::minstd_rand random_;
  std::vector<integration::Known> known_;
  integration::Violations violations_;
  std::uint64_t calls_ = 0;
  std::uint64_t refusals_ = 0;
  std::vector<double> latencies_ms_;
};

// Several workers, which run, rest and go on.
class Load {
 public:
  Load(const integration::HostProcess& host, unsigned workers, unsigned seed);
  ~Load() { rest(); }

  void run(double calls_per_s);
  void rest();
  std::vector<std::unique_ptr<Worker>>& workers() { return workers_; }
  std::uint64_t calls() const;     // While it rests.
  std::uint64_t refusals() const;  // While it rests.

 private:
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stop_{false};
};

}  // namespace pm::soak
