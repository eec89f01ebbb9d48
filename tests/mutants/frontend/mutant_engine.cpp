#include "mutant_engine.h"

#include <utility>

namespace pm::frontend_contract {
namespace {

MutantEngine& of(const pm_engine_t* face) { return *static_cast<MutantEngine*>(face->engine_data); }

}  // namespace

MutantEngine::MutantEngine(Fault fault) : fault_(std::move(fault)) {
  face_.engine_data = this;
  face_.call = call;
  face_.cancel = [](const pm_engine_t* face, std::uint64_t id) {
    const auto& self = of(face);
    for (int i = 0; i < self.fault_.cancels; ++i) self.inner_->cancel(self.inner_, id);
  };
  face_.credit = [](const pm_engine_t* face, std::uint64_t id, std::uint32_t replies) {
    const auto& self = of(face);
    self.inner_->credit(self.inner_, id, replies * self.fault_.credits);
  };
  face_.session_open = [](const pm_engine_t* face, const pm_principal_t* principal) {
    return of(face).inner_->session_open(of(face).inner_, principal);
  };
  face_.session_close = [](const pm_engine_t* face, std::uint64_t session) {
    const auto& self = of(face);
    for (int i = 0; i < self.fault_.closes; ++i) self.inner_->session_close(self.inner_, session);
  };
  face_.get_descriptors = [](const pm_engine_t* face, std::uint64_t* length) {
    return of(face).inner_->get_descriptors(of(face).inner_, length);
  };
  face_.get_extension = [](const pm_engine_t*, const char*) -> const void* { return nullptr; };
}

const pm_engine_t* MutantEngine::wrap(const pm_engine_t* inner) {
  inner_ = inner;
  return &face_;
}

std::uint64_t MutantEngine::call(const pm_engine_t* face, const char* method,
                                 const std::uint8_t* request, std::uint64_t length,
                                 const pm_call_info_t* info, pm_on_reply_t on_reply_of_call,
                                 void* data) {
  auto& self = of(face);
  std::string bytes(reinterpret_cast<const char*>(request), length);
  if (self.fault_.request) self.fault_.request(bytes);
  pm_principal_t principal = *info->principal;
  pm_call_info_t changed = *info;
  changed.principal = &principal;
  if (self.fault_.info) self.fault_.info(changed, principal);
  Call* call = nullptr;
  {
    const std::lock_guard lock(self.mutex_);
    self.calls_.push_back(std::make_unique<Call>(Call{&self, on_reply_of_call, data}));
    call = self.calls_.back().get();
  }
  return self.inner_->call(self.inner_, method, reinterpret_cast<const std::uint8_t*>(bytes.data()),
                           bytes.size(), &changed, on_reply, call);
}

void MutantEngine::on_reply(void* data, const pm_reply_t* reply) {
  const auto& call = *static_cast<Call*>(data);
  pm_reply_t changed = *reply;
  if (call.engine->fault_.reply) call.engine->fault_.reply(changed);
  call.on_reply(call.data, &changed);
}

}  // namespace pm::frontend_contract
