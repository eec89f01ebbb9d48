#pragma once

#include <cstdint>
#include <lua.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "views.h"

namespace pm::policy {

const char* priority_name(catalog::Priority priority);

// Reads the facts of an example from its tables. Each function takes the value on top of the
// stack, and leaves it there; what is wrong with it is an error of Lua's that says where it stands.
class Reader {
 public:
  explicit Reader(lua_State* lua) : lua_(lua) {}

  // Of a hook.
  template <typename Facts>
  void facts(Facts& facts);

  // For the members.
  std::uint64_t count(std::uint64_t max);  // math.huge is UINT64_MAX.
  std::int32_t small_number();
  std::int32_t rank();
  bool flag();
  std::string text();
  TierIndex tier();
  catalog::Priority priority();
  void tiers(std::vector<TierFacts>& tiers);
  void tier_names(std::vector<TierIndex>& tiers);
  void labels(std::shared_ptr<const catalog::Labels>& labels);
  void used_bytes(std::vector<std::uint64_t>& used_bytes);
  void payloads(std::vector<PayloadFacts>& payloads);
  template <typename Object>
  void object(Object& object);

 private:
  [[noreturn]] void refuse(const std::string& why);
  std::size_t list_length();
  void check_table();
  // Calls `each` with the value of every member on top of the stack, and its name or number as
  // part of the path.
  template <typename Each>
  void each_named(Each&& each);
  template <typename Each>
  void each_numbered(Each&& each);

  lua_State* lua_;
  std::string path_ = "facts";
  const std::vector<TierFacts>* tiers_ = nullptr;
};

}  // namespace pm::policy
