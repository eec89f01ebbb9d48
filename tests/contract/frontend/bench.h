#pragma once

#include <pm/frontend.h>

#include <atomic>
#include <functional>
#include <memory>
#include <pm/cpp/result.hpp>
#include <string>
#include <vector>

#include "client.h"
#include "fake_engine.h"

namespace pm::frontend_contract {

// A frontend that is not the one under test, made of it: what a mutant changes between the
// frontend and its engine, or around its start and stop. Empty functions change nothing.
struct Mutation {
  const char* name = "none";
  std::function<const pm_engine_t*(const pm_engine_t*)> wrap_engine;
  std::function<void(const std::string& socket_path)> after_start;
  std::function<void(const std::string& socket_path)> after_stop;
};

// An instance of the plugin that serves a transport, of this build.
class Instance {
 public:
  static Result<std::unique_ptr<Instance>> create(const std::string& config_json,
                                                  Transport transport = Transport::tcp);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  Status start(const pm_engine_t* engine);
  void drain(std::chrono::milliseconds after);
  void stop();
  std::string address() const;                       // The first.
  int warnings() const { return warnings_.load(); }  // That it has logged.

 private:
  Instance() = default;
  pm_host_t host_{};
  std::string error_;
  std::atomic<int> warnings_{0};
  const pm_frontend_t* frontend_ = nullptr;
};

// An engine, a frontend that serves it, and a place for its socket.
class Bench {
 public:
  explicit Bench(Transport transport, const Mutation& mutation = {});
  ~Bench();
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  // Why there is no frontend to try; empty when there is.
  const std::string& trouble() const { return trouble_; }

  // A configuration that listens at `listen`, with more members behind it (", \"x\": 1").
  static std::string config(const std::string& listen, const std::string& more = "");

  // Another instance of the same plugin.
  Result<std::unique_ptr<Instance>> another(const std::string& listen) const {
    return Instance::create(config(listen), transport_);
  }
  // A client with a connection of its own; `address` as a frontend gives it.
  std::unique_ptr<Client> connect(const std::string& address) const;
  std::unique_ptr<Client> connect() const { return connect(address()); }

  FakeEngine& engine() { return engine_; }
  Instance& frontend() { return *frontend_; }
  Client& client() { return *client_; }
  std::string address() const { return frontend_->address(); }
  Transport transport() const { return transport_; }
  const std::string& directory() const { return directory_; }
  std::string socket_path() const { return directory_ + "/frontend.sock"; }
  void stop();

  static constexpr int message_bytes_max = 5 << 20;
  static constexpr std::uint32_t stream_credit = 8;

 private:
  const Transport transport_;
  const Mutation mutation_;
  std::string directory_;
  std::string trouble_;
  FakeEngine engine_;
  std::unique_ptr<Instance> frontend_;
  std::unique_ptr<Client> client_;
};

}  // namespace pm::frontend_contract
