#include "views.h"

#include <algorithm>
#include <numeric>
#include <string_view>

namespace pm::policy {

namespace {

struct View {
  const void* kind;
  const void* object;
  std::uint64_t question;
};

// Upvalues of each metamethod: the scope, and for objects with fields their names and numbers.
Scope& scope_of(lua_State* lua) {
  return *static_cast<Scope*>(lua_touserdata(lua, lua_upvalueindex(1)));
}

// The view at 1: the machine calls metamethods with nothing else, and scripts cannot reach them.
template <typename Object>
const Object& viewed(lua_State* lua, const Scope& scope) {
  const View& view = *static_cast<const View*>(lua_touserdata(lua, 1));
  if (view.question != scope.question) luaL_error(lua, "these facts are of an earlier question");
  return *static_cast<const Object*>(view.object);
}

std::string_view text_at(lua_State* lua, int index) {
  std::size_t length = 0;
  const char* text = lua_tolstring(lua, index, &length);
  return {text, length};
}

// The place, from 0, that a list's index at 2 means; `size`: none.
std::size_t place_in(lua_State* lua, std::size_t size) {
  const lua_Integer number = lua_tointeger(lua, 2);
  if (number < 1 || static_cast<std::uint64_t>(number) > size) return size;
  return static_cast<std::size_t>(number - 1);
}

template <typename Object>
int index_fields(lua_State* lua) {
  Scope& scope = scope_of(lua);
  const Object& object = viewed<Object>(lua, scope);
  lua_settop(lua, 2);
  lua_pushvalue(lua, 2);
  if (lua_rawget(lua, lua_upvalueindex(2)) == LUA_TNUMBER) {
    const auto number = static_cast<std::size_t>(lua_tointeger(lua, -1));
    fields_of<Object>()[number].push(lua, scope, object);
    return 1;
  }
  if (lua_type(lua, 2) != LUA_TSTRING) {
    return luaL_error(lua, "a %s is no list: its fields have names", kind_of<Object>());
  }
  std::string names;
  for (const Field<Object>& field : fields_of<Object>()) {
    names += (names.empty() ? "" : ", ") + std::string(field.name);
  }
  return luaL_error(lua, "a %s has no '%s'; it has %s", kind_of<Object>(), lua_tostring(lua, 2),
                    names.c_str());
}

int index_tiers(lua_State* lua) {
  Scope& scope = scope_of(lua);
  const auto& tiers = viewed<std::vector<TierFacts>>(lua, scope);
  if (lua_type(lua, 2) == LUA_TSTRING) {
    const TierIndex found = find_tier(tiers, text_at(lua, 2));
    if (found == no_tier) return 0;
    push_view<TierFacts>(lua, scope, &tiers[found]);
    return 1;
  }
  const std::size_t place = place_in(lua, tiers.size());
  if (place == tiers.size()) return 0;
  if (scope.by_rank.empty()) {
    scope.by_rank.resize(tiers.size());
    std::iota(scope.by_rank.begin(), scope.by_rank.end(), TierIndex{0});
    std::ranges::stable_sort(scope.by_rank, {}, [&](TierIndex tier) { return tiers[tier].rank; });
  }
  push_view<TierFacts>(lua, scope, &tiers[scope.by_rank[place]]);
  return 1;
}

int index_payloads(lua_State* lua) {
  const Scope& scope = scope_of(lua);
  const auto& payloads = viewed<std::vector<PayloadFacts>>(lua, scope);
  const std::size_t place = place_in(lua, payloads.size());
  if (place == payloads.size()) return 0;
  push_view<PayloadFacts>(lua, scope, &payloads[place]);
  return 1;
}

int index_names(lua_State* lua) {
  const Scope& scope = scope_of(lua);
  const auto& names = viewed<std::vector<TierIndex>>(lua, scope);
  const std::size_t place = place_in(lua, names.size());
  if (place == names.size()) return 0;
  push_tier_name(lua, scope, names[place]);
  return 1;
}

// Nothing is used on a tier that was not counted; nil only for what is no tier.
int index_used(lua_State* lua) {
  const Scope& scope = scope_of(lua);
  const auto& used = viewed<std::vector<std::uint64_t>>(lua, scope);
  if (lua_type(lua, 2) != LUA_TSTRING) return 0;
  const TierIndex tier = find_tier(*scope.tiers, text_at(lua, 2));
  if (tier == no_tier) return 0;
  push_count(lua, tier < used.size() ? used[tier] : 0);
  return 1;
}

int index_labels(lua_State* lua) {
  const Scope& scope = scope_of(lua);
  const auto& shared = viewed<std::shared_ptr<const catalog::Labels>>(lua, scope);
  if (shared == nullptr || lua_type(lua, 2) != LUA_TSTRING) return 0;
  const std::string_view key = text_at(lua, 2);
  const auto found = std::ranges::lower_bound(*shared, key, {}, &catalog::Label::key);
  if (found == shared->end() || found->key != key) return 0;
  lua_pushlstring(lua, found->value.data(), found->value.size());
  return 1;
}

template <typename Element>
int length(lua_State* lua) {
  const auto& list = viewed<std::vector<Element>>(lua, scope_of(lua));
  lua_pushinteger(lua, static_cast<lua_Integer>(list.size()));
  return 1;
}

int refuse_write(lua_State* lua) { return luaL_error(lua, "facts cannot be changed"); }

// The same thing seen twice is one.
int is_same(lua_State* lua) {
  const auto* one = static_cast<const View*>(lua_touserdata(lua, 1));
  const auto* other = static_cast<const View*>(lua_touserdata(lua, 2));
  lua_pushboolean(lua, one->kind == other->kind && one->object == other->object &&
                           one->question == other->question);
  return 1;
}

struct Methods {
  const void* key;
  const char* name;
  lua_CFunction index;
  lua_CFunction length;
};

// What index_fields() needs beside the scope is on top of the stack when `has_names`, and is taken.
void add_kind(lua_State* lua, Scope& scope, const Methods& methods, bool has_names) {
  lua_createtable(lua, 0, 5);
  if (has_names) lua_insert(lua, -2);
  lua_pushlightuserdata(lua, &scope);
  if (has_names) lua_insert(lua, -2);
  lua_pushcclosure(lua, methods.index, has_names ? 2 : 1);
  lua_setfield(lua, -2, "__index");
  if (methods.length != nullptr) {
    lua_pushlightuserdata(lua, &scope);
    lua_pushcclosure(lua, methods.length, 1);
    lua_setfield(lua, -2, "__len");
  }
  lua_pushcfunction(lua, &refuse_write);
  lua_setfield(lua, -2, "__newindex");
  lua_pushcfunction(lua, &is_same);
  lua_setfield(lua, -2, "__eq");
  lua_pushstring(lua, methods.name);
  lua_setfield(lua, -2, "__name");
  lua_rawsetp(lua, LUA_REGISTRYINDEX, methods.key);
}

template <typename Object>
void add_object(lua_State* lua, Scope& scope) {
  lua_newtable(lua);
  lua_Integer number = 0;
  for (const Field<Object>& field : fields_of<Object>()) {
    lua_pushinteger(lua, number++);
    lua_setfield(lua, -2, field.name);
  }
  add_kind(lua, scope, {&kind_key<Object>, kind_of<Object>(), &index_fields<Object>, nullptr},
           true);
}

}  // namespace

void Scope::open(const std::vector<TierFacts>& of) {
  tiers = &of;
  by_rank.clear();
}

void Scope::close() {
  ++question;
  tiers = nullptr;
}

void set_up_views(lua_State* lua, Scope& scope) {
  add_object<PayloadFacts>(lua, scope);
  add_object<TierFacts>(lua, scope);
  add_object<ClientFacts>(lua, scope);
  add_object<PlaceFacts>(lua, scope);
  add_object<SpillFacts>(lua, scope);
  add_object<PromoteFacts>(lua, scope);
  add_object<AdmitFacts>(lua, scope);
  add_object<RetainFacts>(lua, scope);
  for (const Methods& methods : {
           Methods{&kind_key<TierList>, "list of tiers", &index_tiers, &length<TierFacts>},
           Methods{&kind_key<Payloads>, "list of payloads", &index_payloads, &length<PayloadFacts>},
           Methods{&kind_key<TierNames>, "list of tiers", &index_names, &length<TierIndex>},
           Methods{&kind_key<UsedBytes>, "table of tiers", &index_used, nullptr},
           Methods{&kind_key<LabelMap>, "table of labels", &index_labels, nullptr},
       }) {
    add_kind(lua, scope, methods, false);
  }
}

void push_view(lua_State* lua, const Scope& scope, const void* kind, const void* object) {
  auto* const view = static_cast<View*>(lua_newuserdatauv(lua, sizeof(View), 0));
  *view = {kind, object, scope.question};
  lua_rawgetp(lua, LUA_REGISTRYINDEX, kind);
  lua_setmetatable(lua, -2);
}

void push_count(lua_State* lua, std::uint64_t count) {
  lua_pushinteger(lua, static_cast<lua_Integer>(std::min<std::uint64_t>(count, INT64_MAX)));
}

void push_tier_name(lua_State* lua, const Scope& scope, TierIndex tier) {
  if (tier >= scope.tiers->size()) {
    lua_pushnil(lua);
    return;
  }
  const std::string& name = (*scope.tiers)[tier].name;
  lua_pushlstring(lua, name.data(), name.size());
}

TierIndex find_tier(const std::vector<TierFacts>& tiers, std::string_view name) {
  const auto found = std::ranges::find(tiers, name, &TierFacts::name);
  return found == tiers.end() ? no_tier : static_cast<TierIndex>(found - tiers.begin());
}

std::string no_such_tier(const std::vector<TierFacts>& tiers, std::string_view name) {
  std::string words = "'" + std::string(name) + "' is no tier; there are ";
  for (const TierFacts& tier : tiers) words += (&tier == tiers.data() ? "" : ", ") + tier.name;
  return tiers.empty() ? words + "none" : words;
}

}  // namespace pm::policy
