#include "journal_reader.h"

#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>

#include "answers.h"
#include "reader.h"

namespace pm::policy {

namespace {

namespace json = boost::json;

Status wrong(std::string words) { return {Code::invalid_argument, std::move(words)}; }

// A line is no script: it may be as long as what the host has written.
SandboxLimits reading_limits() {
  SandboxLimits limits;
  limits.string_bytes_max = 16 << 20;
  limits.load_bytes_max = limits.call_bytes_max = 64 << 20;
  limits.load_steps_max = limits.call_steps_max = 100'000'000;
  limits.load_cpu_ns_max = limits.call_cpu_ns_max = 10'000'000'000;
  return limits;
}

// ---- to Lua, for those who read examples ----

void push(lua_State* lua, const json::value& value) {
  luaL_checkstack(lua, 4, "a line");
  switch (value.kind()) {
    case json::kind::null: return lua_pushnil(lua);
    case json::kind::bool_: return lua_pushboolean(lua, value.get_bool());
    case json::kind::int64: return lua_pushinteger(lua, value.get_int64());
    // Too large for any field.
    case json::kind::uint64: return lua_pushnumber(lua, static_cast<double>(value.get_uint64()));
    case json::kind::double_: return lua_pushnumber(lua, value.get_double());
    case json::kind::string: {
      const json::string& text = value.get_string();
      lua_pushlstring(lua, text.data(), text.size());
      return;
    }
    case json::kind::array: {
      const json::array& list = value.get_array();
      lua_createtable(lua, static_cast<int>(list.size()), 0);
      lua_Integer number = 0;
      for (const json::value& element : list) {
        push(lua, element);
        lua_rawseti(lua, -2, ++number);
      }
      return;
    }
    case json::kind::object: {
      const json::object& object = value.get_object();
      lua_createtable(lua, 0, static_cast<int>(object.size()));
      for (const json::key_value_pair& member : object) {
        lua_pushlstring(lua, member.key().data(), member.key().size());
        push(lua, member.value());
        lua_rawset(lua, -3);
      }
      return;
    }
  }
}

template <typename Facts>
struct Reading {
  const json::value& facts;
  const json::value* answer;  // Null: the default.
  Expectation<Facts>& decision;
};

template <typename Facts>
int read_decision(lua_State* lua) {
  auto& reading = *static_cast<Reading<Facts>*>(lua_touserdata(lua, 1));
  push(lua, reading.facts);
  Reader(lua).facts(reading.decision.facts);
  lua_pop(lua, 1);
  if (reading.answer == nullptr) return 0;
  push(lua, *reading.answer);
  DecisionOf<Facts> decision;
  const Status status = take_answer(lua, reading.decision.facts, decision);
  if (!status.ok()) luaL_error(lua, "answer: %s", status.message().c_str());
  reading.decision.decision = std::move(decision);
  return 0;
}

template <typename Facts>
Status take_decision(Sandbox& sandbox, const json::object& object, JournalLine& line) {
  const json::value* facts = object.if_contains("facts");
  if (facts == nullptr) return wrong("a decision without facts");
  auto& decision = line.what.emplace<Expectation<Facts>>();
  Reading<Facts> reading{*facts, object.if_contains("answer"), decision};
  return sandbox.call(&read_decision<Facts>, &reading);
}

// ---- members ----

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_string()) return {};
  return std::string(value->get_string());
}

std::optional<std::int64_t> number_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_int64()) return std::nullopt;
  return value->get_int64();
}

Status take_access(const json::object& object, AccessKind kind, JournalLine& line) {
  const auto size_bytes = number_of(object, "size_bytes");
  auto& access = line.what.emplace<JournalAccess>();
  access.kind = kind;
  access.id = text_of(object, "id");
  access.tier = text_of(object, "tier");
  access.size_bytes = static_cast<std::uint64_t>(size_bytes.value_or(0));
  if (access.id.empty()) return wrong("a line about a payload has its id");
  if (!size_bytes || *size_bytes < 0) return wrong("size_bytes is a whole number from 0");
  return {};
}

Status take_begin(Sandbox& sandbox, const json::object& object, JournalLine& line) {
  // The tiers of a question about nothing else.
  json::object facts;
  if (const json::value* tiers = object.if_contains("tiers")) facts["tiers"] = *tiers;
  Expectation<PlaceFacts> read;
  const json::value value(std::move(facts));
  Reading<PlaceFacts> reading{value, nullptr, read};
  PM_TRY(sandbox.call(&read_decision<PlaceFacts>, &reading));
  auto& begin = line.what.emplace<JournalBegin>();
  begin.tiers = std::move(read.facts.tiers);
  const json::value* policies = object.if_contains("policies");
  if (policies == nullptr || !policies->is_array()) return wrong("policies is a list");
  for (const json::value& file : policies->get_array()) {
    if (!file.is_object()) return wrong("a policy has a name and a text");
    const json::object& members = file.get_object();
    begin.policies.push_back({text_of(members, "name"), text_of(members, "text")});
  }
  return {};
}

Status take_line(Sandbox& sandbox, const json::object& object, JournalLine& line) {
  const auto at_ns = number_of(object, "at");
  if (!at_ns) return wrong("'at' is a time in nanoseconds");
  line.at_ns = *at_ns;
  line.rule = text_of(object, "rule");
  const std::string hook = text_of(object, "hook");
  if (hook == "place") return take_decision<PlaceFacts>(sandbox, object, line);
  if (hook == "spill") return take_decision<SpillFacts>(sandbox, object, line);
  if (hook == "promote") return take_decision<PromoteFacts>(sandbox, object, line);
  if (hook == "admit") return take_decision<AdmitFacts>(sandbox, object, line);
  if (hook == "retain") return take_decision<RetainFacts>(sandbox, object, line);
  if (!hook.empty()) return wrong("there is no hook '" + hook + "'");
  const std::string op = text_of(object, "op");
  if (op == "begin") return take_begin(sandbox, object, line);
  for (const AccessKind kind : {AccessKind::read, AccessKind::write, AccessKind::remove}) {
    if (op == access_name(kind)) return take_access(object, kind, line);
  }
  return wrong("it has neither a hook nor an 'op' that is begin, read, write or delete");
}

}  // namespace

Result<std::unique_ptr<JournalReader>> JournalReader::open(const std::string& path) {
  auto sandbox = Sandbox::make(reading_limits());
  if (!sandbox.ok()) return sandbox.status();
  // From then on what a line has left behind is collected.
  PM_TRY((*sandbox)->freeze());
  std::unique_ptr<JournalReader> reader(new JournalReader(*std::move(sandbox)));
  std::error_code error;
  if (std::filesystem::exists(path + ".1", error)) reader->files_.push_back(path + ".1");
  reader->files_.push_back(path);
  PM_TRY(reader->open_next());
  return reader;
}

Status JournalReader::open_next() {
  const std::string& path = files_[next_file_++];
  file_ = std::ifstream(path, std::ios::binary);
  number_ = 0;
  std::error_code error;
  if (file_ && !std::filesystem::is_directory(path, error)) return {};
  return {Code::not_found, path + ": " + (file_ ? "it is a directory" : std::strerror(errno))};
}

Result<bool> JournalReader::next(JournalLine& line) {
  for (std::string text;;) {
    if (!std::getline(file_, text)) {
      if (next_file_ == files_.size()) return false;
      PM_TRY(open_next());
      continue;
    }
    ++number_;
    // What does not end has been torn by a kill, or is being written just now.
    if (file_.eof()) {
      ++torn_;
      continue;
    }
    ++lines_;
    const Status status = parse(text, line);
    if (status.ok()) return true;
    return wrong(files_[next_file_ - 1] + ":" + std::to_string(number_) + ": " + status.message());
  }
}

Status JournalReader::parse(const std::string& text, JournalLine& line) {
  json::error_code error;
  const json::value value = json::parse(text, error);
  if (error) return wrong("it is no JSON: " + error.message());
  if (!value.is_object()) return wrong("it is no object of JSON");
  return take_line(*sandbox_, value.get_object(), line);
}

}  // namespace pm::policy
