#include "server.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>

namespace pm::frontend_local {
namespace {

using namespace std::chrono_literals;

// It takes so many users who are not trusted to keep all others out.
constexpr std::size_t users_min = 4;
// How long the engine may take to say done to calls that were cancelled, and clients to read it.
constexpr auto end_grace = 500ms;
// A drain asks so often; counting the calls of all connections in one place would cost each call.
constexpr auto ask_interval = 1ms;

}  // namespace

Server::Server(const Configuration& configuration, sdk::Host host)
    : configuration_(configuration), host_(host), service_(host) {}

Server::~Server() { stop(); }

void Server::run(boost::asio::io_context& context, const char* name, std::thread& thread) {
  work_.push_back(boost::asio::make_work_guard(context));
  thread = std::thread([&context] { context.run(); });
  pthread_setname_np(thread.native_handle(), name);
}

Status Server::start(const pm_engine_t* engine) {
  service_.engine = engine;
  service_.local =
      static_cast<const pm_engine_local_t*>(engine->get_extension(engine, PM_ENGINE_LOCAL));
  for (std::uint32_t i = 0; i < configuration_.threads; ++i) {
    loops_.push_back(std::make_unique<Loop>());
  }
  for (const auto& path : configuration_.listen) {
    auto listener = Listener::open(loops_.front()->context, service_, path, configuration_.mode,
                                   [this](int fd) { on_client(fd); });
    if (!listener.ok()) return listener.status();
    addresses_.push_back((*listener)->address());
    listeners_.push_back(std::move(*listener));
  }
  for (const auto& listener : listeners_) listener->accept();
  service_.openers.start(std::chrono::milliseconds(configuration_.open_ms));
  for (const auto& loop : loops_) run(loop->context, "pm-local", loop->thread);
  return {};
}

void Server::on_client(int fd) {
  ucred peer{};
  socklen_t length = sizeof peer;
  const bool known = ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0;
  pm_principal_t principal{};
  principal.size = sizeof principal;
  principal.uid = peer.uid;
  principal.gid = peer.gid;
  principal.pid = peer.pid;
  principal.is_trusted = configuration_.trusted_uids.contains(peer.uid) ? 1 : 0;
  std::string refusal;
  {
    const std::lock_guard lock(mutex_);
    const bool wanted = known && !service_.draining;
    if (wanted) refusal = why_not_accept(principal);
    if (wanted && refusal.empty()) return accept_client(fd, principal);
  }
  if (!refusal.empty()) {
    service_.log.warn("a client (uid " + std::to_string(peer.uid) + ", pid " +
                      std::to_string(peer.pid) + ") was turned away: " + refusal);
  }
  ::close(fd);
}

// Under mutex_. Empty: come in.
std::string Server::why_not_accept(const pm_principal_t& principal) const {
  const std::size_t most = configuration_.connections_max;
  if (connections_.size() >= most) {
    return "connections_max, " + std::to_string(most) + ", are connected";
  }
  const auto user = users_.find(principal.uid);
  const std::size_t share = std::max<std::size_t>(most / users_min, 1);
  if (user == users_.end() || user->second.connections < share) return {};
  return "its user is not one of trusted_uids and has " + std::to_string(share) +
         " connections, a quarter of connections_max";
}

// Under mutex_.
void Server::accept_client(int fd, const pm_principal_t& principal) {
  auto& loop = **std::min_element(loops_.begin(), loops_.end(), [](const auto& a, const auto& b) {
    return a->connections < b->connections;
  });
  ++loop.connections;
  std::shared_ptr<InputBudget> budget;
  if (principal.is_trusted == 0) {
    User& user = users_[principal.uid];
    ++user.connections;
    budget = user.budget;
  }
  const auto connection =
      std::make_shared<Connection>(service_, loop.context, fd, principal, std::move(budget),
                                   [this](Connection& gone) { on_gone(gone); });
  connections_.insert(connection);
  boost::asio::post(loop.context, [connection] { connection->start(); });
}

void Server::on_gone(Connection& connection) {
  const std::lock_guard lock(mutex_);
  for (const auto& loop : loops_) {
    if (&loop->context == &connection.loop()) --loop->connections;
  }
  const auto user = users_.find(connection.principal().uid);
  if (user != users_.end() && --user->second.connections == 0) users_.erase(user);
  connections_.erase(connection.shared_from_this());
}

std::vector<std::shared_ptr<Connection>> Server::connections() const {
  const std::lock_guard lock(mutex_);
  return {connections_.begin(), connections_.end()};
}

bool Server::wait_until(Clock::time_point end, const std::function<bool()>& condition) const {
  while (!condition()) {
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(ask_interval);
  }
  return true;
}

void Server::drain(std::uint64_t deadline_ns) {
  if (loops_.empty() || service_.draining.exchange(true)) return;
  boost::asio::post(loops_.front()->context, [this] {
    for (const auto& listener : listeners_) listener->close();
  });
  const auto deadline =
      deadline_ns == 0
          ? Clock::time_point::max()
          : Clock::time_point(std::chrono::nanoseconds(static_cast<std::int64_t>(deadline_ns)));
  wait_until(deadline, [this] {
    const auto all = connections();
    return std::all_of(all.begin(), all.end(), [](const auto& c) { return c->open() == 0; });
  });
  for (const auto& connection : connections()) {
    boost::asio::post(connection->loop(), [connection] { connection->end_when_quiet(); });
  }
}

void Server::stop() {
  if (loops_.empty()) return;
  drain(1);  // Now, unless the host has drained already.
  wait_until(Clock::now() + end_grace, [this] { return connections().empty(); });
  service_.stopping = true;
  work_.clear();
  service_.openers.stop();
  for (const auto& loop : loops_) {
    loop->context.stop();
    if (loop->thread.joinable()) loop->thread.join();
  }
  sever_the_rest();
  listeners_.clear();
  loops_.clear();
}

// The engine is not called after stop(), so sessions of calls that it does not end close here.
void Server::sever_the_rest() {
  std::size_t owed = 0;
  for (const auto& connection : connections()) owed += connection->sever();
  if (owed != 0) {
    host_.error("the engine has not ended " + std::to_string(owed) +
                " cancelled calls; the local frontend stops without them");
  }
  const std::lock_guard lock(mutex_);
  connections_.clear();
}

}  // namespace pm::frontend_local
