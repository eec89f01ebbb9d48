#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <cstdint>

namespace pm::api {

// Nanoseconds of Unix time; never negative here.
inline void set_time(std::int64_t time_ns, google::protobuf::Timestamp& timestamp) {
  constexpr std::int64_t second_ns = 1'000'000'000;
  timestamp.set_seconds(time_ns / second_ns);
  timestamp.set_nanos(static_cast<std::int32_t>(time_ns % second_ns));
}

}  // namespace pm::api
