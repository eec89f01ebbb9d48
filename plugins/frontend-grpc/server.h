#pragma once

#include <grpc/grpc.h>
#include <pm/frontend.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <pm/cpp/plugin.hpp>
#include <string>
#include <thread>
#include <vector>

#include "call.h"
#include "configuration.h"
#include "contract.h"
#include "health.h"
#include "listener.h"

namespace pm::frontend {

// One gRPC server and its threads, from start() to stop(). It stands on gRPC's C core rather than
// on grpc++: methods can be registered by the names that the engine's descriptors give, so that
// a request and its method arrive in one event, and an inline reply leaves in one batch.
class Server {
 public:
  Server(const Configuration& configuration, sdk::Host host);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // After an error only the destructor may follow.
  Status start(const pm_engine_t* engine);
  void drain(std::uint64_t deadline_ns);
  void stop();
  const std::vector<std::string>& addresses() const { return listeners_.addresses(); }

  // For calls.
  const pm_engine_t* engine() const { return engine_; }
  const Configuration& configuration() const { return configuration_; }
  const Contract& contract() const { return *contract_; }
  const Health& health() const { return health_; }
  const sdk::Host& host() const { return host_; }
  grpc_server* grpc() const { return server_; }
  grpc_completion_queue* queue() const { return queue_; }
  bool draining() const { return draining_.load(); }
  void offer(const Method& method);
  void give_back(Call* call);

 private:
  void make_server();
  void serve();
  void shut_down_server(std::chrono::steady_clock::time_point deadline, bool has_deadline);
  bool quiet() const { return shut_down_ && in_use_ == 0; }

  const Configuration configuration_;
  const sdk::Host host_;
  const pm_engine_t* engine_ = nullptr;
  std::unique_ptr<Contract> contract_;
  Method unknown_method_;
  Health health_;
  Listeners listeners_;
  grpc_server* server_ = nullptr;
  grpc_completion_queue* queue_ = nullptr;
  std::vector<std::thread> threads_;
  std::atomic<bool> draining_{false};

  std::mutex mutex_;  // Guards what follows.
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Call>> calls_;
  std::vector<Call*> idle_;
  std::size_t in_use_ = 0;
  bool shut_down_ = false;
};

}  // namespace pm::frontend
