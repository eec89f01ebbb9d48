#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "fake_directory.h"
#include "sdk/local/frames.h"

namespace pm::test {

// The host's end of one connection.
class Peer {
 public:
  explicit Peer(int socket) : socket_(socket) {}
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // [thread-safe]
  void send(local::FrameHeader header, const std::string& body = {},
            const std::vector<int>& descriptors = {});
  void reply(std::uint64_t call, const std::string& bytes);
  void refuse(std::uint64_t call, Code code, const std::string& words,
              const std::string& details = {}, local::FrameKind kind = local::FrameKind::reply);
  void say_hello();
  void write(const std::string& bytes);
  // False: the client has closed it.
  bool read(local::FrameHeader* header, std::string* body);
  void hang_up();

 private:
  bool read_all(void* data, std::size_t bytes);
  const int socket_;
  std::mutex mutex_;
};

// A fake of a host with a local frontend: it speaks the frames of sdk/local/frames.h on a socket of
// its own, and what a test scripts is said. It has sessions, and nothing else of an engine. What
// the client does with its answers is under test, never the fake itself.
class FakeHost {
 public:
  struct Script {
    std::function<void(Peer&)> connect{};  // Instead of hello.
    // Of a call, instead of the default; false: the default all the same.
    std::function<bool(Peer&, const local::FrameHeader&, const std::string& method,
                       const std::string& request)>
        call{};
    // Of any other frame. False: the default.
    std::function<bool(Peer&, const local::FrameHeader&, const std::string& body)> other{};
  };

  FakeHost() : FakeHost(Script()) {}
  explicit FakeHost(Script script);
  ~FakeHost();
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  std::string address() const;  // For Client::connect.
  std::string path() const { return folder_ + "/host.sock"; }
  void set_script(Script script);

  // A payload that calls lease: in memory of its own, under `name` (which may be empty).
  void add(const client::PayloadId& id, const std::string& bytes, const std::string& name = {});
  // Null: attach is refused.
  void show(FakeDirectory* directory);
  // Ends every connection, and waits until it has ended.
  void hang_up();

  int calls(const std::string& method) const;
  int frames(local::FrameKind kind) const;
  std::size_t leases() const;
  int connections() const { return connections_; }
  // Whether it comes to so many open connections within five seconds.
  bool comes_to(std::size_t open) const;
  FakeMemory* allocated(const std::string& id);

 private:
  struct Session {
    explicit Session(int socket) : peer(socket) {}
    Peer peer;
    std::thread thread;
    FakeMemory* page = nullptr;
    std::atomic<bool> is_over{false};
  };
  struct Payload {
    std::unique_ptr<FakeMemory> memory;
    std::string name;
    std::uint64_t length = 0;
  };

  void listen();
  void serve(Session& session);
  void answer_call(Session& session, const local::FrameHeader& header, const std::string& body);
  std::string lease(const std::string& request);
  std::string allocate(const std::string& request);
  void answer_open(Session& session, const local::FrameHeader& header, const std::string& body);
  void answer_attach(Session& session, const local::FrameHeader& header);

  std::string folder_;
  int listener_ = -1;
  std::thread accepting_;
  std::atomic<int> connections_{0};
  mutable std::mutex mutex_;
  Script script_;
  std::list<Session> sessions_;
  FakeDirectory* directory_ = nullptr;
  std::uint64_t next_id_ = 1'000'000;
  std::map<std::string, Payload> payloads_;
  std::map<std::string, std::string> leases_;
  std::map<std::string, int> calls_;
  std::map<local::FrameKind, int> frames_;
};

}  // namespace pm::test
