#include "fake_engine.h"

#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <chrono>
#include <cstdlib>
#include <cstring>

namespace pm::frontend_contract {
namespace {

constexpr const char* kMessages = R"(syntax = "proto3";
package pm.fake.v1;
message Text { string text = 1; }
)";

constexpr const char* kServices = R"(syntax = "proto3";
package pm.fake.v1;
import "pm/fake/v1/messages.proto";
service Fake {
  rpc Echo(Text) returns (Text);
  rpc Later(Text) returns (Text);
  rpc Fail(Text) returns (Text);
  rpc Never(Text) returns (Text);
  rpc Stuck(Text) returns (Text);
}
service Streams {
  rpc Count(Text) returns (stream Text);
  rpc Endless(Text) returns (stream Text);
  rpc Upload(stream Text) returns (Text);
}
)";

void add_file(google::protobuf::FileDescriptorSet& set, const char* name, const char* text) {
  google::protobuf::io::ArrayInputStream input(text, static_cast<int>(std::strlen(text)));
  google::protobuf::io::Tokenizer tokenizer(&input, nullptr);
  auto* file = set.add_file();
  if (!google::protobuf::compiler::Parser().Parse(&tokenizer, file)) std::abort();
  file->set_name(name);
}

void reply_to(pm_on_reply_t on_reply, void* data, const std::string& text, pm_status_t status,
              bool done) {
  pm_reply_t reply{};
  reply.size = sizeof(reply);
  reply.done = done ? 1 : 0;
  reply.status = status;
  const std::string details = "details of " + text;
  if (status == PM_OK) {
    reply.bytes = reinterpret_cast<const std::uint8_t*>(text.data());
    reply.length = text.size();
  } else {
    reply.message = text.data();
    reply.message_length = static_cast<std::uint32_t>(text.size());
    reply.details = reinterpret_cast<const std::uint8_t*>(details.data());
    reply.details_length = details.size();
  }
  on_reply(data, &reply);
}

FakeEngine& of(const pm_engine_t* face) { return *static_cast<FakeEngine*>(face->engine_data); }

std::string text_or_empty(const char* text) { return text == nullptr ? "" : text; }

}  // namespace

std::uint64_t monotonic_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

FakeEngine::FakeEngine() {
  google::protobuf::FileDescriptorSet set;
  add_file(set, "pm/fake/v1/messages.proto", kMessages);
  add_file(set, "pm/fake/v1/services.proto", kServices);
  descriptors_ = set.SerializeAsString();
  face_.engine_data = this;
  face_.call = [](const pm_engine_t* face, const char* method, const std::uint8_t* request,
                  std::uint64_t length, const pm_call_info_t* info, pm_on_reply_t on_reply,
                  void* data) {
    const std::string text(reinterpret_cast<const char*>(request), length);
    return of(face).call(method, text, *info, on_reply, data);
  };
  face_.cancel = [](const pm_engine_t* face, std::uint64_t id) { of(face).cancel(id); };
  face_.credit = [](const pm_engine_t* face, std::uint64_t id, std::uint32_t replies) {
    auto& self = of(face);
    const std::lock_guard lock(self.mutex_);
    const auto found = self.calls_.find(id);
    if (found != self.calls_.end()) found->second.credit += replies;
    self.changed_.notify_all();
  };
  face_.session_open = [](const pm_engine_t* face, const pm_principal_t* principal) {
    return of(face).open_session(*principal);
  };
  face_.session_close = [](const pm_engine_t* face, std::uint64_t session) {
    of(face).close_session(session);
  };
  face_.get_descriptors = [](const pm_engine_t* face, std::uint64_t* length) {
    *length = of(face).descriptors_.size();
    return reinterpret_cast<const std::uint8_t*>(of(face).descriptors_.data());
  };
  face_.get_extension = [](const pm_engine_t*, const char* id) -> const void* {
    return std::strcmp(id, PM_ENGINE_LOCAL) == 0 ? local_face() : nullptr;
  };
  worker_ = std::thread([this] { work(); });
}

FakeEngine::~FakeEngine() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  worker_.join();
}

Counts FakeEngine::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

SeenCall FakeEngine::last_call() const {
  const std::lock_guard lock(mutex_);
  return last_call_;
}

void FakeEngine::release_stuck() {
  const std::lock_guard lock(mutex_);
  stuck_released_ = true;
  changed_.notify_all();
}

// Under mutex_.
void FakeEngine::note(const pm_call_info_t& info) {
  last_call_.deadline_ns = info.deadline_ns;
  last_call_.credit = info.credit;
  last_call_.traceparent = text_or_empty(info.traceparent);
  last_call_.uid = info.principal->uid;
  last_call_.gid = info.principal->gid;
  last_call_.pid = info.principal->pid;
  last_call_.is_trusted = info.principal->is_trusted != 0;
  last_call_.session = info.session;
  last_call_.token = text_or_empty(info.principal->token);
  last_call_.tls_subject = text_or_empty(info.principal->tls_subject);
}

void FakeEngine::finish_now(pm_on_reply_t on_reply, void* data, const std::string& method,
                            const std::string& request, std::uint64_t session) {
  {
    const std::lock_guard lock(mutex_);
    ++counts_.done;
    said_done(session);
    changed_.notify_all();
  }
  if (method == "/pm.fake.v1.Fake/Echo") {
    reply_to(on_reply, data, request, PM_OK, true);
  } else if (method == "/pm.fake.v1.Fake/Fail") {
    const auto space = request.find(' ');
    reply_to(on_reply, data, request.substr(space + 1), std::atoi(request.c_str()), true);
  } else {
    reply_to(on_reply, data, "no method " + method, PM_UNIMPLEMENTED, true);
  }
}

std::uint64_t FakeEngine::call(const std::string& method, const std::string& request,
                               const pm_call_info_t& info, pm_on_reply_t on_reply, void* data) {
  Call call;
  call.on_reply = on_reply;
  call.data = data;
  call.text = request;
  call.credit = info.credit;
  call.session = info.session;
  bool known = true;
  if (method == "/pm.fake.v1.Fake/Later") {
    call.behaviour = Behaviour::later;
    call.due_ns = monotonic_ns() + std::strtoull(request.c_str(), nullptr, 10) * 1'000'000;
  } else if (method == "/pm.fake.v1.Fake/Never") {
    call.behaviour = Behaviour::never;
  } else if (method == "/pm.fake.v1.Fake/Stuck") {
    call.behaviour = Behaviour::stuck;
  } else if (method == "/pm.fake.v1.Streams/Count") {
    call.behaviour = Behaviour::stream;
    char* end = nullptr;
    call.remaining = std::strtoull(request.c_str(), &end, 10);
    call.reply_bytes = std::strtoull(end, nullptr, 10);
  } else if (method == "/pm.fake.v1.Streams/Endless") {
    call.behaviour = Behaviour::stream;
    call.remaining = UINT64_MAX;
  } else {
    known = false;
  }
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = ++last_id_;
    ++counts_.calls;
    note(info);
    if (info.session != 0) ++sessions_[info.session].calls;
    if (known) calls_.emplace(id, std::move(call));
    changed_.notify_all();
  }
  if (!known) finish_now(on_reply, data, method, request, info.session);
  return id;
}

void FakeEngine::cancel(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  ++counts_.cancels;
  const auto found = calls_.find(id);
  if (found != calls_.end()) {
    if (found->second.cancelled) ++counts_.repeated_cancels;
    found->second.cancelled = true;
  }
  changed_.notify_all();
}

bool FakeEngine::action_of(Call& call, Action& action, std::uint64_t now_ns) const {
  action = {call.on_reply, call.data, call.text, PM_OK, true, call.session};
  switch (call.behaviour) {
    case Behaviour::later: return now_ns >= call.due_ns;
    case Behaviour::stuck:
    case Behaviour::never:
      action.status = PM_CANCELLED;
      action.text = "cancelled";
      return call.behaviour == Behaviour::stuck ? stuck_released_ : call.cancelled;
    case Behaviour::stream: break;
  }
  if (call.cancelled) {
    action.status = PM_CANCELLED;
    action.text = "cancelled";
    return true;
  }
  if (call.remaining == 0) {
    action.text.clear();
    return true;
  }
  if (call.credit == 0) return false;
  --call.credit;
  --call.remaining;
  action.done = false;
  action.text = std::to_string(call.next++);
  if (action.text.size() < call.reply_bytes) action.text.resize(call.reply_bytes, '.');
  return true;
}

// Under mutex_. Takes the next reply that may be sent.
bool FakeEngine::next_action(Action& action, std::uint64_t now_ns) {
  for (auto at = calls_.begin(); at != calls_.end(); ++at) {
    if (!action_of(at->second, action, now_ns)) continue;
    if (action.done) {
      calls_.erase(at);
      ++counts_.done;
      said_done(action.session);
    } else {
      ++counts_.replies;
    }
    return true;
  }
  return false;
}

void FakeEngine::work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    Action action;
    if (!next_action(action, monotonic_ns())) {
      changed_.wait_for(lock, std::chrono::milliseconds(1));
      continue;
    }
    changed_.notify_all();
    lock.unlock();
    reply_to(action.on_reply, action.data, action.text, action.status, action.done);
    lock.lock();
  }
}

}  // namespace pm::frontend_contract
