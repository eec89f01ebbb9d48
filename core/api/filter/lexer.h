#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pm::api {

enum class TokenKind : std::uint8_t {
  end,
  word,    // tier, labels.team, 64MiB, *: no spaces, none of ()"'<>=!:, no '-' at its begin
  string,  // In "" or '', where \ takes the next character as it is.
  comparison,
  open,
  close,
  minus,
  keyword_and,
  keyword_or,
  keyword_not,
  broken,  // Nothing can be made of what stands here; `text` says why.
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::string text;  // A string's without its quotes.
  std::size_t position = 0;
  std::size_t length = 0;  // In the filter.
};

// Cuts a filter into tokens.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}
  Token next();

 private:
  Token make(TokenKind kind, std::size_t length) const;
  Token read_string() const;
  Token read_comparison() const;
  Token read_word() const;

  const std::string_view text_;
  std::size_t position_ = 0;
};

}  // namespace pm::api
