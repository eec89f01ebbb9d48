#include "configuration.h"

#include <unistd.h>

#include <boost/json.hpp>
#include <filesystem>

namespace pm::frontend_local {

const char configuration_schema[] =
    R"({
  "type": "object",
  "additionalProperties": false,
  "required": ["listen"],
  "properties": {
    "listen": {
      "description": "Where to listen: \"unix:/absolute/path\", or a list of such places."
    },
    "mode": {
      "description": "Permissions, in octal, of the sockets. Wider than 0600 lets the group )"
    R"(or everybody connect; who they are is known all the same.",
      "type": "string", "pattern": "^0?6[0246][0246]$", "default": "0600"
    },
    "threads": {
      "description": "Threads that serve connections.",
      "type": "integer", "minimum": 1, "maximum": 256, "default": 2
    },
    "connections_max": {
      "description": "The most clients at a time; more are turned away at once. A user )"
    R"(who is not trusted has at most a quarter of them.",
      "type": "integer", "minimum": 1, "maximum": 1048576, "default": 1024
    },
    "open_ms": {
      "description": "Milliseconds that a tier may take to open what a client asks for; )"
    R"(then the client is told so, and others do not wait for the tier.",
      "type": "integer", "minimum": 1, "maximum": 3600000, "default": 10000
    },
    "trusted_uids": {
      "description": "Users who may map what the host's own user may, slabs included: )"
    R"(numbers. Not given: the user that the host runs as, alone.",
      "type": "array",
      "items": {"type": "integer", "minimum": 0, "maximum": 4294967294}
    }
  }
})";

namespace {

Status invalid(const std::string& message) { return {Code::invalid_argument, message}; }

Result<std::string> parse_address(const boost::json::value& value) {
  const std::string wanted = "; write \"unix:/path\"";
  if (!value.is_string()) return invalid("listen: what is no text is no address" + wanted);
  const std::string text(value.as_string());
  // An abstract socket has no file and so no mode: everybody on the machine could connect.
  if (text.starts_with("unix-abstract:")) {
    return invalid("listen: '" + text + "': abstract sockets have no permissions; use unix:/path");
  }
  if (!text.starts_with("unix:")) {
    return invalid("listen: '" + text + "' is no Unix socket, and others do not reach this " +
                   "frontend" + wanted);
  }
  std::string path = text.substr(text.starts_with("unix:///") ? 7 : 5);
  if (path.empty()) return invalid("listen: '" + text + "' names no path after 'unix:'");
  if (path.find('\0') != std::string::npos) return invalid("listen: a path has no NUL in it");
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  if (error) return invalid("listen: '" + text + "': " + error.message());
  path = absolute.lexically_normal().string();
  if (path.back() == '/') return invalid("listen: '" + text + "' ends in '/'");
  return path;
}

Result<std::vector<std::string>> parse_addresses(const boost::json::value& value) {
  boost::json::array items;
  if (value.is_array()) {
    items = value.as_array();
  } else {
    items.push_back(value);
  }
  if (items.empty()) return invalid("listen: needs at least one address");
  std::vector<std::string> paths;
  for (const auto& item : items) {
    auto path = parse_address(item);
    if (!path.ok()) return path.status();
    paths.push_back(*std::move(path));
  }
  return paths;
}

}  // namespace

Result<Configuration> parse_configuration(const char* config_json) {
  const auto value = boost::json::parse(config_json);
  const auto& root = value.as_object();
  Configuration configuration;
  auto listen = parse_addresses(root.at("listen"));
  if (!listen.ok()) return listen.status();
  configuration.listen = *std::move(listen);
  if (const auto* mode = root.if_contains("mode")) {
    configuration.mode =
        static_cast<mode_t>(std::stoul(std::string(mode->as_string()), nullptr, 8));
  }
  if (const auto* threads = root.if_contains("threads")) {
    configuration.threads = threads->to_number<std::uint32_t>();
  }
  if (const auto* connections = root.if_contains("connections_max")) {
    configuration.connections_max = connections->to_number<std::uint32_t>();
  }
  if (const auto* open_ms = root.if_contains("open_ms")) {
    configuration.open_ms = open_ms->to_number<std::uint32_t>();
  }
  if (const auto* uids = root.if_contains("trusted_uids")) {
    for (const auto& uid : uids->as_array()) {
      configuration.trusted_uids.insert(uid.to_number<std::uint32_t>());
    }
  } else {
    configuration.trusted_uids.insert(::geteuid());
  }
  return configuration;
}

}  // namespace pm::frontend_local
