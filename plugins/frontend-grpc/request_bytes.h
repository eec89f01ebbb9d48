#pragma once

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>

#include <string_view>

namespace pm::frontend {

inline std::string_view view(const grpc_slice& slice) {
  return {reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)), GRPC_SLICE_LENGTH(slice)};
}

// The bytes of a request in one piece: where gRPC has them when they lie together, else a copy.
class RequestBytes {
 public:
  explicit RequestBytes(grpc_byte_buffer* buffer) {
    if (grpc_byte_buffer_reader_init(&reader_, buffer) == 0) return;
    readable_ = true;
    grpc_slice* first = nullptr;
    if (grpc_byte_buffer_length(reader_.buffer_out) == 0) return;
    if (grpc_byte_buffer_reader_peek(&reader_, &first) != 0 &&
        GRPC_SLICE_LENGTH(*first) == grpc_byte_buffer_length(reader_.buffer_out)) {
      bytes_ = view(*first);
      return;
    }
    // The first piece was consumed by the look at it.
    grpc_byte_buffer_reader_destroy(&reader_);
    grpc_byte_buffer_reader_init(&reader_, buffer);
    copy_ = grpc_byte_buffer_reader_readall(&reader_);
    bytes_ = view(copy_);
  }
  ~RequestBytes() {
    grpc_slice_unref(copy_);
    if (readable_) grpc_byte_buffer_reader_destroy(&reader_);
  }
  RequestBytes(const RequestBytes&) = delete;
  RequestBytes& operator=(const RequestBytes&) = delete;

  bool readable() const { return readable_; }
  std::string_view bytes() const { return bytes_; }

 private:
  grpc_byte_buffer_reader reader_{};
  grpc_slice copy_ = grpc_empty_slice();
  std::string_view bytes_{""};
  bool readable_ = false;
};

}  // namespace pm::frontend
