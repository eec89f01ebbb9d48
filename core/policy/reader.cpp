#include "reader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "sandbox.h"

namespace pm::policy {

namespace {

constexpr std::array priorities = {"low", "normal", "high", "never"};
constexpr std::uint64_t bytes_each_step = 64;
constexpr std::size_t tiers_max = 64;

std::string_view text_on_top(lua_State* lua) {
  std::size_t length = 0;
  const char* text = lua_tolstring(lua, -1, &length);
  return {text, length};
}

}  // namespace

const char* priority_name(catalog::Priority priority) {
  const auto number = static_cast<std::size_t>(priority) - 1;
  return number < priorities.size() ? priorities[number] : "normal";
}

void Reader::refuse(const std::string& why) {
  luaL_error(lua_, "%s %s", path_.c_str(), why.c_str());
  __builtin_unreachable();  // luaL_error does not come back, but does not say so.
}

void Reader::check_table() {
  if (!lua_istable(lua_, -1))
    refuse(std::string("is a table, and not a ") + luaL_typename(lua_, -1));
  luaL_checkstack(lua_, 8, "facts");
}

std::size_t Reader::list_length() {
  check_table();
  return static_cast<std::size_t>(luaL_len(lua_, -1));
}

template <typename Each>
void Reader::each_named(Each&& each) {
  check_table();
  const std::size_t length = path_.size();
  for (lua_pushnil(lua_); lua_next(lua_, -2) != 0; lua_pop(lua_, 1)) {
    Sandbox::of(lua_).charge(4);
    if (lua_type(lua_, -2) != LUA_TSTRING) refuse("is no list: its fields have names");
    const std::string name = lua_tostring(lua_, -2);
    path_ += "." + name;
    each(name);
    path_.resize(length);
  }
}

template <typename Each>
void Reader::each_numbered(Each&& each) {
  const std::size_t count = list_length();
  const std::size_t length = path_.size();
  for (std::size_t number = 1; number <= count; ++number) {
    // What an element takes here is not the allocator's to count.
    Sandbox::of(lua_).charge(4);
    path_ += "[" + std::to_string(number) + "]";
    lua_geti(lua_, -1, static_cast<lua_Integer>(number));
    each(number);
    lua_pop(lua_, 1);
    path_.resize(length);
  }
}

std::uint64_t Reader::count(std::uint64_t max) {
  if (lua_type(lua_, -1) != LUA_TNUMBER) refuse("is a number");
  if (lua_isinteger(lua_, -1) == 0 && lua_tonumber(lua_, -1) == HUGE_VAL) return max;
  int is_whole = 0;
  const lua_Integer number = lua_tointegerx(lua_, -1, &is_whole);
  if (is_whole == 0 || number < 0) refuse("is a whole number from 0");
  if (static_cast<std::uint64_t>(number) > max) refuse("is at most " + std::to_string(max));
  return static_cast<std::uint64_t>(number);
}

std::int32_t Reader::small_number() {
  return static_cast<std::int32_t>(count(std::numeric_limits<std::int32_t>::max()));
}

std::int32_t Reader::rank() {
  int is_whole = 0;
  const bool is_number = lua_type(lua_, -1) == LUA_TNUMBER;
  const lua_Integer number = is_number ? lua_tointegerx(lua_, -1, &is_whole) : 0;
  if (is_whole == 0 || number != static_cast<std::int32_t>(number)) refuse("is a whole number");
  return static_cast<std::int32_t>(number);
}

bool Reader::flag() {
  if (!lua_isboolean(lua_, -1)) refuse("is true or false");
  return lua_toboolean(lua_, -1) != 0;
}

std::string Reader::text() {
  if (lua_type(lua_, -1) != LUA_TSTRING) refuse("is a text");
  const std::string_view text = text_on_top(lua_);
  Sandbox::of(lua_).charge(text.size() / bytes_each_step);
  return std::string(text);
}

TierIndex Reader::tier() {
  const std::string name = text();
  const TierIndex found = tiers_ == nullptr ? no_tier : find_tier(*tiers_, name);
  if (found != no_tier) return found;
  static const std::vector<TierFacts> none;
  refuse("says that " + no_such_tier(tiers_ == nullptr ? none : *tiers_, name));
}

catalog::Priority Reader::priority() {
  const std::string name = text();
  const auto found = std::ranges::find(priorities, name);
  if (found == priorities.end()) refuse("is \"low\", \"normal\", \"high\" or \"never\"");
  return static_cast<catalog::Priority>(found - priorities.begin() + 1);
}

// Twice: they may name each other. Those that say nothing have the ranks of a list.
void Reader::tiers(std::vector<TierFacts>& tiers) {
  tiers_ = &tiers;
  if (list_length() > tiers_max) refuse("has at most " + std::to_string(tiers_max) + " tiers");
  each_numbered([&](std::size_t number) {
    check_table();
    if (lua_getfield(lua_, -1, "name") != LUA_TSTRING) refuse("has no name");
    const std::string name = text();
    if (find_tier(tiers, name) != no_tier) refuse("has the name of another tier");
    tiers.emplace_back().name = name;
    tiers.back().number = static_cast<std::uint32_t>(number);
    tiers.back().rank = static_cast<std::int32_t>(number);
    lua_pop(lua_, 1);
  });
  each_numbered([&](std::size_t number) { object(tiers[number - 1]); });
}

void Reader::tier_names(std::vector<TierIndex>& tiers) {
  each_numbered([&](std::size_t) { tiers.push_back(tier()); });
}

void Reader::labels(std::shared_ptr<const catalog::Labels>& labels) {
  auto read = std::make_shared<catalog::Labels>();
  each_named([&](const std::string& key) { read->push_back({key, text()}); });
  std::ranges::sort(*read, {}, &catalog::Label::key);
  labels = std::move(read);
}

void Reader::used_bytes(std::vector<std::uint64_t>& used_bytes) {
  used_bytes.assign(tiers_ == nullptr ? 0 : tiers_->size(), 0);
  each_named([&](const std::string& name) {
    const TierIndex found = tiers_ == nullptr ? no_tier : find_tier(*tiers_, name);
    if (found == no_tier) refuse("is no tier of these facts");
    used_bytes[found] = count(UINT64_MAX);
  });
}

void Reader::payloads(std::vector<PayloadFacts>& payloads) {
  each_numbered([&](std::size_t) { object(payloads.emplace_back()); });
}

template <typename Object>
void Reader::object(Object& object) {
  Sandbox::of(lua_).charge(4);
  each_named([&](const std::string& name) {
    // The tiers of a hook have been read.
    if constexpr (requires { object.tiers.front().rank; }) {
      if (name == "tiers") return;
    }
    for (const Field<Object>& field : fields_of<Object>()) {
      if (name != field.name) continue;
      if (field.read == nullptr) refuse("follows from other fields, and is not given");
      return field.read(*this, object);
    }
    refuse(std::string("is no field of a ") + kind_of<Object>());
  });
}

template <typename Facts>
void Reader::facts(Facts& facts) {
  check_table();
  if (lua_getfield(lua_, -1, "tiers") != LUA_TNIL) {
    path_ = "facts.tiers";
    tiers(facts.tiers);
    path_ = "facts";
  }
  lua_pop(lua_, 1);
  tiers_ = &facts.tiers;
  object(facts);
}

template void Reader::object(PayloadFacts&);
template void Reader::object(TierFacts&);
template void Reader::object(ClientFacts&);
template void Reader::facts(PlaceFacts&);
template void Reader::facts(SpillFacts&);
template void Reader::facts(PromoteFacts&);
template void Reader::facts(AdmitFacts&);
template void Reader::facts(RetainFacts&);

}  // namespace pm::policy
