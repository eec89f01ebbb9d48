#include "filled_engine.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "google/protobuf/empty.pb.h"
#include "report.h"

namespace pm::perf {

namespace wire = payload::manager::catalog::v1;
namespace runtime = payload::manager::runtime::v1;

namespace {

constexpr std::uint64_t payload_bytes = 4096;
constexpr std::size_t spare_payloads = 16 * 1024;
constexpr int page_size = 100;

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto in_seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return in_seconds(usage.ru_utime) + in_seconds(usage.ru_stime);
}

EngineSetup setup_for(const std::string& repository, std::size_t payloads) {
  EngineSetup setup;
  setup.repository = repository;
  setup.slab_bytes = (payloads + spare_payloads) * payload_bytes;
  return setup;
}

wire::AllocatePayloadRequest allocate_request() {
  wire::AllocatePayloadRequest request;
  request.set_size_bytes(payload_bytes);
  request.set_preferred_tier(payload::manager::core::v1::TIER_RAM);
  request.set_layout(wire::MEMORY_LAYOUT_SLAB);
  request.set_ttl_ms(24ULL * 3600 * 1000);
  return request;
}

wire::CommitPayloadRequest commit_request(const std::string& id) {
  wire::CommitPayloadRequest request;
  request.mutable_id()->set_value(id);
  return request;
}

}  // namespace

double Cost::p50_us() const { return median(seconds) * 1e6; }

double Cost::cpu_us() const { return cpu_seconds / static_cast<double>(seconds.size()) * 1e6; }

FilledEngine::FilledEngine(const std::string& repository, std::size_t payloads)
    : engine_(setup_for(repository, payloads)), caller_(engine_.engine(), true) {
  fill(payloads);
  read_page_tokens();
}

void FilledEngine::fill(std::size_t payloads) {
  constexpr unsigned fillers = 32;
  std::vector<std::vector<std::string>> made(fillers);
  std::atomic<std::int64_t> left{static_cast<std::int64_t>(payloads)};
  std::atomic<bool> failed{false};
  std::vector<std::thread> threads;
  for (std::vector<std::string>& ids : made) {
    threads.emplace_back([&] {
      EngineCaller caller(engine_.engine(), false);
      wire::AllocatePayloadResponse allocated;
      wire::CommitPayloadResponse committed;
      while (!failed && left.fetch_sub(1) > 0) {
        bool ok = caller.call(method::allocate, allocate_request(), allocated);
        ids.push_back(allocated.payload_descriptor().payload_id().value());
        ok = ok && caller.call(method::commit, commit_request(ids.back()), committed);
        if (!ok) failed = true;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  must(!failed, "filling the engine failed");
  for (const auto& ids : made) ids_.insert(ids_.end(), ids.begin(), ids.end());
}

void FilledEngine::read_page_tokens() {
  wire::ListPayloadsRequest request;
  request.set_page_size(page_size);
  do {
    page_tokens_.push_back(request.page_token());
    request.set_page_token(
        call<wire::ListPayloadsResponse>(method::list, request).next_page_token());
  } while (!request.page_token().empty());
}

template <typename Response>
Response FilledEngine::call(const char* name, const google::protobuf::MessageLite& request) {
  Response response;
  must(caller_.call(name, request, response), std::string(name) + ": " + caller_.error());
  return response;
}

template <typename Call>
Cost FilledEngine::cost_of(std::size_t calls, Call&& call) {
  Cost cost;
  cost.seconds.reserve(calls);
  const double cpu = cpu_seconds();
  for (std::size_t i = 0; i < calls; ++i) {
    const double start = now_seconds();
    call(i);
    cost.seconds.push_back(now_seconds() - start);
  }
  cost.cpu_seconds = cpu_seconds() - cpu;
  return cost;
}

Costs FilledEngine::measure(std::size_t calls) {
  Costs costs;
  std::vector<std::string> made;
  std::vector<std::string> leases;
  costs.allocate = cost_of(calls, [&](std::size_t) {
    made.push_back(call<wire::AllocatePayloadResponse>(method::allocate, allocate_request())
                       .payload_descriptor()
                       .payload_id()
                       .value());
  });
  // In another order than that of their making.
  std::shuffle(made.begin(), made.end(), random_);
  costs.commit = cost_of(calls, [&](std::size_t i) {
    call<wire::CommitPayloadResponse>(method::commit, commit_request(made[i]));
  });
  // Picked ahead: a million ids are in no cache, and fetching one is the caller's cost.
  std::vector<std::string> wanted;
  for (std::size_t i = 0; i < calls; ++i) wanted.push_back(ids_[random_() % ids_.size()]);
  costs.lease = cost_of(calls, [&](std::size_t i) {
    runtime::AcquireReadLeaseRequest request;
    request.mutable_id()->set_value(wanted[i]);
    leases.push_back(
        call<runtime::AcquireReadLeaseResponse>(method::lease, request).lease_id().value());
  });
  costs.list = cost_of(calls, [&](std::size_t) {
    wire::ListPayloadsRequest request;
    request.set_page_size(page_size);
    request.set_page_token(page_tokens_[random_() % page_tokens_.size()]);
    call<wire::ListPayloadsResponse>(method::list, request);
  });
  for (const std::string& lease : leases) {
    runtime::ReleaseLeaseRequest request;
    request.mutable_lease_id()->set_value(lease);
    call<google::protobuf::Empty>(method::release, request);
  }
  for (const std::string& id : made) {
    wire::DeleteRequest request;
    request.mutable_id()->set_value(id);
    call<google::protobuf::Empty>(method::erase, request);
  }
  return costs;
}

}  // namespace pm::perf
