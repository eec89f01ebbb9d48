#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

// What goes over the local frontend's Unix socket (SOCK_STREAM): frames, each a header and a body,
// in the machine's byte order, as both ends are on it.
//
// The host begins with `hello`. After it a client sends calls, as many at a time as it likes, and
// numbers them itself; replies come in any order. A frame that breaks the rules below ends the
// connection, and the end of a connection ends its session: what its calls hold (leases,
// allocations not committed) is given back at once.
//
// A client may ask for any number of descriptors, but has to read those that come: when 16 are
// unread, the next one, and all that follows it, waits until everything has been read.

namespace pm::local {

constexpr std::uint64_t protocol_version = 1;
constexpr std::uint64_t hello_magic = 0x314c41434f4c4d50;  // "PMLOCAL1"

enum class FrameKind : std::uint8_t {
  // Client to host.
  call = 1,      // Body: the method ("/package.Service/Method"), then the request's protobuf.
  cancel = 2,    // Nobody waits for the call any more; its last reply comes all the same.
  credit = 3,    // `number` more replies of a streaming call may come.
  open = 4,      // Body: an id of 16 bytes. Asks for a file descriptor; see OpenWhat in `number`.
  attach = 5,    // Asks for the directory and a session page (pages.h).
  released = 6,  // A hold on an entry that somebody waits for has ended. No answer.

  // Host to client.
  hello = 16,     // call = hello_magic, value = protocol_version.
  reply = 17,     // To a call. `number` is its status, a code of gRPC.
  handle = 18,    // To `open`: as a reply; with status 0 one descriptor comes along (SCM_RIGHTS).
  attached = 19,  // To `attach`: as a reply; with status 0 two: directory (read-only), page.
};

// What an `open` asks for.
enum class OpenWhat : std::uint32_t {
  leased = 0,  // The id of a lease of this session: its copy, read-only.
  allocated =
      1,     // The id of a payload that this session allocated and has not committed: writable.
  slab = 2,  // No id; `value` is the slab's place in the directory: writable. Trusted only.
};

enum FrameFlag : std::uint8_t {
  frame_done = 1,      // Of a reply: it is the call's last one.
  frame_no_reply = 2,  // Of a call: its reply is not wanted, and is not sent.
};

struct FrameHeader {
  std::uint32_t body_bytes;  // What follows this header.
  FrameKind kind;
  std::uint8_t flags;          // Of FrameFlag.
  std::uint16_t method_bytes;  // Of a call: how much of the body is the method's name.
  std::uint64_t call;    // The client's number of the call (or open, attach) that this is about.
  std::uint64_t value;   // Of a call: nanoseconds that it may take; 0: any time.
                         // Of a reply: bytes of the body that are details (see below).
  std::uint32_t number;  // Of a call: credit of a streaming one. Of a reply: its status.
  std::uint32_t text_bytes;  // Of a reply: bytes of the body that are words for people.
};
static_assert(sizeof(FrameHeader) == 32 && std::is_trivially_copyable_v<FrameHeader>);

// The body of a reply: words for people (UTF-8), then details (a serialized google.rpc.Status),
// then the reply's protobuf.

constexpr std::uint32_t body_bytes_max = 64u << 20;
constexpr std::size_t descriptors_max = 2;  // That come with one frame, with its first byte.

}  // namespace pm::local
