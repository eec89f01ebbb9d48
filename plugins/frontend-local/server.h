#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "configuration.h"
#include "connection.h"
#include "listener.h"
#include "service.h"

namespace pm::frontend_local {

// The frontend from start() to stop(): its threads, listeners and connections. Each thread has a
// loop of its own and each connection stays on one, so that what is read is handled right there.
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
  const std::vector<std::string>& addresses() const { return addresses_; }

 private:
  using Clock = std::chrono::steady_clock;
  using Work = boost::asio::executor_work_guard<boost::asio::io_context::executor_type>;
  // One who is not trusted.
  struct User {
    std::size_t connections = 0;
    std::shared_ptr<InputBudget> budget = std::make_shared<InputBudget>();
  };
  struct Loop {
    boost::asio::io_context context{1};  // Of one thread.
    std::size_t connections = 0;         // Under the server's mutex_.
    std::thread thread;
  };

  void run(boost::asio::io_context& context, const char* name, std::thread& thread);
  void on_client(int fd);
  void accept_client(int fd, const pm_principal_t& principal);
  std::string why_not_accept(const pm_principal_t& principal) const;
  void on_gone(Connection& connection);
  std::vector<std::shared_ptr<Connection>> connections() const;
  bool wait_until(Clock::time_point end, const std::function<bool()>& condition) const;
  void sever_the_rest();

  const Configuration configuration_;
  const sdk::Host host_;
  Service service_;
  std::vector<std::string> addresses_;
  std::vector<Work> work_;  // Keeps the threads running.
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<std::unique_ptr<Listener>> listeners_;

  mutable std::mutex mutex_;  // Guards what follows.
  std::unordered_set<std::shared_ptr<Connection>> connections_;
  std::unordered_map<std::uint32_t, User> users_;  // With a connection, by uid.
};

}  // namespace pm::frontend_local
