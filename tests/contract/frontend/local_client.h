#pragma once

#include <memory>
#include <string>

#include "client.h"

namespace pm::frontend_contract {

// A client of the local frontend: one connection, and a thread that takes its replies.
// `address` as the frontend gives it ("unix:/path").
std::unique_ptr<Client> connect_by_frames(const std::string& address, std::uint32_t credit);

}  // namespace pm::frontend_contract
