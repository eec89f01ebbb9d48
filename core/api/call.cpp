#include "call.h"

#include <xxhash.h>

#include <cstring>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "ids.h"
#include "policy_desk.h"
#include "stream_call.h"

namespace pm::api {

void CallRegistry::add(Call* call) {
  Shard& shard = shards_[call->id() % shard_count];
  const std::lock_guard lock(shard.mutex);
  shard.calls.emplace(call->id(), call);
}

void CallRegistry::add_stream(StreamCall* call) {
  Shard& shard = shards_[call->id() % shard_count];
  const std::lock_guard lock(shard.mutex);
  shard.streams.emplace(call->id(), call);
}

void CallRegistry::remove(std::uint64_t id) {
  Shard& shard = shards_[id % shard_count];
  const std::lock_guard lock(shard.mutex);
  shard.calls.erase(id);
  shard.streams.erase(id);
}

void CallRegistry::cancel(std::uint64_t id) {
  Shard& shard = shards_[id % shard_count];
  Call* call = nullptr;
  {
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.calls.find(id);
    if (found == shard.calls.end()) return;
    call = found->second;
    // Its address is its ticket: it must not be used for another call while this one is cancelled.
    call->retain();
  }
  call->cancel();
  call->drop();
}

StreamCall* CallRegistry::find_stream(std::uint64_t id) {
  Shard& shard = shards_[id % shard_count];
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.streams.find(id);
  if (found == shard.streams.end()) return nullptr;
  found->second->retain();
  return found->second;
}

void CallRegistry::credit(std::uint64_t id, std::uint32_t replies) {
  StreamCall* const call = find_stream(id);
  if (call == nullptr) return;
  call->add_credit(replies);
  call->drop();
}

void CallRegistry::end_stream(std::uint64_t id) {
  StreamCall* const call = find_stream(id);
  if (call == nullptr) return;
  call->end_for_stop();
  call->drop();
}

void CallRegistry::end_streams() {
  std::vector<StreamCall*> streams;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [id, call] : shard.streams) {
      call->retain();
      streams.push_back(call);
    }
  }
  for (StreamCall* call : streams) {
    call->end_for_stop();
    call->drop();
  }
}

// ---- replies ----

Invocation kept(const Invocation& invocation) {
  Invocation copy;
  copy.id = invocation.id;
  copy.on_reply = invocation.on_reply;
  copy.data = invocation.data;
  return copy;
}

void reply_message(const Invocation& invocation, const google::protobuf::MessageLite& message,
                   bool done) {
  thread_local std::string bytes;
  message.SerializeToString(&bytes);
  reply_bytes(invocation, bytes, done);
}

void reply_bytes(const Invocation& invocation, std::string_view bytes, bool done) {
  pm_reply_t reply{};
  reply.size = sizeof reply;
  reply.done = done ? 1 : 0;
  reply.bytes = reinterpret_cast<const std::uint8_t*>(bytes.data());
  reply.length = bytes.size();
  invocation.on_reply(invocation.data, &reply);
}

void reply_error(const Invocation& invocation, const Status& status, const ErrorFacts& facts) {
  const std::string details = error_details(status, facts);
  pm_reply_t reply{};
  reply.size = sizeof reply;
  reply.done = 1;
  reply.status = static_cast<pm_status_t>(status.code());
  reply.message = status.message().c_str();
  reply.message_length = static_cast<std::uint32_t>(status.message().size());
  reply.details = reinterpret_cast<const std::uint8_t*>(details.data());
  reply.details_length = details.size();
  invocation.on_reply(invocation.data, &reply);
}

void reply_error(const Invocation& invocation, catalog::Reason reason, const ErrorFacts& facts) {
  reply_error(invocation, status_of(reason), facts);
}

void reply_error(const Invocation& invocation, RequestFault fault, const std::string& detail) {
  reply_error(invocation, status_of(fault, detail), {});
}

// ---- calls ----

Call::Call(const Services& services, const Invocation& invocation)
    : services_(services), invocation_(kept(invocation)) {
  services_.calls.add(this);
}

void Call::drop() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

void Call::finish(const google::protobuf::MessageLite& message) {
  services_.calls.remove(id());
  reply_message(invocation_, message);
  drop();
}

void Call::finish(const Status& status, const ErrorFacts& facts) {
  services_.calls.remove(id());
  reply_error(invocation_, status, facts);
  drop();
}

Status status_of(const catalog::Reply& reply) {
  const ReasonText& text = text_of(reply.reason);
  std::string message = text.message;
  if (!reply.message.empty()) message += ": " + reply.message;
  Code code = text.code;
  if (reply.reason == catalog::Reason::storage_error && reply.storage_code != 0) {
    code = Status::from_abi(reply.storage_code, {}).code();
  }
  return {code, std::move(message), text.name};
}

void CommandCall::cancel() { services().policies.cancel(ticket()); }

void CommandCall::on_reply(const catalog::Reply& reply) {
  if (reply.reason == catalog::Reason::none) return respond_(*this, reply);
  ErrorFacts facts{{subject_kind_, to_text(subject_)}};
  if (reply.view.bad_tier != catalog::no_tier) {
    facts.emplace_back("tier", tiers().name(reply.view.bad_tier));
  }
  finish(status_of(reply), facts);
}

catalog::RequestKey request_key(const Invocation& invocation, const std::string& request_id) {
  catalog::RequestKey key;
  if (request_id.empty()) return key;
  std::string who;
  if (const pm_principal_t* principal = invocation.info->principal) {
    who = std::to_string(principal->uid);
    for (const char* part : {principal->tls_subject, principal->token}) {
      who += '\0';
      if (part != nullptr) who += part;
    }
  }
  who += '\0';
  who += request_id;
  const XXH128_hash_t hash = XXH3_128bits(who.data(), who.size());
  static_assert(sizeof hash == sizeof key.key.bytes);
  std::memcpy(key.key.bytes.data(), &hash, sizeof hash);
  XXH64_hash_t digest =
      XXH3_64bits_withSeed(invocation.request.data(), invocation.request.size(),
                           XXH3_64bits(invocation.method.data(), invocation.method.size()));
  key.digest = digest;
  key.given = true;
  return key;
}

catalog::RequestKey request_key(const Invocation& invocation, const std::string& request_id,
                                const google::protobuf::MessageLite& request) {
  if (request_id.empty()) return {};
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);
    request.SerializeToCodedStream(&out);
  }
  Invocation ordered = invocation;
  ordered.request = bytes;
  return request_key(ordered, request_id);
}

catalog::RequestKey of_session(const catalog::RequestKey& key, const Invocation& invocation) {
  const std::uint64_t session = invocation.info->session;
  if (!key.given || session == 0) return key;
  catalog::RequestKey scoped = key;
  const XXH128_hash_t hash =
      XXH3_128bits_withSeed(key.key.bytes.data(), key.key.bytes.size(), session);
  std::memcpy(scoped.key.bytes.data(), &hash, sizeof hash);
  return scoped;
}

}  // namespace pm::api
