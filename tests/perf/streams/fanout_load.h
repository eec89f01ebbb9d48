#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

// Producers and subscribers over the wire, the same for our host and for a bare gRPC fan-out.

namespace pm::perf {

// What is called, and how its messages are written and read.
struct FanoutTarget {
  std::string address;
  std::string publish_method;
  std::function<std::string(std::uint64_t sent_ns)> publish_request;
  std::function<std::uint64_t(const std::string& response)> published_offset;
  std::string subscribe_method;
  std::string subscribe_request;
  std::function<void(const std::string& message, std::uint64_t& offset, std::uint64_t& sent_ns)>
      read_message;
};

struct FanoutFigures {
  std::uint64_t published = 0;
  std::uint64_t delivered = 0;
  double seconds = 0;
  std::vector<float> latencies_ms;  // From the begin of the append to the delivery.
};

// Some subscribers on a few connections, all served by one thread of this process.
class Subscribers {
 public:
  // Throws std::runtime_error when the server does not answer.
  Subscribers(const FanoutTarget& target, std::size_t count, std::size_t connections);
  ~Subscribers();
  Subscribers(const Subscribers&) = delete;
  Subscribers& operator=(const Subscribers&) = delete;

  // Appends `per_second` entries a second from `producers` threads, waits until every subscriber
  // has got them, and throws std::runtime_error when one missed or doubled any.
  FanoutFigures run(std::size_t producers, double per_second, double seconds);

 private:
  struct Subscriber;
  void serve();
  void take(Subscriber& subscriber);
  std::uint64_t publish(std::size_t connection);
  void wait_for(std::uint64_t offset) const;

  const FanoutTarget& target_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<Subscriber>> subscribers_;
  std::atomic<bool> counting_{false};
  std::atomic<const char*> wrong_{nullptr};
  std::thread thread_;
};

}  // namespace pm::perf
