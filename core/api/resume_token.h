#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pm::api {

// Where a watcher stands: in which life of which host, and behind which change.
struct ResumeToken {
  std::uint64_t life = 0;  // Drawn at each start.
  std::uint64_t sequence = 0;
};

// Opaque to clients: a version, the two numbers, and a check that tells garbage from old tokens.
std::string write_resume_token(const ResumeToken& token);
// Nothing: it is no token.
std::optional<ResumeToken> read_resume_token(std::string_view text);

}  // namespace pm::api
