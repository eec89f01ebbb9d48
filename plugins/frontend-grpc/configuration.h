#pragma once

#include <cstdint>
#include <pm/cpp/result.hpp>
#include <string>
#include <vector>

// What this frontend is told: the JSON Schema of its configuration, and its typed form.

namespace pm::frontend {

// Paths of PEM files. Empty: not configured.
struct TlsFiles {
  std::string certificate;
  std::string key;
  std::string client_ca;
  bool configured() const { return !certificate.empty(); }
};

// Where to listen: a Unix socket at an absolute `path`, or TCP at `host`:`port`.
struct Address {
  bool is_unix = false;
  std::string path;
  std::string host;  // As written, IPv6 in brackets.
  std::uint16_t port = 0;
};

struct Configuration {
  std::vector<Address> listen;
  std::uint32_t threads = 0;
  std::uint32_t message_bytes_max = 0;
  std::uint32_t streams_max = 0;
  std::uint32_t stream_credit = 0;
  TlsFiles tls;
  bool insecure = false;
};

extern const char configuration_schema[];

// Reads what the host has checked against the schema. INVALID_ARGUMENT names the key.
Result<Configuration> parse_configuration(const char* config_json);

}  // namespace pm::frontend
