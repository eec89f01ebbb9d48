#include "bench.h"

#include <dlfcn.h>
#include <grpc/grpc.h>
#include <grpcpp/support/byte_buffer.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>

namespace pm::frontend_contract {
namespace {

const pm_plugin_entry_t* load_plugin() {
  static const auto* entry = []() -> const pm_plugin_entry_t* {
    // gRPC's last shutdown in a process may wait ten seconds for a client's large write; with this
    // there is none between two rules. frontend_stop_test looks at the frontend's own.
    grpc_init();
    const char* wanted = std::getenv("PM_FRONTEND_PLUGIN");
    void* library = dlopen(wanted == nullptr ? PM_FRONTEND_PLUGIN : wanted, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return nullptr;
    return static_cast<const pm_plugin_entry_t*>(dlsym(library, PM_PLUGIN_ENTRY_SYMBOL));
  }();
  return entry;
}

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

}  // namespace

Result<std::unique_ptr<Instance>> Instance::create(const std::string& config_json) {
  std::unique_ptr<Instance> instance(new Instance);
  instance->host_ = {PM_ABI_MAJOR,
                     PM_ABI_MINOR,
                     "frontend contract",
                     "1",
                     instance.get(),
                     [](const pm_host_t*, const char*) -> const void* { return nullptr; },
                     [](const pm_host_t* host, const char* message) {
                       static_cast<Instance*>(host->host_data)->error_ = message;
                     },
                     [](const pm_host_t*, std::int32_t, const char*) {}};
  const auto* entry = load_plugin();
  if (entry == nullptr) return Status(Code::internal, "the plugin does not load");
  instance->frontend_ =
      static_cast<const pm_frontend_t*>(entry->create(&instance->host_, config_json.c_str()));
  if (instance->frontend_ == nullptr) return Status(Code::invalid_argument, instance->error_);
  return instance;
}

Instance::~Instance() {
  if (frontend_ == nullptr) return;
  frontend_->stop(frontend_);
  frontend_->destroy(frontend_);
}

Status Instance::start(const pm_engine_t* engine) {
  const pm_status_t status = frontend_->start(frontend_, engine);
  return status == PM_OK ? Status() : Status::from_abi(status, error_);
}

void Instance::drain(std::chrono::milliseconds after) {
  const auto nanoseconds = std::chrono::nanoseconds(after).count();
  frontend_->drain(frontend_, monotonic_ns() + static_cast<std::uint64_t>(nanoseconds));
}

void Instance::stop() { frontend_->stop(frontend_); }

std::string Instance::address() const {
  const auto* extension = static_cast<const pm_frontend_addresses_t*>(
      frontend_->get_extension(frontend_, PM_FRONTEND_ADDRESSES));
  const char* address = extension == nullptr ? nullptr : extension->get(frontend_, 0);
  return address == nullptr ? "" : address;
}

Client::Client(const std::string& address, std::shared_ptr<grpc::ChannelCredentials> credentials) {
  if (credentials == nullptr) credentials = grpc::InsecureChannelCredentials();
  static std::atomic<int> number{0};
  grpc::ChannelArguments arguments;
  arguments.SetInt("pm.contract.channel", ++number);  // A connection of its own.
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetString(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, "frontend.test");
  stub_ = std::make_unique<grpc::GenericStub>(
      grpc::CreateCustomChannel(address, credentials, arguments));
}

UnaryReply Client::call(const std::string& method, const std::string& request,
                        grpc::ClientContext& context) {
  grpc::CompletionQueue queue;
  const auto call = stub_->PrepareUnaryCall(&context, method, to_buffer(request), &queue);
  call->StartCall();
  grpc::ByteBuffer reply;
  UnaryReply result;
  call->Finish(&reply, &result.status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (result.status.ok()) result.bytes = to_text(reply);
  return result;
}

UnaryReply Client::call(const std::string& method, const std::string& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  return call(method, request, context);
}

Stream::Stream(Client& client, const std::string& method) {
  context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  call_ = client.stub().PrepareCall(&context_, method, &queue_);
  call_->StartCall(nullptr);
  wait();
}

Stream::~Stream() {
  if (finished_) return;
  context_.TryCancel();
  finish();
}

bool Stream::wait() {
  void* tag = nullptr;
  bool ok = false;
  return queue_.Next(&tag, &ok) && ok;
}

void Stream::write(const std::string& request, bool last) {
  grpc::WriteOptions options;
  if (last) {
    call_->WriteLast(to_buffer(request), options, nullptr);
  } else {
    call_->Write(to_buffer(request), nullptr);
  }
  wait();
}

bool Stream::read(std::string& reply) {
  grpc::ByteBuffer buffer;
  call_->Read(&buffer, nullptr);
  if (!wait()) return false;
  reply = to_text(buffer);
  return true;
}

grpc::Status Stream::finish() {
  grpc::Status status;
  finished_ = true;
  call_->Finish(&status, nullptr);
  wait();
  return status;
}

std::string Bench::config(const std::string& listen, const std::string& more) {
  return "{\"listen\": [\"" + listen + "\"], \"threads\": 2, \"streams_max\": 1024, " +
         "\"message_bytes_max\": " + std::to_string(message_bytes_max) +
         ", \"stream_credit\": " + std::to_string(stream_credit) + more + "}";
}

Bench::Bench(Transport transport, const Mutation& mutation)
    : transport_(transport), mutation_(mutation) {
  std::string directory = std::filesystem::temp_directory_path() / "pm-frontend-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) {
    trouble_ = "mkdtemp failed";
    return;
  }
  directory_ = directory;
  auto created = Instance::create(transport == Transport::unix_socket
                                      ? config("unix:" + socket_path(), ", \"insecure\": false")
                                      : config("127.0.0.1:0", ", \"insecure\": true"));
  if (!created.ok()) {
    trouble_ = created.status().to_string();
    return;
  }
  frontend_ = std::move(*created);
  const auto* engine = engine_.face();
  const Status started =
      frontend_->start(mutation_.wrap_engine ? mutation_.wrap_engine(engine) : engine);
  if (!started.ok()) {
    trouble_ = started.to_string();
    return;
  }
  if (mutation_.after_start) mutation_.after_start(socket_path());
  client_ = std::make_unique<Client>(address());
}

Bench::~Bench() {
  client_.reset();
  frontend_.reset();
  std::error_code ignored;
  if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
}

void Bench::stop() {
  frontend_->stop();
  if (mutation_.after_stop) mutation_.after_stop(socket_path());
}

}  // namespace pm::frontend_contract
