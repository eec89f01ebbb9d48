#include "server.h"

#include <pthread.h>

#include <array>
#include <ctime>

#include "backup_poller.h"
#include "ordering.h"

namespace pm::frontend {
namespace {

using namespace std::chrono_literals;

// Requests of each method that gRPC may hand over before the first of them was answered; more
// wait inside gRPC. Enough for a burst, and some 40 methods of them stay below 1 MiB.
constexpr int kOffersPerMethod = 16;

// In a drain: how long clients without a call have to close their connections themselves, how long
// cut connections may take to go, and how long the engine may take to say done to calls that were
// cancelled.
constexpr auto kGoawayGrace = 100ms;
constexpr auto kCutGrace = 300ms;
constexpr auto kEngineGrace = 500ms;

grpc_arg integer(const char* key, int value) {
  grpc_arg argument{};
  argument.type = GRPC_ARG_INTEGER;
  argument.key = const_cast<char*>(key);
  argument.value.integer = value;
  return argument;
}

std::chrono::steady_clock::time_point from_nanoseconds(std::uint64_t deadline_ns) {
  return std::chrono::steady_clock::time_point(
      std::chrono::nanoseconds(static_cast<std::int64_t>(deadline_ns)));
}

}  // namespace

Server::Server(const Configuration& configuration, sdk::Host host)
    : configuration_(configuration), host_(host) {
  grpc_init();
}

Server::~Server() {
  stop();
  wake_backup_poller();
  grpc_shutdown();
}

void Server::make_server() {
  std::array<grpc_arg, 5> arguments{
      integer(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
              static_cast<int>(configuration_.message_bytes_max)),
      integer(GRPC_ARG_MAX_CONCURRENT_STREAMS, static_cast<int>(configuration_.streams_max)),
      // Two servers must not share a port: each would get half of the clients.
      integer(GRPC_ARG_ALLOW_REUSEPORT, 0),
      integer(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0),
      // A client that is gone without a word holds its streams no longer than some minutes.
      integer(GRPC_ARG_KEEPALIVE_TIME_MS, 120'000),
  };
  const grpc_channel_args list{arguments.size(), arguments.data()};
  server_ = grpc_server_create(&list, nullptr);
  queue_ = grpc_completion_queue_create_for_next(nullptr);
  grpc_server_register_completion_queue(server_, queue_, nullptr);
}

Status Server::start(const pm_engine_t* engine) {
  engine_ = engine;
  std::uint64_t length = 0;
  const auto* descriptors = engine->get_descriptors(engine, &length);
  auto contract = Contract::load({reinterpret_cast<const char*>(descriptors), length});
  if (!contract.ok()) return contract.status();
  contract_ = std::move(*contract);
  for (const auto& service : contract_->services()) health_.add_service(service);

  make_server();
  for (std::uint32_t i = 0; i < configuration_.threads; ++i) {
    threads_.emplace_back([this] { serve(); });
    pthread_setname_np(threads_.back().native_handle(), "pm-grpc");
  }
  for (auto& method : contract_->methods()) {
    method.registered = grpc_server_register_method(server_, method.path.c_str(), nullptr,
                                                    streams_requests(method)
                                                        ? GRPC_SRM_PAYLOAD_NONE
                                                        : GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER,
                                                    0);
  }
  PM_TRY(listeners_.open(server_, configuration_));
  grpc_server_start(server_);
  for (int i = 0; i < kOffersPerMethod; ++i) {
    for (const auto& method : contract_->methods()) offer(method);
    offer(unknown_method_);
  }
  return {};
}

void Server::serve() {
  for (;;) {
    const grpc_event event =
        grpc_completion_queue_next(queue_, gpr_inf_future(GPR_CLOCK_MONOTONIC), nullptr);
    if (event.type == GRPC_QUEUE_SHUTDOWN) return;
    take_over(event.tag);
    if (event.tag == this) {
      const std::lock_guard lock(mutex_);
      shut_down_ = true;
      changed_.notify_all();
    } else {
      Call::dispatch(*static_cast<const Call::Tag*>(event.tag), event.success != 0);
    }
  }
}

void Server::offer(const Method& method) {
  if (draining()) return;
  Call* call = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) {
      calls_.push_back(std::make_unique<Call>(*this));
      call = calls_.back().get();
    } else {
      call = idle_.back();
      idle_.pop_back();
    }
    ++in_use_;
  }
  call->arm(method);
}

void Server::give_back(Call* call) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(call);
  if (--in_use_ == 0) changed_.notify_all();
}

void Server::drain(std::uint64_t deadline_ns) {
  if (server_ == nullptr || draining_.exchange(true)) return;
  health_.set_serving(false);
  {
    // Watchers hear it, and do not keep the server waiting.
    const std::lock_guard lock(mutex_);
    for (const auto& call : calls_) call->end_local_stream();
  }
  shut_down_server(from_nanoseconds(deadline_ns), deadline_ns != 0);
}

void Server::shut_down_server(std::chrono::steady_clock::time_point deadline, bool has_deadline) {
  grpc_server_shutdown_and_notify(server_, queue_, this);
  std::unique_lock lock(mutex_);
  const auto calls_ended = [this] { return in_use_ == 0; };
  const auto is_quiet = [this] { return quiet(); };
  if (!has_deadline) {
    changed_.wait(lock, calls_ended);
  } else {
    changed_.wait_until(lock, deadline, calls_ended);
  }
  // A client that is in no call may not read the GOAWAY for a long time: gRPC's synchronous
  // clients look at their connection only during calls. So idle connections are cut.
  if (in_use_ == 0 && changed_.wait_for(lock, kGoawayGrace, is_quiet)) return;
  lock.unlock();
  grpc_server_cancel_all_calls(server_);
  lock.lock();
  changed_.wait_for(lock, kCutGrace, is_quiet);
}

void Server::stop() {
  if (server_ == nullptr) return;
  drain(1);  // Now, unless the host has drained already.
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return shut_down_; });
    changed_.wait_for(lock, kEngineGrace, [this] { return quiet(); });
    for (auto& call : calls_) call->sever();
  }
  grpc_completion_queue_shutdown(queue_);
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  std::size_t orphans = 0;
  for (auto& call : calls_) {
    if (!call->orphan()) continue;
    static_cast<void>(call.release());
    ++orphans;
  }
  if (orphans != 0) {
    host_.error("the engine has not ended " + std::to_string(orphans) +
                " cancelled calls; the gRPC frontend stops without them");
  }
  calls_.clear();
  idle_.clear();
  grpc_server_destroy(server_);
  server_ = nullptr;
  grpc_completion_queue_destroy(queue_);
  listeners_.close();
}

}  // namespace pm::frontend
