#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

// Clients of a frontend that know no contract: bytes out, bytes in. The rules see this face; each
// transport has its own behind it.

namespace pm::frontend_contract {

enum class Transport { unix_socket, tcp, local };

// What one call brings along, and the handle to give it up by, from any thread.
class CallContext {
 public:
  using Time = std::chrono::system_clock::time_point;
  void set_deadline(Time deadline) { deadline_ = deadline; }
  void add_metadata(const std::string& key, const std::string& value) { metadata_[key] = value; }
  void cancel();

  // For clients. `on_cancel` runs at most once, also at once when it was cancelled before; an
  // empty one ends that.
  void when_cancelled(std::function<void()> on_cancel);
  bool is_cancelled() const { return cancelled_.load(); }
  const std::optional<Time>& deadline() const { return deadline_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  std::optional<Time> deadline_;
  std::map<std::string, std::string> metadata_;
  std::mutex mutex_;
  std::function<void()> on_cancel_;
  std::atomic<bool> cancelled_{false};
};

struct UnaryReply {
  grpc::Status status;
  std::string bytes;
};

// One streaming call, step by step; each step blocks.
class StreamCall {
 public:
  virtual ~StreamCall() = default;
  virtual void write(const std::string& request, bool last) = 0;
  virtual bool read(std::string& reply) = 0;
  virtual grpc::Status finish() = 0;
  virtual void cancel() = 0;
};

class Client {
 public:
  virtual ~Client() = default;
  virtual UnaryReply call(const std::string& method, const std::string& request,
                          CallContext& context) = 0;
  UnaryReply call(const std::string& method, const std::string& request);
  virtual std::unique_ptr<StreamCall> stream(const std::string& method) = 0;
};

class Stream {
 public:
  Stream(Client& client, const std::string& method) : call_(client.stream(method)) {}
  ~Stream();
  void write(const std::string& request, bool last = true) { call_->write(request, last); }
  bool read(std::string& reply) { return call_->read(reply); }
  grpc::Status finish();
  void cancel() { call_->cancel(); }

 private:
  std::unique_ptr<StreamCall> call_;
  bool finished_ = false;
};

std::unique_ptr<Client> connect_by_grpc(
    const std::string& address, std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr);

// How long any step may take before the rule fails.
constexpr auto step_time = std::chrono::seconds(20);

}  // namespace pm::frontend_contract
