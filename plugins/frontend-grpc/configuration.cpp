#include "configuration.h"

#include <boost/json.hpp>
#include <charconv>
#include <filesystem>

namespace pm::frontend {

const char configuration_schema[] =
    R"({
  "type": "object",
  "additionalProperties": false,
  "required": ["listen"],
  "properties": {
    "listen": {
      "description": "Where to listen: \"unix:/absolute/path\" (mode 0600), )"
    R"(or \"HOST:PORT\" for TCP (port 0: any free one). )"
    R"(TCP needs tls.client_ca, or insecure = true.",
      "type": "array",
      "minItems": 1,
      "items": {"type": "string", "minLength": 3}
    },
    "threads": {
      "description": "Threads that serve connections.",
      "type": "integer", "minimum": 1, "maximum": 256, "default": 2
    },
    "message_bytes_max": {
      "description": "The largest request, in bytes; larger ones get RESOURCE_EXHAUSTED.",
      "type": "integer", "minimum": 1024, "maximum": 2147483647, "default": 16777216
    },
    "streams_max": {
      "description": "The most calls under way on one connection.",
      "type": "integer", "minimum": 1, "maximum": 2147483647, "default": 1024
    },
    "stream_credit": {
      "description": "Replies of one streaming call that may wait for a slow client.",
      "type": "integer", "minimum": 1, "maximum": 65536, "default": 32
    },
    "tls": {
      "description": "Certificates for TCP. With client_ca, )"
    R"(clients must show a certificate that it signed.",
      "type": "object",
      "additionalProperties": false,
      "required": ["certificate", "key"],
      "properties": {
        "certificate": {"description": "PEM file: the server's certificate chain.",
          "type": "string", "minLength": 1},
        "key": {"description": "PEM file: the server's private key.",
          "type": "string", "minLength": 1},
        "client_ca": {"description": "PEM file: the authorities whose clients are let in.",
          "type": "string", "minLength": 1}
      }
    },
    "insecure": {
      "description": "Lets anybody who reaches a TCP address call it.",
      "type": "boolean", "default": false
    }
  }
})";

namespace {

Status invalid(const std::string& message) { return {Code::invalid_argument, message}; }

Result<Address> parse_unix(const std::string& text, const std::string& path) {
  if (path.empty()) return invalid("listen: '" + text + "' names no path after 'unix:'");
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  if (error) return invalid("listen: '" + text + "': " + error.message());
  Address address;
  address.is_unix = true;
  address.path = absolute.lexically_normal().string();
  if (address.path.back() == '/') return invalid("listen: '" + text + "' ends in '/'");
  return address;
}

Result<Address> parse_tcp(const std::string& text) {
  const std::string wanted = "; write \"unix:/path\" or \"HOST:PORT\"";
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return invalid("listen: '" + text + "' is no address" + wanted);
  }
  Address address;
  address.host = text.substr(0, colon);
  if (address.host.find(':') != std::string::npos && address.host.front() != '[') {
    return invalid("listen: '" + text + "': an IPv6 host stands in brackets, as in [::1]:50051");
  }
  const char* first = text.data() + colon + 1;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(first, last, address.port);
  if (error != std::errc{} || end != last) {
    return invalid("listen: '" + text + "' has no port from 0 to 65535" + wanted);
  }
  return address;
}

Result<Address> parse_address(const std::string& text) {
  // An abstract socket has no file and so no mode: everybody on the machine could connect.
  if (text.starts_with("unix-abstract:")) {
    return invalid("listen: '" + text + "': abstract sockets have no permissions; use unix:/path");
  }
  if (text.starts_with("unix:///")) return parse_unix(text, text.substr(7));
  if (text.starts_with("unix:")) return parse_unix(text, text.substr(5));
  return parse_tcp(text);
}

std::string text_or_empty(const boost::json::object& object, const char* key) {
  const auto* value = object.if_contains(key);
  return value == nullptr ? std::string() : std::string(value->as_string());
}

Status check(const Configuration& configuration) {
  if (configuration.tls.configured() == configuration.tls.key.empty()) {
    return invalid("tls: certificate and key belong together; give both or none");
  }
  for (const auto& address : configuration.listen) {
    if (address.is_unix || configuration.insecure) continue;
    if (!configuration.tls.configured() || configuration.tls.client_ca.empty()) {
      return invalid("listen: " + address.host + ":" + std::to_string(address.port) +
                     " is TCP and would let anybody in: set tls.certificate, tls.key and "
                     "tls.client_ca to admit only clients with a certificate, or insecure = true "
                     "if everybody who reaches this address may call it");
    }
  }
  return {};
}

}  // namespace

Result<Configuration> parse_configuration(const char* config_json) {
  const auto value = boost::json::parse(config_json);
  const auto& root = value.as_object();
  const auto number = [&root](const char* key, std::uint32_t fallback) {
    const auto* item = root.if_contains(key);
    return item == nullptr ? fallback : item->to_number<std::uint32_t>();
  };
  Configuration configuration;
  for (const auto& item : root.at("listen").as_array()) {
    auto address = parse_address(std::string(item.as_string()));
    if (!address.ok()) return address.status();
    configuration.listen.push_back(*address);
  }
  if (configuration.listen.empty()) return invalid("listen: needs at least one address");
  configuration.threads = number("threads", 2);
  configuration.message_bytes_max = number("message_bytes_max", 16U << 20);
  configuration.streams_max = number("streams_max", 1024);
  configuration.stream_credit = number("stream_credit", 32);
  if (const auto* tls = root.if_contains("tls")) {
    configuration.tls.certificate = text_or_empty(tls->as_object(), "certificate");
    configuration.tls.key = text_or_empty(tls->as_object(), "key");
    configuration.tls.client_ca = text_or_empty(tls->as_object(), "client_ca");
  }
  if (const auto* insecure = root.if_contains("insecure")) {
    configuration.insecure = insecure->as_bool();
  }
  PM_TRY(check(configuration));
  return configuration;
}

}  // namespace pm::frontend
