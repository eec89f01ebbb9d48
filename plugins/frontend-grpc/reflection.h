#pragma once

#include <string>
#include <string_view>

#include "contract.h"

namespace pm::frontend {

// A grpc.reflection.v1alpha.ServerReflectionResponse to a ServerReflectionRequest, both
// serialized. What cannot be answered becomes the response's error_response. Thread-safe.
// (https://github.com/grpc/grpc/blob/master/doc/server-reflection.md)
std::string answer_reflection(const Contract& contract, std::string_view request);

}  // namespace pm::frontend
