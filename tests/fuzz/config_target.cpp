// A configuration: TOML, then after a NUL lines of NAME=VALUE for the environment.

#include <sys/mman.h>
#include <unistd.h>

#include "core/config/config.h"
#include "core/config/plugin_config.h"
#include "core/config/toml_reader.h"
#include "input.h"

namespace pm::fuzz {
namespace {

// Every keyword that a plugin's schema may hold.
constexpr const char* plugin_schema = R"({
  "type": "object", "additionalProperties": false, "required": ["root"],
  "properties": {
    "root": {"type": "string", "minLength": 1, "maxLength": 40},
    "capacity_bytes": {"type": "integer", "minimum": 0, "default": 0},
    "slab_bytes": {"type": "integer", "minimum": 0, "maximum": 1048576, "default": 0},
    "mode": {"type": "string", "pattern": "^0?6[0246]{2}$", "default": "0600"},
    "level": {"enum": ["low", "high", 3, true]},
    "share": {"type": "number", "minimum": 0.5, "maximum": 2},
    "direct": {"type": "boolean", "default": true},
    "token": {"type": "string", "writeOnly": true},
    "listen": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "string"}},
    "tls": {"type": "object", "additionalProperties": true, "properties": {
      "key": {"type": "string", "writeOnly": true}}}
  }
})";

// A file without a name in any folder, of one content after the other.
class TextFile {
 public:
  TextFile() : descriptor_(::memfd_create("fuzz-config", MFD_CLOEXEC)) {
    expect(descriptor_ >= 0, "memfd_create");
    path_ = "/proc/self/fd/" + std::to_string(descriptor_);
  }
  const std::string& path() const { return path_; }
  void set(std::string_view text) const {
    const bool written =
        ::ftruncate(descriptor_, 0) == 0 &&
        ::pwrite(descriptor_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
    expect(written, "the file can be written");
  }

 private:
  int descriptor_;
  std::string path_;
};

// Where it stands, and where that is a line, which one. What is not there has no line, nor has a
// file as a whole.
void check_error(const std::string& error, const std::string& file, std::size_t lines) {
  if (error.starts_with("environment ")) return;
  expect(error.starts_with(file + ":"), "an error says where", error);
  const std::string_view place = std::string_view(error).substr(file.size() + 1);
  if (place.starts_with(' ')) {
    const bool of_the_whole = error.find("missing") != std::string::npos ||
                              error.find("required") != std::string::npos ||
                              error.find("at least one") != std::string::npos;
    expect(of_the_whole, "an error about something written has a line", error);
    return;
  }
  const std::size_t line = std::strtoul(place.data(), nullptr, 10);
  expect(line >= 1 && line <= lines, "the line of an error is one of the file's", error);
}

void check_good(const HostConfig& config, const config::Errors& errors) {
  const std::string printed = print_config(config);
  config::Errors printed_errors;
  config::read_toml(printed, "printed", printed_errors);
  expect(printed_errors.empty(), "a configuration prints as TOML",
         printed_errors.empty() ? std::string() : printed_errors.texts()[0] + "\n" + printed);
  expect(errors.empty(), "printing adds no error");
  expect(changed_keys(config, config).empty(), "a configuration equals itself", printed);
  const std::vector<bool> durable(config.tiers.size(), true);
  for (std::size_t i = 0; i < config.tiers.size(); ++i) spill_target(config, i, durable);
}

}  // namespace
}  // namespace pm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pm;
  static const fuzz::TextFile file;
  fuzz::Input input(data, size);
  const std::string_view toml = input.until('\0');
  file.set(toml);
  ConfigSources sources;
  sources.file = file.path();
  sources.environment.emplace_back("HOME", "/home/someone");
  while (!input.empty()) {
    const std::string_view line = input.until('\n');
    const std::size_t equals = std::min(line.find('='), line.size());
    sources.environment.emplace_back(line.substr(0, equals),
                                     line.substr(std::min(equals + 1, line.size())));
  }
  config::Errors errors;
  HostConfig config = load_config(sources, errors);
  const bool loaded = errors.empty();
  check_plugin_configs(
      config,
      [](const std::string&, const char*) {
        return PluginSchema{{}, fuzz::plugin_schema};
      },
      errors);
  const auto lines = static_cast<std::size_t>(std::count(toml.begin(), toml.end(), '\n')) + 1;
  for (const std::string& error : errors.texts()) fuzz::check_error(error, file.path(), lines);
  if (loaded && errors.empty()) fuzz::check_good(config, errors);
  return 0;
}
