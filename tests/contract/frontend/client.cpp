#include "client.h"

#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <utility>
#include <vector>

namespace pm::frontend_contract {
namespace {

grpc::ByteBuffer to_buffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string to_text(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string result;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return result;
  for (const auto& slice : slices) {
    result.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return result;
}

class GrpcStream : public StreamCall {
 public:
  GrpcStream(grpc::GenericStub& stub, const std::string& method) {
    context_.set_deadline(std::chrono::system_clock::now() + step_time);
    call_ = stub.PrepareCall(&context_, method, &queue_);
    call_->StartCall(nullptr);
    wait();
  }

  void write(const std::string& request, bool last) override {
    if (last) {
      call_->WriteLast(to_buffer(request), grpc::WriteOptions(), nullptr);
    } else {
      call_->Write(to_buffer(request), nullptr);
    }
    wait();
  }

  bool read(std::string& reply) override {
    grpc::ByteBuffer buffer;
    call_->Read(&buffer, nullptr);
    if (!wait()) return false;
    reply = to_text(buffer);
    return true;
  }

  grpc::Status finish() override {
    grpc::Status status;
    call_->Finish(&status, nullptr);
    wait();
    return status;
  }

  void cancel() override { context_.TryCancel(); }

 private:
  bool wait() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
};

class GrpcClient : public Client {
 public:
  GrpcClient(const std::string& address, std::shared_ptr<grpc::ChannelCredentials> credentials) {
    if (credentials == nullptr) credentials = grpc::InsecureChannelCredentials();
    static std::atomic<int> number{0};
    grpc::ChannelArguments arguments;
    arguments.SetInt("pm.contract.channel", ++number);  // A connection of its own.
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetString(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, "frontend.test");
    stub_ = std::make_unique<grpc::GenericStub>(
        grpc::CreateCustomChannel(address, credentials, arguments));
  }

  UnaryReply call(const std::string& method, const std::string& request,
                  CallContext& context) override {
    grpc::ClientContext inner;
    if (context.deadline()) inner.set_deadline(*context.deadline());
    for (const auto& [key, value] : context.metadata()) inner.AddMetadata(key, value);
    context.when_cancelled([&inner] { inner.TryCancel(); });
    grpc::CompletionQueue queue;
    const auto call = stub_->PrepareUnaryCall(&inner, method, to_buffer(request), &queue);
    call->StartCall();
    grpc::ByteBuffer reply;
    UnaryReply result;
    call->Finish(&reply, &result.status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    context.when_cancelled({});
    if (result.status.ok()) result.bytes = to_text(reply);
    return result;
  }

  std::unique_ptr<StreamCall> stream(const std::string& method) override {
    return std::make_unique<GrpcStream>(*stub_, method);
  }

 private:
  std::unique_ptr<grpc::GenericStub> stub_;
};

}  // namespace

void CallContext::cancel() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
  if (const auto on_cancel = std::exchange(on_cancel_, {})) on_cancel();
}

void CallContext::when_cancelled(std::function<void()> on_cancel) {
  const std::lock_guard lock(mutex_);
  if (cancelled_ && on_cancel) {
    on_cancel();
  } else {
    on_cancel_ = std::move(on_cancel);
  }
}

UnaryReply Client::call(const std::string& method, const std::string& request) {
  CallContext context;
  context.set_deadline(std::chrono::system_clock::now() + step_time);
  return call(method, request, context);
}

Stream::~Stream() {
  if (finished_) return;
  cancel();
  call_->finish();
}

grpc::Status Stream::finish() {
  finished_ = true;
  return call_->finish();
}

std::unique_ptr<Client> connect_by_grpc(const std::string& address,
                                        std::shared_ptr<grpc::ChannelCredentials> credentials) {
  return std::make_unique<GrpcClient>(address, std::move(credentials));
}

}  // namespace pm::frontend_contract
