#include "dispatcher.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cstring>
#include <exception>
#include <new>
#include <utility>

#include "core/catalog/mutant.h"
#include "core/observe/log.h"
#include "methods.h"

// The contract as data, embedded by the assembler.
__asm__(
    ".section .rodata\n"
    ".balign 16\n"
    "pm_contract_begin:\n"
    ".incbin \"" PM_CONTRACT_FILE
    "\"\n"
    "pm_contract_end:\n"
    ".byte 0\n"
    ".previous\n");
extern "C" const std::uint8_t pm_contract_begin[];
extern "C" const std::uint8_t pm_contract_end[];

namespace pm::api {

Dispatcher::Dispatcher(ledger::Ledger& ledger, const TierTable& tiers,
                       const pm_repository_t* repository, scrub::Scrubber& scrubber,
                       PolicyDesk& policies, LocalEngine& local, HostFacts host)
    : local_(local),
      reader_(repository, ledger),
      lineage_turns_(reader_),
      watch_(ledger),
      host_(std::move(host)),
      services_{ledger,         tiers,  calls_,   reader_,  delivery_, streams_,
                lineage_turns_, watch_, scrubber, policies, host_} {
  ledger.on_stream_notice(
      [this](const catalog::StreamNotice& notice) { streams_.on_notice(notice); });
  engine_.engine_data = this;
  engine_.call = &Dispatcher::call;
  engine_.cancel = &Dispatcher::cancel;
  engine_.credit = &Dispatcher::credit;
  serve_local_clients();
  engine_.get_descriptors = [](const pm_engine_t*, std::uint64_t* length) {
    *length = static_cast<std::uint64_t>(pm_contract_end - pm_contract_begin);
    return &pm_contract_begin[0];
  };
}

// Their sessions, and what they get besides calls.
void Dispatcher::serve_local_clients() {
  engine_.session_open = [](const pm_engine_t* engine, const pm_principal_t* principal) noexcept {
    return self(engine).local_.open_session(principal);
  };
  engine_.session_close = [](const pm_engine_t* engine, std::uint64_t session) noexcept {
    self(engine).local_.close_session(session);
  };
  engine_.get_extension = [](const pm_engine_t* engine, const char* id) noexcept -> const void* {
    if (std::strcmp(id, PM_ENGINE_LOCAL) == 0) return self(engine).local_.abi();
    return nullptr;
  };
}

Dispatcher& Dispatcher::self(const pm_engine_t* engine) {
  return *static_cast<Dispatcher*>(engine->engine_data);
}

std::uint64_t Dispatcher::call(const pm_engine_t* engine, const char* method,
                               const std::uint8_t* request, std::uint64_t length,
                               const pm_call_info_t* info, pm_on_reply_t on_reply,
                               void* data) noexcept {
  Dispatcher& dispatcher = self(engine);
  Invocation invocation;
  invocation.id = dispatcher.calls_.next_id();
  invocation.method = method;
  invocation.request = {reinterpret_cast<const char*>(request), length};
  invocation.info = info;
  invocation.on_reply = on_reply;
  invocation.data = data;
  if (is_planted(catalog::Mutant::call_leaks_memory)) {
    constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
    ::mmap(nullptr, 1 << 16, PROT_READ | PROT_WRITE, flags, -1, 0);
  }
  if (is_planted(catalog::Mutant::call_leaks_descriptor)) ::fcntl(0, F_DUPFD, 0);
  const Method found = find_method(invocation.method);
  if (found == nullptr) {
    reply_error(invocation, RequestFault::method_unknown, std::string(invocation.method));
    return invocation.id;
  }
  try {
    found(dispatcher.services_, invocation);
    // A stream that began while the others were ended.
    if (dispatcher.streams_end_.load()) dispatcher.calls_.end_stream(invocation.id);
  } catch (const std::bad_alloc&) {
    // The state is whole, as nothing is thrown under the lock before it is changed; but a caller
    // could be left without an answer, and the journal without a record. Recovery is sound.
    log::error("engine", "out of memory");
    std::terminate();
  }
  return invocation.id;
}

void Dispatcher::credit(const pm_engine_t* engine, std::uint64_t call,
                        std::uint32_t replies) noexcept {
  self(engine).calls_.credit(call, replies);
}

void Dispatcher::end_streams() {
  streams_end_.store(true);
  calls_.end_streams();
}

void Dispatcher::stop() {
  end_streams();
  watch_.stop();
  reader_.stop();
  delivery_.stop();
}

void Dispatcher::cancel(const pm_engine_t* engine, std::uint64_t call) noexcept {
  self(engine).calls_.cancel(call);
}

}  // namespace pm::api
