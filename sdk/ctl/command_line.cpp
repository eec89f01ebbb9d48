#include "command_line.h"

#include <algorithm>
#include <array>
#include <boost/make_shared.hpp>
#include <boost/program_options.hpp>
#include <charconv>
#include <sstream>

#include "text.h"
#include "verbs.h"

namespace pm::ctl {
namespace {

namespace po = boost::program_options;

constexpr unsigned help_columns = 100;

constexpr const char* exit_statuses =
    "Exit status:\n"
    "  0  done\n"
    "  1  another failure\n"
    "  2  usage: the command line is wrong\n"
    "  3  not found: no such payload\n"
    "  4  refused: FAILED_PRECONDITION, ABORTED, ALREADY_EXISTS or PERMISSION_DENIED\n"
    "  5  try again: UNAVAILABLE, DEADLINE_EXCEEDED or RESOURCE_EXHAUSTED\n"
    "  6  data loss\n"
    "  128+N  ended by signal N\n"
    "With several ids, the status of the first that failed.\n";

po::options_description global_options() {
  po::options_description options("Options of every verb", help_columns);
  const auto text = [] { return po::value<std::string>(); };
  options.add_options()("help,h", po::bool_switch(), "print this help")(
      "address", text()->value_name("ADDRESS"),
      "unix:/path/to.sock or host:port (default: $PM_ADDRESS, or else "
      "payload-manager/payload-manager.sock below $XDG_RUNTIME_DIR or /run)")(
      "output,o", text()->value_name("FORMAT")->default_value("table"), "table or json")(
      "deadline-ms", text()->value_name("N"), "of each call, 0 for none (default: 30000)")(
      "tls-ca", text()->value_name("FILE"), "PEM authorities; turns TLS on")(
      "tls-cert", text()->value_name("FILE"), "PEM certificate of this client")(
      "tls-key", text()->value_name("FILE"), "PEM key of that certificate");
  return options;
}

// The options of each verb; every one of them has one meaning everywhere.
struct VerbOptions {
  const char* verb;
  std::vector<const char*> options;
  std::vector<const char*> positional;  // The last one may repeat when it is "ids".
};

const std::vector<VerbOptions>& verb_options() {
  static const std::vector<VerbOptions> all = {
      {"allocate", {"tier", "ttl-ms", "no-evict", "layout", "request-id"}, {"size"}},
      {"commit", {"request-id"}, {"id"}},
      {"resolve", {}, {"id"}},
      {"lease", {"min-tier", "duration-ms", "best-effort"}, {"id"}},
      {"release", {}, {"lease"}},
      {"delete", {"force"}, {"ids"}},
      {"promote", {"to", "drop-source", "best-effort", "layout", "request-id"}, {"id"}},
      {"spill", {"to", "wait-for-leases", "best-effort", "request-id"}, {"ids"}},
      {"stats", {}, {}},
      {"list", {"tier", "limit", "page-size", "all"}, {}},
      {"put", {"tier", "ttl-ms", "no-evict", "layout", "request-id"}, {"file"}},
      {"get", {"min-tier", "duration-ms", "best-effort"}, {"id", "file"}},
      {"sha256", {"min-tier", "duration-ms", "best-effort"}, {"id"}},
  };
  return all;
}

const VerbOptions& options_of(const std::string& verb) {
  return *std::find_if(verb_options().begin(), verb_options().end(),
                       [&verb](const VerbOptions& options) { return verb == options.verb; });
}

po::options_description option_pool() {
  po::options_description pool;
  const auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
  pool.add_options()("tier", text("TIER"),
                     "gpu, ram, disk, object, void, or tier-N (allocate, put: ram)")(
      "ttl-ms", text("N"), "delete it after this time, 0 for never (default: 0)")(
      "no-evict", po::bool_switch(), "never move it unasked; it has no time to live")(
      "layout", text("LAYOUT"), "in memory: segment or slab (default: segment)")(
      "request-id", text("TEXT"), "makes a repeat with the same text act once")(
      "min-tier", text("TIER"), "at least as fast as this; promotes when it is not")(
      "duration-ms", text("N"), "of the lease (lease: the server's default; get, sha256: 120000)")(
      "best-effort", po::bool_switch(),
      "lease, get, sha256, promote: do not wait for a promotion; spill: only start it")(
      "force", po::bool_switch(), "also when leased")("to", text("TIER"), "where it goes")(
      "drop-source", po::bool_switch(), "give up the copy below, also a durable one")(
      "wait-for-leases", po::bool_switch(), "wait until its leases end")(
      "limit", text("N"), "at most so many (default: 50)")(
      "page-size", text("N"), "ask for so many at a time, up to 500")("all", po::bool_switch(),
                                                                      "without a limit");
  return pool;
}

po::options_description shown_options(const VerbOptions& verb) {
  po::options_description options("Options of " + std::string(verb.verb), help_columns);
  const po::options_description pool = option_pool();
  for (const char* name : verb.options) {
    options.add(boost::make_shared<po::option_description>(pool.find(name, false)));
  }
  return options;
}

std::string general_help() {
  std::ostringstream text;
  text << "Usage: payloadctl [OPTION]... VERB [ARGUMENT]...\n\nVerbs:\n";
  for (const Verb& verb : verbs()) {
    const std::string usage = verb.name + " " + verb.arguments;
    text << "  " << usage << std::string(usage.size() < 21 ? 21 - usage.size() : 1, ' ')
         << verb.summary << '\n';
  }
  text << "\nSIZE is in bytes, or a number with KiB, MiB, GiB or TiB. FILE '-' is standard input or"
          " output.\n'payloadctl VERB --help' lists the options of a verb.\n\n"
       << global_options() << '\n'
       << exit_statuses;
  return text.str();
}

std::string verb_help(const Verb& verb) {
  std::ostringstream text;
  text << "Usage: payloadctl [OPTION]... " << verb.name << " " << verb.arguments << "\n\n"
       << verb.summary << ".\n\n";
  if (!options_of(verb.name).options.empty()) text << shown_options(options_of(verb.name)) << '\n';
  text << global_options() << '\n' << exit_statuses;
  return text.str();
}

// Where the verb stands: the first word that is neither an option nor an option's value.
std::size_t verb_position(const std::vector<std::string>& arguments) {
  static constexpr std::array<std::string_view, 7> with_value = {
      "--address", "--output", "-o", "--deadline-ms", "--tls-ca", "--tls-cert", "--tls-key"};
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (std::find(with_value.begin(), with_value.end(), argument) != with_value.end()) {
      ++i;
    } else if (argument.empty() || argument[0] != '-' || argument == "-") {
      return i;
    }
  }
  return arguments.size();
}

Status usage_error(const std::string& what) { return {Code::invalid_argument, what}; }

Result<Arguments> parse_arguments(const std::vector<std::string>& arguments,
                                  const VerbOptions& verb) {
  po::options_description all = global_options();
  all.add(shown_options(verb));
  po::positional_options_description positions;
  for (const char* name : verb.positional) {
    const bool repeats = std::string_view(name) == "ids";
    if (repeats) {
      all.add_options()(name, po::value<std::vector<std::string>>());
    } else {
      all.add_options()(name, po::value<std::string>());
    }
    positions.add(name, repeats ? -1 : 1);
  }
  namespace style = po::command_line_style;
  po::variables_map values;
  try {
    po::store(po::command_line_parser(arguments)
                  .options(all)
                  .positional(positions)
                  .style(style::unix_style & ~style::allow_guessing)
                  .run(),
              values);
    po::notify(values);
  } catch (const po::error& error) {
    return usage_error(error.what());
  }
  for (const char* name : verb.positional) {
    if (values.count(name) != 0 || values["help"].as<bool>()) continue;
    return usage_error(std::string("an argument is missing: ") +
                       (std::string_view(name) == "ids" ? "id" : name));
  }
  return Arguments(std::move(values));
}

Status named(const char* option, const Status& status) {
  return {status.code(), "--" + std::string(option) + ": " + status.message()};
}

}  // namespace

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> all = {
      {"allocate", "SIZE", "take room for a payload and say where to write", run_allocate},
      {"commit", "ID", "publish what was written", run_commit},
      {"resolve", "ID", "say where a payload is", run_resolve},
      {"lease", "ID", "hold a payload in place and print the lease", run_lease},
      {"release", "LEASE", "end a lease", run_release},
      {"delete", "ID...", "delete payloads", run_delete},
      {"promote", "ID --to TIER", "copy a payload to a faster tier", run_promote},
      {"spill", "ID...", "move payloads to a slower tier", run_spill},
      {"stats", "", "show what the tiers hold", run_stats},
      {"list", "", "list payloads, newest first", run_list},
      {"put", "FILE", "store a file as a payload", run_put},
      {"get", "ID FILE", "store a payload as a file", run_get},
      {"sha256", "ID", "hash the bytes that a lease maps", run_sha256},
  };
  return all;
}

Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments) {
  const std::size_t position = verb_position(arguments);
  if (position == arguments.size()) {
    const VerbOptions none{"", {}, {}};
    auto parsed = parse_arguments(arguments, none);
    if (!parsed) return parsed.status();
    if (parsed->flag("help")) return CommandLine{nullptr, general_help(), std::nullopt};
    return usage_error("a verb is missing");
  }
  const std::string& name = arguments[position];
  const auto verb = std::find_if(verbs().begin(), verbs().end(),
                                 [&name](const Verb& other) { return other.name == name; });
  if (verb == verbs().end()) return usage_error("there is no verb '" + name + "'");
  std::vector<std::string> rest = arguments;
  rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(position));
  auto parsed = parse_arguments(rest, options_of(name));
  if (!parsed) return usage_error(name + ": " + parsed.status().message());
  if (parsed->flag("help")) return CommandLine{nullptr, verb_help(*verb), std::nullopt};
  return CommandLine{&*verb, {}, *std::move(parsed)};
}

std::string Arguments::text(const char* name) const {
  return has(name) ? values_[name].as<std::string>() : std::string();
}

std::vector<std::string> Arguments::texts(const char* name) const {
  return has(name) ? values_[name].as<std::vector<std::string>>() : std::vector<std::string>();
}

Result<std::uint64_t> Arguments::count(const char* name, std::uint64_t otherwise) const {
  if (!has(name)) return otherwise;
  const std::string given = text(name);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), value);
  if (error != std::errc() || end != given.data() + given.size()) {
    return named(name, usage_error("'" + given + "' is not a whole number from 0 to 2^64-1"));
  }
  return value;
}

Result<client::Tier> Arguments::tier(const char* name, client::Tier otherwise) const {
  if (!has(name)) return otherwise;
  auto parsed = client::parse_tier(text(name));
  if (!parsed) return named(name, parsed.status());
  return parsed;
}

Result<client::Layout> Arguments::layout() const {
  const std::string given = text("layout");
  if (given.empty() || given == "segment") return client::Layout::segment;
  if (given == "slab") return client::Layout::slab;
  return named("layout", usage_error("'" + given + "' is not a layout: give segment or slab"));
}

Result<client::PayloadId> Arguments::payload_id() const {
  return client::PayloadId::parse(text("id"));
}

Result<std::vector<client::PayloadId>> Arguments::payload_ids() const {
  std::vector<client::PayloadId> ids;
  for (const std::string& given : texts("ids")) {
    auto id = client::PayloadId::parse(given);
    if (!id) return id.status();
    ids.push_back(*id);
  }
  return ids;
}

Result<Format> Arguments::format() const {
  const std::string given = text("output");
  if (given == "table") return Format::table;
  if (given == "json") return Format::json;
  return named("output", usage_error("'" + given + "' is not a format: give table or json"));
}

Result<client::CreateOptions> Arguments::create_options() const {
  client::CreateOptions options;
  const auto chosen_tier = tier("tier", client::Tier::ram);
  if (!chosen_tier) return chosen_tier.status();
  const auto ttl_ms = count("ttl-ms", 0);
  if (!ttl_ms) return ttl_ms.status();
  const auto chosen_layout = layout();
  if (!chosen_layout) return chosen_layout.status();
  options.tier = *chosen_tier;
  options.ttl_ms = *ttl_ms;
  options.layout = *chosen_layout;
  options.no_evict = flag("no-evict");
  options.request_id = text("request-id");
  return options;
}

Result<client::LeaseOptions> Arguments::lease_options() const {
  client::LeaseOptions options;
  const auto min_tier = tier("min-tier", client::Tier::unspecified);
  if (!min_tier) return min_tier.status();
  const auto duration_ms = count("duration-ms", 0);
  if (!duration_ms) return duration_ms.status();
  options.min_tier = *min_tier;
  options.duration_ms = *duration_ms;
  if (flag("best-effort")) options.policy = client::PromotionPolicy::best_effort;
  return options;
}

}  // namespace pm::ctl
