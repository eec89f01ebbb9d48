// The bare fan-out: fanout_server ADDRESS. Each note goes to every subscriber; nothing is kept.
// Writes a byte when it listens, ends when its standard input does.

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <deque>
#include <memory>
#include <mutex>
#include <set>

#include "fanout.grpc.pb.h"

namespace {

using pm::perf::fanout::Fanout;
using pm::perf::fanout::Note;

class Service;

class Subscriber final : public grpc::ServerWriteReactor<Note> {
 public:
  explicit Subscriber(Service& service) : service_(service) {}

  void push(const std::shared_ptr<const Note>& note) {
    const std::lock_guard lock(mutex_);
    queue_.push_back(note);
    if (queue_.size() == 1) StartWrite(queue_.front().get());
  }
  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    queue_.pop_front();
    if (ok && !queue_.empty()) StartWrite(queue_.front().get());
  }
  void OnCancel() override;
  void OnDone() override { delete this; }

 private:
  Service& service_;
  std::mutex mutex_;
  std::deque<std::shared_ptr<const Note>> queue_;
};

class Service final : public Fanout::CallbackService {
 public:
  grpc::ServerUnaryReactor* Publish(grpc::CallbackServerContext* context, const Note* request,
                                    Note* reply) override {
    {
      const std::lock_guard lock(mutex_);
      auto note = std::make_shared<Note>(*request);
      note->set_offset(next_++);
      reply->set_offset(note->offset());
      for (Subscriber* subscriber : subscribers_) subscriber->push(note);
    }
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerWriteReactor<Note>* Subscribe(grpc::CallbackServerContext*, const Note*) override {
    auto* subscriber = new Subscriber(*this);
    const std::lock_guard lock(mutex_);
    subscribers_.insert(subscriber);
    return subscriber;
  }
  void leave(Subscriber* subscriber) {
    const std::lock_guard lock(mutex_);
    subscribers_.erase(subscriber);
  }

 private:
  std::mutex mutex_;
  std::set<Subscriber*> subscribers_;
  std::uint64_t next_ = 0;
};

void Subscriber::OnCancel() {
  service_.leave(this);
  Finish(grpc::Status::CANCELLED);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  Service service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(argv[1], grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  if (write(STDOUT_FILENO, "\n", 1) != 1) return 1;
  char byte = 0;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  _exit(0);
}
