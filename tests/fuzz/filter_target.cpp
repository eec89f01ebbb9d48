// What clients hand back or write as text: a filter expression, and a resume token.

#include "core/api/filter/filter.h"
#include "core/api/resume_token.h"
#include "input.h"

namespace pm::fuzz {
namespace {

std::optional<catalog::TierIndex> tier_by_name(std::string_view name) {
  if (name == "shm" || name == "2") return catalog::TierIndex{0};
  if (name == "disk" || name == "TIER_DISK") return catalog::TierIndex{1};
  return std::nullopt;
}

int depth_of(const api::FilterNode& node) {
  int depth = 0;
  for (const api::FilterNode& child : node.children) depth = std::max(depth, depth_of(child));
  return depth + 1;
}

void check_filter(std::string_view text) {
  const auto filter = api::parse_filter(text, &tier_by_name);
  if (!filter.ok()) {
    expect(!filter.status().message().empty(), "a refused filter says why");
    return;
  }
  expect(text.size() <= api::filter_bytes_max, "a long filter is refused");
  // Each level of the expression is a level of "all" and one of "any", and one of "negation".
  expect(depth_of(filter->root) <= 4 * (api::filter_depth_max + 1), "a deep filter is refused");
  api::FilterNode negation;
  negation.kind = api::FilterNode::Kind::negation;
  negation.children.push_back(filter->root);
  catalog::View view;
  view.tier = 0;
  view.size_bytes = 4096;
  view.phase = catalog::Phase::committed;
  for (const std::int64_t now_ns : {INT64_MIN, std::int64_t{0}, INT64_MAX}) {
    for (const std::int64_t created_ns : {INT64_MIN, std::int64_t{0}, INT64_MAX}) {
      view.created_at_ns = created_ns;
      const bool one = api::matches(filter->root, view, now_ns);
      const bool other = api::matches(negation, view, now_ns);
      expect(one != other, "what a filter takes its negation leaves", std::string(text));
    }
  }
  auto labels = std::make_shared<catalog::Labels>();
  labels->push_back({"a", "1"});
  labels->push_back({"key", "value"});
  view.additions.labels = labels;
  api::matches(filter->root, view, 1);
}

void check_token(std::string_view text) {
  const auto token = api::read_resume_token(text);
  if (!token) return;
  expect(api::write_resume_token(*token) == text, "a token that is taken is one that was given");
}

}  // namespace
}  // namespace pm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  pm::fuzz::check_filter(text);
  pm::fuzz::check_token(text);
  // The check of a token is a hash, which no fuzzer finds.
  pm::api::ResumeToken token;
  std::memcpy(&token, data, size < sizeof token ? size : sizeof token);
  const auto again = pm::api::read_resume_token(pm::api::write_resume_token(token));
  pm::fuzz::expect(again && again->life == token.life && again->sequence == token.sequence,
                   "a token is read as it was written");
  return 0;
}
