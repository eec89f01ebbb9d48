#include <array>
#include <utility>

#include "core/api/labels.h"
#include "filter.h"
#include "lexer.h"
#include "values.h"

namespace pm::api {

namespace {

constexpr std::string_view fields_expected =
    "tier, state, size_bytes, age, pinned, leases, priority, labels.KEY, NOT or (";

// What a field is compared by, and with.
struct FieldRule {
  std::string_view name;
  FilterField field;
  bool has_order;  // < <= > >= as well.
  std::string_view values;
};
constexpr std::array field_rules = {
    FieldRule{"tier", FilterField::tier, false, "the name or the number of a configured tier"},
    FieldRule{"state", FilterField::state, false, "allocated, active, spilling, durable or lost"},
    FieldRule{"size_bytes", FilterField::size_bytes, true, "bytes: 4096, 64KiB, 8MiB, 1GiB, 1TiB"},
    FieldRule{"age", FilterField::age, true, "a duration: 250ms, 90s, 15m, 1h, 7d"},
    FieldRule{"pinned", FilterField::pinned, false, "true or false"},
    FieldRule{"leases", FilterField::leases, true, "a number"},
    FieldRule{"priority", FilterField::priority, true, "low, normal, high or never"},
    FieldRule{"labels", FilterField::label, true, "a value; in quotes if it is not one word"},
};

Comparison comparison_of(std::string_view text) {
  if (text == "=") return Comparison::equal;
  if (text == "!=") return Comparison::not_equal;
  if (text == "<") return Comparison::less;
  if (text == "<=") return Comparison::less_or_equal;
  if (text == ">") return Comparison::greater;
  if (text == ">=") return Comparison::greater_or_equal;
  return Comparison::has;
}

// A few characters, whole ones, of what stands there.
std::string excerpt(std::string_view text) {
  constexpr std::size_t bytes_max = 32;
  if (text.size() <= bytes_max) return std::string(text);
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

// Recursive descent; the first error ends it. Its depth is bounded, so no filter takes the stack.
class Parser {
 public:
  Parser(std::string_view text, const TierByName& tier_by_name)
      : text_(text), lexer_(text), tier_by_name_(tier_by_name), token_(lexer_.next()) {}

  Result<Filter> parse() {
    Filter filter;
    if (token_.kind != TokenKind::end) PM_TRY(read_expression(filter.root, 1));
    if (token_.kind != TokenKind::end) return expected("AND, OR, another test, or the end");
    filter.tests = tests_;
    return filter;
  }

 private:
  Status expected(std::string_view what) const { return expected(what, token_); }
  Status expected(std::string_view what, const Token& at) const {
    std::string message = "at byte " + std::to_string(at.position + 1) + ": expected ";
    message += at.kind == TokenKind::broken ? std::string_view(at.text) : what;
    message += ", not ";
    if (at.kind == TokenKind::end) {
      message += "the end";
    } else {
      message += excerpt(text_.substr(at.position, at.length));
    }
    return {Code::invalid_argument, std::move(message)};
  }
  void advance() { token_ = lexer_.next(); }
  bool ends_sequence() const {
    return token_.kind == TokenKind::end || token_.kind == TokenKind::close ||
           token_.kind == TokenKind::keyword_and;
  }

  Status read_expression(FilterNode& node, int depth) {
    if (depth > filter_depth_max) return expected("fewer parentheses within each other");
    node.kind = FilterNode::Kind::all;
    while (true) {
      do {
        PM_TRY(read_factor(node.children.emplace_back(), depth));
      } while (!ends_sequence());
      if (token_.kind != TokenKind::keyword_and) return {};
      advance();
    }
  }

  Status read_factor(FilterNode& node, int depth) {
    node.kind = FilterNode::Kind::any;
    PM_TRY(read_term(node.children.emplace_back(), depth));
    while (token_.kind == TokenKind::keyword_or) {
      advance();
      PM_TRY(read_term(node.children.emplace_back(), depth));
    }
    if (node.children.size() == 1) {
      FilterNode only = std::move(node.children.front());
      node = std::move(only);
    }
    return {};
  }

  Status read_term(FilterNode& node, int depth) {
    if (token_.kind == TokenKind::keyword_not || token_.kind == TokenKind::minus) {
      advance();
      node.kind = FilterNode::Kind::negation;
      return read_simple(node.children.emplace_back(), depth);
    }
    return read_simple(node, depth);
  }

  Status read_simple(FilterNode& node, int depth) {
    if (token_.kind != TokenKind::open) return read_test(node);
    advance();
    PM_TRY(read_expression(node, depth + 1));
    if (token_.kind != TokenKind::close) return expected("AND, OR, another test, or )");
    advance();
    return {};
  }

  Status read_test(FilterNode& node);
  Status read_label_key(std::string& key);
  Status read_value(const FieldRule& rule, FilterTest& test);
  bool convert(FilterField field, const std::string& text, std::uint64_t& number) const;

  const std::string_view text_;
  Lexer lexer_;
  const TierByName& tier_by_name_;
  Token token_;
  std::size_t tests_ = 0;
};

Status Parser::read_test(FilterNode& node) {
  if (token_.kind != TokenKind::word) return expected(fields_expected);
  const std::string_view path = token_.text;
  const FieldRule* rule = nullptr;
  for (const FieldRule& each : field_rules) {
    const bool is_label = each.field == FilterField::label && path.starts_with("labels.");
    if (path == each.name || is_label) rule = &each;
  }
  if (rule == nullptr) return expected(fields_expected);
  node.kind = FilterNode::Kind::test;
  FilterTest& test = node.test;
  test.field = rule->field;
  ++tests_;
  const bool whole_map = path == "labels";
  if (test.field == FilterField::label && !whole_map) {
    PM_TRY(read_label_key(test.key));
  } else {
    advance();
  }
  const bool is_comparison = token_.kind == TokenKind::comparison;
  if (whole_map && (!is_comparison || token_.text != ":")) {
    return expected(": and a key, or labels.KEY");
  }
  if (!is_comparison) return expected("one of = != < <= > >= :");
  test.comparison = comparison_of(token_.text);
  const bool has_order = test.comparison != Comparison::equal &&
                         test.comparison != Comparison::not_equal &&
                         test.comparison != Comparison::has;
  if (has_order && !rule->has_order) return expected("= or !=");
  if (test.comparison == Comparison::has && test.field != FilterField::label) {
    return expected(rule->has_order ? "one of = != < <= > >=" : "= or !=");
  }
  advance();
  if (!whole_map) return read_value(*rule, test);
  const bool is_key = token_.kind == TokenKind::word || token_.kind == TokenKind::string;
  if (!is_key || !is_label_key(token_.text)) return expected("the key of a label");
  test.key = token_.text;
  advance();
  return {};
}

// Either labels.KEY, or labels."KEY" without a space between.
Status Parser::read_label_key(std::string& key) {
  constexpr std::string_view prefix = "labels.";
  const Token word = token_;
  key = word.text.substr(prefix.size());
  advance();
  if (key.empty() && token_.kind == TokenKind::string &&
      token_.position == word.position + word.length) {
    key = token_.text;
    advance();
  }
  if (!is_label_key(key)) return expected("labels. and the key of a label", word);
  return {};
}

Status Parser::read_value(const FieldRule& rule, FilterTest& test) {
  const bool is_value = token_.kind == TokenKind::word || token_.kind == TokenKind::string;
  if (!is_value) return expected(rule.values);
  if (test.field != FilterField::label) {
    if (!convert(test.field, token_.text, test.number)) return expected(rule.values);
  } else if (test.comparison == Comparison::has) {
    // labels.KEY:VALUE is another way to say labels.KEY = VALUE.
    const bool any = token_.kind == TokenKind::word && token_.text == "*";
    if (!any) test.comparison = Comparison::equal;
    if (!any) test.text = token_.text;
  } else {
    test.text = token_.text;
  }
  advance();
  return {};
}

bool Parser::convert(FilterField field, const std::string& text, std::uint64_t& number) const {
  std::optional<std::uint64_t> value;
  switch (field) {
    case FilterField::tier:
      if (const auto tier = tier_by_name_(text)) value = *tier;
      break;
    case FilterField::state: value = parse_state(text); break;
    case FilterField::size_bytes: value = parse_bytes(text); break;
    case FilterField::age: value = parse_duration_ns(text); break;
    case FilterField::pinned:
      if (text == "true" || text == "false") value = text == "true" ? 1 : 0;
      break;
    case FilterField::leases: value = parse_count(text); break;
    case FilterField::priority: value = parse_priority(text); break;
    case FilterField::label: break;
  }
  if (!value) return false;
  number = *value;
  return true;
}

}  // namespace

Result<Filter> parse_filter(std::string_view text, const TierByName& tier_by_name) {
  if (text.size() > filter_bytes_max) {
    return Status(Code::invalid_argument, "at byte " + std::to_string(filter_bytes_max + 1) +
                                              ": expected the end, as a filter has at most " +
                                              std::to_string(filter_bytes_max) + " bytes");
  }
  return Parser(text, tier_by_name).parse();
}

}  // namespace pm::api
