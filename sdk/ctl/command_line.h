#pragma once

#include <boost/program_options/variables_map.hpp>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "output.h"
#include "pm/client/client.h"

// From argv to a verb and its options, and what a verb may do with them.

namespace pm::ctl {

// What a verb works with. Options were checked for form by the parser; the methods below check
// their values, and give INVALID_ARGUMENT that names the option.
class Arguments {
 public:
  explicit Arguments(boost::program_options::variables_map values) : values_(std::move(values)) {}

  bool has(const std::string& name) const { return values_.count(name) != 0; }
  bool flag(const std::string& name) const { return values_[name].as<bool>(); }
  std::string text(const std::string& name) const;  // Empty when absent.
  std::vector<std::string> texts(const std::string& name) const;
  Result<std::uint64_t> count(const char* name, std::uint64_t otherwise) const;
  Result<client::Tier> tier(const char* name, client::Tier otherwise) const;
  Result<client::Layout> layout() const;
  Result<client::Checksum> checksum() const;
  Result<client::PayloadId> payload_id() const;  // Of the positional "id".
  Result<std::vector<client::PayloadId>> payload_ids() const;
  Result<Format> format() const;
  Result<client::CreateOptions> create_options() const;
  Result<client::LeaseOptions> lease_options() const;

 private:
  boost::program_options::variables_map values_;
};

struct CallVerb;
struct Verb;

struct Context {
  client::Client& client;
  const Arguments& arguments;
  Format format;
  std::ostream& out;
  std::ostream& err;
  const Verb& verb;

  // Prints the error and returns the exit status of its code.
  int fail(const Status& status) const;
  // The same for an argument that this program refuses.
  int refuse(const Status& status) const;
};

struct Verb {
  std::string name;       // One word or two.
  std::string arguments;  // As the help shows them.
  std::string summary;
  int (*run)(const Context&);
  const CallVerb* call = nullptr;  // Of verbs that are one call of the contract.
};

// In the order of the help.
const std::vector<Verb>& verbs();

// The names of a verb's options, without dashes; for completion.
std::vector<std::string> option_names(const Verb& verb);

// What argv asks for.
struct CommandLine {
  const Verb* verb = nullptr;  // nullptr: only help was asked for.
  std::string help;            // What to print when `verb` is nullptr.
  std::optional<Arguments> arguments;
};
// INVALID_ARGUMENT: argv is wrong.
Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments);

}  // namespace pm::ctl
