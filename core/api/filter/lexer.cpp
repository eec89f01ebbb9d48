#include "lexer.h"

#include <algorithm>

namespace pm::api {

namespace {

constexpr std::string_view spaces = " \t\r\n";
constexpr std::string_view word_ends = " \t\r\n()\"'<>=!:";

}  // namespace

Token Lexer::next() {
  position_ = std::min(text_.find_first_not_of(spaces, position_), text_.size());
  Token token;
  token.position = position_;
  if (position_ < text_.size()) {
    switch (text_[position_]) {
      case '(': token = make(TokenKind::open, 1); break;
      case ')': token = make(TokenKind::close, 1); break;
      case '-': token = make(TokenKind::minus, 1); break;
      case '"':
      case '\'': token = read_string(); break;
      case '<':
      case '>':
      case '=':
      case '!':
      case ':': token = read_comparison(); break;
      default: token = read_word();
    }
  }
  position_ += token.length;
  return token;
}

Token Lexer::make(TokenKind kind, std::size_t length) const {
  return {kind, std::string(text_.substr(position_, length)), position_, length};
}

Token Lexer::read_string() const {
  const char quote = text_[position_];
  Token token{TokenKind::string, {}, position_, 0};
  for (std::size_t index = position_ + 1; index < text_.size(); ++index) {
    if (text_[index] == quote) {
      token.length = index + 1 - position_;
      return token;
    }
    if (text_[index] == '\\' && ++index == text_.size()) break;
    token.text += text_[index];
  }
  token = make(TokenKind::broken, text_.size() - position_);
  token.text = "a closing quote";
  return token;
}

Token Lexer::read_comparison() const {
  const bool two = position_ + 1 < text_.size() && text_[position_ + 1] == '=';
  const char first = text_[position_];
  if (two && first != '=' && first != ':') return make(TokenKind::comparison, 2);
  if (first != '!') return make(TokenKind::comparison, 1);
  Token token = make(TokenKind::broken, 1);
  token.text = "!=, or NOT in front of a test";
  return token;
}

Token Lexer::read_word() const {
  const std::size_t end = std::min(text_.find_first_of(word_ends, position_), text_.size());
  Token token = make(TokenKind::word, end - position_);
  if (token.text == "AND") token.kind = TokenKind::keyword_and;
  if (token.text == "OR") token.kind = TokenKind::keyword_or;
  if (token.text == "NOT") token.kind = TokenKind::keyword_not;
  return token;
}

}  // namespace pm::api
