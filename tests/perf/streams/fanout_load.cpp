#include "fanout_load.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>

namespace pm::perf {

namespace {

using namespace std::chrono_literals;

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

grpc::ByteBuffer to_buffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string to_bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  buffer.Dump(&slices);
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

}  // namespace

struct Subscribers::Subscriber {
  enum class State { starting, asking, reading, ended } state = State::starting;
  grpc::ClientContext context;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call;
  grpc::ByteBuffer message;
  std::atomic<std::uint64_t> next{0};  // The offset expected; 0: none has come.
  std::uint64_t delivered = 0;
  std::vector<float> latencies_ms;
};

Subscribers::Subscribers(const FanoutTarget& target, std::size_t count, std::size_t connections)
    : target_(target) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  for (std::size_t index = 0; index < connections; ++index) {
    channels_.push_back(
        grpc::CreateCustomChannel(target.address, grpc::InsecureChannelCredentials(), arguments));
    if (!channels_.back()->WaitForConnected(std::chrono::system_clock::now() + 10s)) {
      throw std::runtime_error("no server answers at " + target.address);
    }
  }
  for (std::size_t index = 0; index < count; ++index) {
    auto& subscriber = *subscribers_.emplace_back(std::make_unique<Subscriber>());
    grpc::GenericStub stub(channels_[index % connections]);
    subscriber.call = stub.PrepareCall(&subscriber.context, target.subscribe_method, &queue_);
    subscriber.call->StartCall(&subscriber);
  }
  thread_ = std::thread([this] { serve(); });
}

Subscribers::~Subscribers() {
  for (auto& subscriber : subscribers_) subscriber->context.TryCancel();
  queue_.Shutdown();
  thread_.join();
}

void Subscribers::serve() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
    auto& subscriber = *static_cast<Subscriber*>(tag);
    if (!ok) {
      subscriber.state = Subscriber::State::ended;
      continue;
    }
    switch (subscriber.state) {
      case Subscriber::State::starting:
        subscriber.state = Subscriber::State::asking;
        subscriber.call->WriteLast(to_buffer(target_.subscribe_request), {}, &subscriber);
        break;
      case Subscriber::State::asking:
        subscriber.state = Subscriber::State::reading;
        subscriber.call->Read(&subscriber.message, &subscriber);
        break;
      case Subscriber::State::reading:
        take(subscriber);
        subscriber.call->Read(&subscriber.message, &subscriber);
        break;
      case Subscriber::State::ended: break;
    }
  }
}

void Subscribers::take(Subscriber& subscriber) {
  std::uint64_t offset = 0;
  std::uint64_t sent_ns = 0;
  target_.read_message(to_bytes(subscriber.message), offset, sent_ns);
  const std::uint64_t expected = subscriber.next.load(std::memory_order_relaxed);
  if (expected != 0 && offset != expected) {
    wrong_ = offset > expected ? "an entry was missed" : "an entry came twice";
  }
  if (counting_.load(std::memory_order_relaxed)) {
    ++subscriber.delivered;
    subscriber.latencies_ms.push_back(static_cast<float>(now_ns() - sent_ns) / 1e6F);
  }
  subscriber.next.store(offset + 1, std::memory_order_release);
}

std::uint64_t Subscribers::publish(std::size_t connection) {
  grpc::GenericStub stub(channels_[connection % channels_.size()]);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  grpc::ByteBuffer response;
  grpc::Status status;
  const auto call = stub.PrepareUnaryCall(&context, target_.publish_method,
                                          to_buffer(target_.publish_request(now_ns())), &queue);
  call->StartCall();
  call->Finish(&response, &status, &context);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  queue.Shutdown();
  if (!status.ok()) throw std::runtime_error("publishing: " + status.error_message());
  return target_.published_offset(to_bytes(response));
}

// Every subscriber has got what was published up to `offset`.
void Subscribers::wait_for(std::uint64_t offset) const {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  for (const auto& subscriber : subscribers_) {
    while (subscriber->next.load(std::memory_order_acquire) <= offset) {
      if (std::chrono::steady_clock::now() > deadline) {
        throw std::runtime_error("a subscriber does not get what was published");
      }
      std::this_thread::sleep_for(1ms);
    }
  }
}

FanoutFigures Subscribers::run(std::size_t producers, double per_second, double seconds) {
  // A bare fan-out gives a subscriber what comes after it; so all are there before it counts.
  const auto joined = [this] {
    return std::all_of(subscribers_.begin(), subscribers_.end(),
                       [](const auto& subscriber) { return subscriber->next != 0; });
  };
  std::uint64_t last = publish(0);
  while (!joined()) {
    last = publish(0);
    std::this_thread::sleep_for(10ms);
  }
  wait_for(last);
  counting_ = true;
  const auto begin = std::chrono::steady_clock::now();
  const auto every = std::chrono::duration<double>(static_cast<double>(producers) / per_second);
  const auto each = static_cast<std::uint64_t>(per_second * seconds) / producers;
  std::atomic<std::uint64_t> highest{0};
  std::atomic<bool> failed{false};
  std::vector<std::thread> threads;
  for (std::size_t producer = 0; producer < producers; ++producer) {
    threads.emplace_back([&, producer] {
      // Not all at once.
      const double phase = static_cast<double>(producer) / static_cast<double>(producers);
      try {
        for (std::uint64_t number = 0; number < each; ++number) {
          std::this_thread::sleep_until(begin +
                                        std::chrono::duration_cast<std::chrono::nanoseconds>(
                                            every * (static_cast<double>(number) + phase)));
          const std::uint64_t offset = publish(producer);
          std::uint64_t seen = highest;
          while (seen < offset && !highest.compare_exchange_weak(seen, offset)) {
          }
        }
      } catch (const std::exception&) {
        failed = true;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  FanoutFigures figures;
  figures.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (failed) throw std::runtime_error("publishing failed");
  wait_for(highest);
  counting_ = false;
  figures.published = each * producers;
  for (auto& subscriber : subscribers_) {
    figures.delivered += std::exchange(subscriber->delivered, 0);
    figures.latencies_ms.insert(figures.latencies_ms.end(), subscriber->latencies_ms.begin(),
                                subscriber->latencies_ms.end());
    subscriber->latencies_ms.clear();
  }
  if (wrong_ != nullptr) throw std::runtime_error(wrong_.load());
  if (figures.delivered != figures.published * subscribers_.size()) {
    throw std::runtime_error("not every entry came to every subscriber once");
  }
  return figures;
}

}  // namespace pm::perf
