#include "fake_host.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "payload/manager/catalog/v1/catalog.pb.h"
#include "payload/manager/runtime/v1/lease.pb.h"

namespace pm::test {

namespace core = payload::manager::core::v1;
namespace runtime = payload::manager::runtime::v1;
namespace catalog = payload::manager::catalog::v1;
using local::FrameHeader;
using local::FrameKind;

Peer::~Peer() { ::close(socket_); }

void Peer::send(FrameHeader header, const std::string& body, const std::vector<int>& descriptors) {
  header.body_bytes = static_cast<std::uint32_t>(body.size());
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  bytes += body;
  const std::lock_guard lock(mutex_);
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
    cmsghdr* item = CMSG_FIRSTHDR(&message);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(item), descriptors.data(), descriptors.size() * sizeof(int));
  }
  while (part.iov_len != 0) {
    const ssize_t sent = ::sendmsg(socket_, &message, MSG_NOSIGNAL);
    if (sent < 0) return;
    part.iov_base = static_cast<char*>(part.iov_base) + sent;
    part.iov_len -= static_cast<std::size_t>(sent);
    message.msg_control = nullptr;
    message.msg_controllen = 0;
  }
}

void Peer::reply(std::uint64_t call, const std::string& bytes) {
  FrameHeader header{};
  header.kind = FrameKind::reply;
  header.flags = local::frame_done;
  header.call = call;
  send(header, bytes);
}

void Peer::refuse(std::uint64_t call, Code code, const std::string& words,
                  const std::string& details, FrameKind kind) {
  FrameHeader header{};
  header.kind = kind;
  header.flags = local::frame_done;
  header.call = call;
  header.number = static_cast<std::uint32_t>(code);
  header.text_bytes = static_cast<std::uint32_t>(words.size());
  header.value = details.size();
  send(header, words + details);
}

void Peer::say_hello() {
  FrameHeader header{};
  header.kind = FrameKind::hello;
  header.call = local::hello_magic;
  header.value = local::protocol_version;
  send(header);
}

void Peer::write(const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  static_cast<void>(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
}

bool Peer::read_all(void* data, std::size_t bytes) {
  return bytes == 0 || ::recv(socket_, data, bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes);
}

bool Peer::read(FrameHeader* header, std::string* body) {
  if (!read_all(header, sizeof *header)) return false;
  body->resize(header->body_bytes);
  return read_all(body->data(), body->size());
}

void Peer::hang_up() { ::shutdown(socket_, SHUT_RDWR); }

FakeHost::FakeHost(Script script) : script_(std::move(script)) {
  std::string folder = (std::filesystem::temp_directory_path() / "pm-fake-host-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) std::abort();
  folder_ = folder;
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path().copy(address.sun_path, sizeof address.sun_path - 1);
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_, 16) != 0) {
    std::abort();
  }
  accepting_ = std::thread([this] { listen(); });
}

FakeHost::~FakeHost() {
  ::shutdown(listener_, SHUT_RDWR);
  accepting_.join();
  ::close(listener_);
  hang_up();
  for (Session& session : sessions_) session.thread.join();
  std::filesystem::remove_all(folder_);
}

std::string FakeHost::address() const { return "local:" + path(); }

void FakeHost::set_script(Script script) {
  const std::lock_guard lock(mutex_);
  script_ = std::move(script);
}

void FakeHost::add(const client::PayloadId& id, const std::string& bytes, const std::string& name) {
  Payload payload{std::make_unique<FakeMemory>(bytes.size()), name, bytes.size()};
  std::memcpy(payload.memory->base(), bytes.data(), bytes.size());
  const std::lock_guard lock(mutex_);
  payloads_[std::string(id.bytes.begin(), id.bytes.end())] = std::move(payload);
}

void FakeHost::show(FakeDirectory* directory) {
  const std::lock_guard lock(mutex_);
  directory_ = directory;
}

void FakeHost::hang_up() {
  {
    const std::lock_guard lock(mutex_);
    for (Session& session : sessions_) session.peer.hang_up();
  }
  comes_to(0);
}

int FakeHost::calls(const std::string& method) const {
  const std::lock_guard lock(mutex_);
  int count = 0;
  for (const auto& [name, calls] : calls_) count += name.ends_with("/" + method) ? calls : 0;
  return count;
}

int FakeHost::frames(FrameKind kind) const {
  const std::lock_guard lock(mutex_);
  const auto found = frames_.find(kind);
  return found == frames_.end() ? 0 : found->second;
}

std::size_t FakeHost::leases() const {
  const std::lock_guard lock(mutex_);
  return leases_.size();
}

bool FakeHost::comes_to(std::size_t open) const {
  for (int looks = 0; looks < 5000; ++looks) {
    {
      const std::lock_guard lock(mutex_);
      std::size_t count = 0;
      for (const Session& session : sessions_) count += session.is_over ? 0 : 1;
      if (count == open) return true;
    }
    ::usleep(1000);
  }
  return false;
}

FakeMemory* FakeHost::allocated(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = payloads_.find(id);
  return found == payloads_.end() ? nullptr : found->second.memory.get();
}

void FakeHost::listen() {
  for (;;) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    ++connections_;
    const std::lock_guard lock(mutex_);
    Session& session = sessions_.emplace_back(socket);
    session.thread = std::thread([this, &session] { serve(session); });
  }
}

void FakeHost::serve(Session& session) {
  Script script;
  {
    const std::lock_guard lock(mutex_);
    script = script_;
  }
  script.connect ? script.connect(session.peer) : session.peer.say_hello();
  FrameHeader header{};
  std::string body;
  while (session.peer.read(&header, &body)) {
    {
      const std::lock_guard lock(mutex_);
      script = script_;
      ++frames_[header.kind];
    }
    if (header.kind == FrameKind::call) {
      const std::string method = body.substr(0, header.method_bytes);
      const std::string request = body.substr(header.method_bytes);
      if (!script.call || !script.call(session.peer, header, method, request)) {
        answer_call(session, header, body);
      }
    } else if (script.other && script.other(session.peer, header, body)) {
      continue;
    } else if (header.kind == FrameKind::open) {
      answer_open(session, header, body);
    } else if (header.kind == FrameKind::attach) {
      answer_attach(session, header);
    }
  }
  session.peer.hang_up();
  session.is_over = true;
}

void FakeHost::answer_call(Session& session, const FrameHeader& header, const std::string& body) {
  const std::string method = body.substr(0, header.method_bytes);
  const std::string request = body.substr(header.method_bytes);
  std::string reply;
  {
    const std::lock_guard lock(mutex_);
    ++calls_[method];
    if (method.ends_with("/Echo")) {
      reply = request;
    } else if (method.ends_with("/AcquireReadLease")) {
      reply = lease(request);
    } else if (method.ends_with("/AllocatePayload")) {
      reply = allocate(request);
    } else if (method.ends_with("/ReleaseLease")) {
      runtime::ReleaseLeaseRequest release;
      release.ParseFromString(request);
      leases_.erase(release.lease_id().value());
    }
  }
  if ((header.flags & local::frame_no_reply) != 0) return;
  if (reply.empty() && method.ends_with("Lease") && !method.ends_with("ReleaseLease")) {
    return session.peer.refuse(header.call, Code::not_found, "no such payload");
  }
  session.peer.reply(header.call, reply);
}

// Under the lock, as the next one is.
std::string FakeHost::lease(const std::string& request) {
  runtime::AcquireReadLeaseRequest asked;
  asked.ParseFromString(request);
  const auto found = payloads_.find(asked.id().value());
  if (found == payloads_.end()) return {};
  const client::PayloadId lease = id_of(next_id_++);
  leases_[std::string(lease.bytes.begin(), lease.bytes.end())] = asked.id().value();
  runtime::AcquireReadLeaseResponse reply;
  reply.mutable_lease_id()->set_value(lease.bytes.data(), lease.bytes.size());
  core::PayloadDescriptor& shown = *reply.mutable_payload_descriptor();
  *shown.mutable_payload_id() = asked.id();
  shown.set_tier(core::TIER_RAM);
  shown.set_state(core::PAYLOAD_STATE_ACTIVE);
  shown.set_size_bytes(found->second.length);
  shown.mutable_ram()->set_shm_name(found->second.name);
  shown.mutable_ram()->set_length_bytes(found->second.length);
  return reply.SerializeAsString();
}

std::string FakeHost::allocate(const std::string& request) {
  catalog::AllocatePayloadRequest asked;
  asked.ParseFromString(request);
  const client::PayloadId id = id_of(next_id_++);
  const std::string key(id.bytes.begin(), id.bytes.end());
  payloads_[key] = {std::make_unique<FakeMemory>(asked.size_bytes()), "", asked.size_bytes()};
  catalog::AllocatePayloadResponse reply;
  core::PayloadDescriptor& shown = *reply.mutable_payload_descriptor();
  shown.mutable_payload_id()->set_value(key);
  shown.set_tier(core::TIER_RAM);
  shown.set_state(core::PAYLOAD_STATE_ALLOCATED);
  shown.set_size_bytes(asked.size_bytes());
  shown.mutable_ram()->set_length_bytes(asked.size_bytes());
  return reply.SerializeAsString();
}

void FakeHost::answer_open(Session& session, const FrameHeader& header, const std::string& body) {
  const auto what = static_cast<local::OpenWhat>(header.number);
  // As the host does: who breaks a rule of the frames is no client of it any more.
  if (body.size() != (what == local::OpenWhat::slab ? 0 : sizeof(client::PayloadId::bytes))) {
    return session.peer.hang_up();
  }
  int descriptor = -1;
  {
    const std::lock_guard lock(mutex_);
    if (what == local::OpenWhat::slab && directory_ != nullptr && header.value == 0) {
      descriptor = ::dup(directory_->slab().descriptor());
    } else if (what == local::OpenWhat::leased && leases_.count(body) != 0) {
      descriptor = payloads_.at(leases_.at(body)).memory->read_only();
    } else if (what == local::OpenWhat::allocated && payloads_.count(body) != 0) {
      descriptor = ::dup(payloads_.at(body).memory->descriptor());
    }
  }
  if (descriptor < 0) {
    return session.peer.refuse(header.call, Code::not_found, "nothing of this session has that id",
                               {}, FrameKind::handle);
  }
  FrameHeader handle{};
  handle.kind = FrameKind::handle;
  handle.call = header.call;
  session.peer.send(handle, {}, {descriptor});
  ::close(descriptor);
}

void FakeHost::answer_attach(Session& session, const FrameHeader& header) {
  FakeDirectory* directory = nullptr;
  {
    const std::lock_guard lock(mutex_);
    directory = directory_;
  }
  if (directory == nullptr) {
    return session.peer.refuse(header.call, Code::permission_denied, "not a trusted user", {},
                               FrameKind::attached);
  }
  if (session.page == nullptr) session.page = &directory->add_page();
  FrameHeader attached{};
  attached.kind = FrameKind::attached;
  attached.call = header.call;
  const int read_only = directory->memory().read_only();
  session.peer.send(attached, {}, {read_only, session.page->descriptor()});
  ::close(read_only);
}

}  // namespace pm::test
