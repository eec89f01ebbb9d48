#pragma once

#include <random>
#include <string>
#include <vector>

#include "engine_caller.h"
#include "local_engine.h"
#include "payload/manager/catalog/v1/catalog.pb.h"
#include "payload/manager/runtime/v1/lease.pb.h"

namespace pm::perf {

// What some calls took: each one's time, and the CPU time of this process for all.
struct Cost {
  std::vector<double> seconds;
  double cpu_seconds = 0;

  double p50_us() const;
  double cpu_us() const;  // Of one call.
};

// What one round costs, by kind of call.
struct Costs {
  Cost allocate;
  Cost commit;
  Cost lease;
  Cost list;
};

// An engine that holds a number of committed payloads of 4 KiB, and a caller of it.
class FilledEngine {
 public:
  FilledEngine(const std::string& repository, std::size_t payloads);

  // Makes `calls` of each kind; what they leave behind is taken away outside of the time.
  Costs measure(std::size_t calls);

 private:
  void fill(std::size_t payloads);
  void read_page_tokens();
  template <typename Response>
  Response call(const char* name, const google::protobuf::MessageLite& request);
  template <typename Call>
  static Cost cost_of(std::size_t calls, Call&& call);

  LocalEngine engine_;
  EngineCaller caller_;
  std::vector<std::string> ids_;
  std::vector<std::string> page_tokens_;
  std::mt19937_64 random_{1};
};

}  // namespace pm::perf
