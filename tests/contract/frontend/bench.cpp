#include "bench.h"

#include <dlfcn.h>
#include <grpc/grpc.h>
#include <unistd.h>

#include <filesystem>

#include "local_client.h"

namespace pm::frontend_contract {
namespace {

const pm_plugin_entry_t* load(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return nullptr;
  return static_cast<const pm_plugin_entry_t*>(dlsym(library, PM_PLUGIN_ENTRY_SYMBOL));
}

const pm_plugin_entry_t* load_plugin(Transport transport) {
  // gRPC's last shutdown in a process may wait ten seconds for a client's large write; with this
  // there is none between two rules. frontend_stop_test looks at the frontend's own.
  static const bool kept = (grpc_init(), true);
  static_cast<void>(kept);
  return load(transport == Transport::local ? PM_FRONTEND_LOCAL_PLUGIN : PM_FRONTEND_PLUGIN);
}

}  // namespace

Result<std::unique_ptr<Instance>> Instance::create(const std::string& config_json,
                                                   Transport transport) {
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
                     [](const pm_host_t* host, std::int32_t level, const char*) {
                       if (level == PM_LOG_WARN) {
                         ++static_cast<Instance*>(host->host_data)->warnings_;
                       }
                     }};
  const auto* entry = load_plugin(transport);
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
  auto created = transport == Transport::tcp
                     ? Instance::create(config("127.0.0.1:0", ", \"insecure\": true"), transport)
                     : another("unix:" + socket_path());
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
  client_ = connect();
}

Bench::~Bench() {
  client_.reset();
  frontend_.reset();
  std::error_code ignored;
  if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
}

std::unique_ptr<Client> Bench::connect(const std::string& address) const {
  return transport_ == Transport::local ? connect_by_frames(address, stream_credit)
                                        : connect_by_grpc(address);
}

void Bench::stop() {
  frontend_->stop();
  if (mutation_.after_stop) mutation_.after_stop(socket_path());
}

}  // namespace pm::frontend_contract
