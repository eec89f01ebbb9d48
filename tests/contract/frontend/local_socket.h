#pragma once

#include <sdk/local/frames.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// A client's end of the local frontend's socket, which sends what it is told to, right or wrong.

namespace pm::frontend_contract {

struct LocalFrame {
  local::FrameHeader header{};
  std::string body;
  std::vector<int> descriptors;  // The receiver's to close.

  // Parts of a reply's body.
  std::string text() const { return body.substr(0, header.text_bytes); }
  std::string details() const { return body.substr(header.text_bytes, header.value); }
  std::string bytes() const { return body.substr(header.text_bytes + header.value); }
};

class LocalSocket {
 public:
  // NULL: nobody listens at `path`. Takes the hello, or fails.
  static std::unique_ptr<LocalSocket> connect(const std::string& path);
  ~LocalSocket();
  LocalSocket(const LocalSocket&) = delete;
  LocalSocket& operator=(const LocalSocket&) = delete;

  int fd() const { return fd_; }
  const LocalFrame& hello() const { return hello_; }
  void set_receive_time(std::chrono::milliseconds time) const;

  // False: the other end is gone. Blocks until all is written.
  bool send_bytes(const std::string& bytes) const;
  bool send(local::FrameHeader header, const std::string& body = {}) const;
  bool call(std::uint64_t number, const std::string& method, const std::string& request,
            std::uint32_t credit = 0, std::uint8_t flags = 0, std::uint64_t nanoseconds = 0) const;
  bool cancel(std::uint64_t number) const;
  bool credit(std::uint64_t number, std::uint32_t replies) const;

  // The next frame; nothing when there is none in time (errno is EAGAIN) or the connection ended.
  std::optional<LocalFrame> receive() const;
  // Whether the other end closes within the time for receiving; frames before that are dropped.
  bool ends() const;

 private:
  explicit LocalSocket(int fd) : fd_(fd) {}
  bool receive_exactly(void* target, std::size_t length, std::vector<int>* descriptors) const;

  const int fd_;
  LocalFrame hello_;
};

// The bytes of a call's frame, for those who send parts of it, or many at a time.
std::string call_frame(std::uint64_t number, const std::string& method, const std::string& request,
                       std::uint32_t credit = 0, std::uint8_t flags = 0,
                       std::uint64_t nanoseconds = 0);

// Asks for a descriptor; `id` is 16 bytes, or none for a slab.
bool send_open(const LocalSocket& socket, std::uint64_t call, local::OpenWhat what,
               const std::string& id, std::uint64_t slab = 0);
// A frame with no body.
bool send_bare(const LocalSocket& socket, local::FrameKind kind, std::uint64_t call);

// Of this process, which the frontend under test is part of.
std::size_t open_descriptors();

}  // namespace pm::frontend_contract
