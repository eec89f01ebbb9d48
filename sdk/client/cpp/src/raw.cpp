// Any method of the contract, as bytes.

#include <grpcpp/generic/generic_stub.h>

#include "connection.h"

namespace pm::client {

using detail::guarded;

namespace {

grpc::ByteBuffer buffer_of(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

Result<std::string> bytes_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return Status(Code::internal, "an answer that cannot be read");
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// A streaming call whose steps are waited for one at a time.
class StreamReader {
 public:
  StreamReader(grpc::GenericStub& stub, const std::string& method)
      : call_(stub.PrepareCall(&context_, method, &queue_)) {}
  ~StreamReader() {
    if (!finished_) {
      context_.TryCancel();
      static_cast<void>(finish());
    }
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }
  StreamReader(const StreamReader&) = delete;
  StreamReader& operator=(const StreamReader&) = delete;

  bool send(const std::string& request) {
    call_->StartCall(nullptr);
    if (!step()) return false;
    call_->WriteLast(buffer_of(request), grpc::WriteOptions(), nullptr);
    return step();
  }
  bool read(grpc::ByteBuffer* reply) {
    call_->Read(reply, nullptr);
    return step();
  }
  Status finish() {
    finished_ = true;
    grpc::Status status;
    call_->Finish(&status, nullptr);
    step();
    return detail::status_from(status);
  }

 private:
  bool step() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  bool finished_ = false;
};

}  // namespace

Result<std::string> Client::call(const std::string& method, const std::string& request) noexcept {
  return guarded([&]() -> Result<std::string> {
    grpc::ByteBuffer reply;
    PM_TRY(connection_->call_raw(method, buffer_of(request), &reply));
    return bytes_of(reply);
  });
}

Status Client::stream(const std::string& method, const std::string& request,
                      const std::function<bool(const std::string&)>& visit) noexcept {
  return guarded([&]() -> Status {
    if (connection_->is_forked()) return detail::Connection::forked();
    StreamReader reader(connection_->raw(), method);
    if (!reader.send(request)) return reader.finish();
    grpc::ByteBuffer reply;
    while (reader.read(&reply)) {
      const auto bytes = bytes_of(reply);
      if (!bytes) return bytes.status();
      if (!visit(*bytes)) return {};
    }
    return reader.finish();
  });
}

}  // namespace pm::client
