#include "command_line.h"

#include <algorithm>
#include <array>
#include <boost/make_shared.hpp>
#include <boost/program_options.hpp>
#include <charconv>
#include <sstream>

#include "call_verbs.h"
#include "payload/manager/core/v1/types.pb.h"
#include "request_fields.h"
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
  std::vector<const char*> positional;  // The last one may repeat when it is "ids" or "files".
};

const std::vector<VerbOptions>& verb_options() {
  static const std::vector<VerbOptions> all = {
      {"completion", {}, {"shell"}},
      {"allocate", {"tier", "ttl-ms", "no-evict", "label", "layout", "request-id"}, {"size"}},
      {"commit", {"checksum", "request-id"}, {"id"}},
      {"resolve", {}, {"id"}},
      {"lease",
       {"min-tier", "duration-ms", "best-effort", "holder", "range-offset-bytes",
        "range-length-bytes"},
       {"id"}},
      {"release", {}, {"lease"}},
      {"delete", {"force"}, {"ids"}},
      {"promote", {"to", "drop-source", "best-effort", "layout", "request-id"}, {"id"}},
      {"spill", {"to", "wait-for-leases", "best-effort", "request-id"}, {"ids"}},
      {"stats", {}, {}},
      {"list", {"tier", "filter", "order-by", "limit", "page-size", "all"}, {}},
      {"put", {"tier", "ttl-ms", "no-evict", "label", "layout", "request-id"}, {"file"}},
      {"get", {"min-tier", "duration-ms", "best-effort", "no-verify"}, {"id", "file"}},
      {"sha256", {"min-tier", "duration-ms", "best-effort", "no-verify"}, {"id"}},
      {"scrub", {"tier", "bytes-per-second", "wait"}, {"ids"}},
      {"policy check", {"together"}, {"files"}},
      {"policy test", {}, {"directory"}},
      {"policy simulate",
       {"capacity", "policy", "generate", "seed", "objects", "accesses"},
       {"trace"}},
      {"policy show", {}, {}},
      {"policy reload", {}, {}},
      {"policy replay", {"policy"}, {"journal"}},
  };
  return all;
}

po::options_description option_pool() {
  po::options_description pool;
  const auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
  pool.add_options()("tier", text("TIER"),
                     "gpu, ram, disk, object, void, or tier-N (allocate, put: ram)")(
      "ttl-ms", text("N"), "delete it after this time, 0 for never (default: 0)")(
      "no-evict", po::bool_switch(), "never move it unasked; it has no time to live")(
      "layout", text("LAYOUT"), "in memory: segment, slab or sealed (default: segment)")(
      "label", po::value<std::vector<std::string>>()->value_name("KEY=VALUE")->composing(),
      "may be given again")("request-id", text("TEXT"),
                            "makes a repeat with the same text act once")(
      "min-tier", text("TIER"), "at least as fast as this; promotes when it is not")(
      "duration-ms", text("N"), "of the lease (lease: the server's default; get, sha256: 120000)")(
      "best-effort", po::bool_switch(),
      "lease, get, sha256, promote: do not wait for a promotion; spill: only start it")(
      "bytes-per-second", text("N"), "of a pass, at most (default: as configured)")(
      "wait", po::bool_switch(), "until the pass has ended")(
      "capacity", text("SIZE"), "of the fast tier (default with --generate: a tenth of all)")(
      "policy", po::value<std::vector<std::string>>()->value_name("NAME|FILE")->composing(),
      "one that ships, or a file; may be given again (simulate: default the built-in rules)")(
      "generate", text("KIND"), "zipf, scan, loop or sized: a trace made up from --seed")(
      "seed", text("N"), "(default: 1)")("objects", text("N"), "(default: 100000)")(
      "accesses", text("N"), "(default: 1000000)")(
      "together", po::bool_switch(), "load all files as one, in this order, as a host does")(
      "no-verify", po::bool_switch(), "do not hold the bytes against the payload's checksum")(
      "force", po::bool_switch(), "also when leased")("to", text("TIER"), "where it goes")(
      "drop-source", po::bool_switch(), "give up the copy below, also a durable one")(
      "wait-for-leases", po::bool_switch(), "wait until its leases end")(
      "checksum", text("ALGORITHM[:HEX]"),
      "xxh3-128, sha256 or crc32c: computed, or held against the value given")(
      "holder", text("TEXT"), "who reads, for lease list")(
      "range-offset-bytes", text("N"), "where the part that will be read begins")(
      "range-length-bytes", text("N"), "and how long it is (default: up to the end)")(
      "filter", text("TEXT"), "'tier = \"ram\" AND labels.env = \"test\" AND age > 1h'")(
      "order-by", text("TEXT"), "age, 'age desc', size_bytes or 'size_bytes desc'")(
      "limit", text("N"), "at most so many (default: 50)")(
      "page-size", text("N"), "ask for so many at a time, up to 500")("all", po::bool_switch(),
                                                                      "without a limit");
  return pool;
}

// What a verb takes: options, and what stands without a name.
struct Syntax {
  po::options_description options{help_columns};
  std::vector<std::string> positional;
  bool last_repeats = false;
  bool last_is_optional = false;
};

Syntax syntax_of(const Verb& verb) {
  Syntax syntax;
  const std::string title = "Options of " + verb.name;
  po::options_description options(title, help_columns);
  if (verb.call != nullptr) {
    add_call_options(*verb.call, options);
    syntax.positional = call_positionals(*verb.call);
    syntax.last_repeats = verb.call->last_repeats;
    syntax.last_is_optional = verb.call->last_is_optional;
  } else {
    const auto found =
        std::find_if(verb_options().begin(), verb_options().end(),
                     [&verb](const VerbOptions& other) { return verb.name == other.verb; });
    const po::options_description pool = option_pool();
    for (const char* name : found->options) {
      options.add(boost::make_shared<po::option_description>(pool.find(name, false)));
    }
    syntax.positional.assign(found->positional.begin(), found->positional.end());
    syntax.last_is_optional = verb.name == "scrub" || verb.name == "policy simulate";
    syntax.last_repeats = !syntax.positional.empty() && (syntax.positional.back() == "ids" ||
                                                         syntax.positional.back() == "files");
  }
  syntax.options.add(options);
  return syntax;
}

std::string general_help() {
  std::ostringstream text;
  text << "Usage: payloadctl [OPTION]... VERB [ARGUMENT]...\n\nVerbs:\n";
  for (const Verb& verb : verbs()) {
    const std::string usage = verb.name + " " + verb.arguments;
    text << "  " << usage << std::string(usage.size() < 36 ? 36 - usage.size() : 1, ' ')
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
  const Syntax syntax = syntax_of(verb);
  if (!syntax.options.options().empty()) text << syntax.options << '\n';
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

Result<Arguments> parse_arguments(const std::vector<std::string>& arguments, const Syntax& syntax) {
  po::options_description all = global_options();
  all.add(syntax.options);
  po::positional_options_description positions;
  for (const std::string& name : syntax.positional) {
    if (syntax.last_repeats && name == syntax.positional.back()) {
      all.add_options()(name.c_str(), po::value<std::vector<std::string>>());
      positions.add(name.c_str(), -1);
    } else {
      all.add_options()(name.c_str(), po::value<std::string>());
      positions.add(name.c_str(), 1);
    }
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
  for (const std::string& name : syntax.positional) {
    if (values.count(name) != 0 || values["help"].as<bool>()) continue;
    if (syntax.last_is_optional && name == syntax.positional.back()) continue;
    const bool is_plural = name == "ids" || name == "files";
    return usage_error("an argument is missing: " + name.substr(0, name.size() - is_plural));
  }
  return Arguments(std::move(values));
}

Status named(const char* option, const Status& status) {
  return {status.code(), "--" + std::string(option) + ": " + status.message()};
}

}  // namespace

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> all = [] {
    std::vector<Verb> list = {
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
        {"scrub", "[ID...|--tier TIER] [--wait]", "look for bit rot: at payloads, a tier or all",
         run_scrub},
        {"policy check", "FILE...", "load policies, run their examples, and print their rules",
         run_policy_check},
        {"policy test", "DIR", "run the examples of NAME_test.lua over NAME.lua", run_policy_test},
        {"policy simulate", "TRACE|--generate KIND",
         "play a trace, and compare a policy's hit rate", run_policy_simulate},
        {"policy show", "", "show the rules that a host has in use, and what they did",
         run_policy_show},
        {"policy reload", "", "let a host load its policies anew", run_policy_reload},
        {"policy replay", "JOURNAL --policy FILE|NAME",
         "take the decisions of a host's journal anew with another policy", run_policy_replay},
        {"completion", "SHELL", "print what makes bash or zsh complete these words",
         run_completion},
    };
    for (const CallVerb& call : call_verbs()) {
      list.push_back({call.name, call.arguments, call.summary, run_call, &call});
    }
    return list;
  }();
  return all;
}

std::vector<std::string> option_names(const Verb& verb) {
  std::vector<std::string> names;
  const Syntax syntax = syntax_of(verb);
  for (const auto& option : syntax.options.options()) names.push_back(option->long_name());
  const po::options_description global = global_options();
  for (const auto& option : global.options()) names.push_back(option->long_name());
  return names;
}

Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments) {
  const std::size_t position = verb_position(arguments);
  if (position == arguments.size()) {
    auto parsed = parse_arguments(arguments, Syntax());
    if (!parsed) return parsed.status();
    if (parsed->flag("help")) return CommandLine{nullptr, general_help(), std::nullopt};
    return usage_error("a verb is missing");
  }
  std::vector<std::string> rest = arguments;
  const auto first = rest.begin() + static_cast<std::ptrdiff_t>(position);
  std::string name = *first;
  const auto find = [](const std::string& wanted) {
    return std::find_if(verbs().begin(), verbs().end(),
                        [&](const Verb& other) { return other.name == wanted; });
  };
  // "stream append": the two words stand together.
  auto verb = position + 1 < rest.size() ? find(name + ' ' + rest[position + 1]) : verbs().end();
  rest.erase(first, first + (verb == verbs().end() ? 1 : 2));
  if (verb == verbs().end()) verb = find(name);
  if (verb == verbs().end()) {
    std::string second;
    for (const Verb& other : verbs()) {
      if (other.name.rfind(name + ' ', 0) != 0) continue;
      second += (second.empty() ? "" : ", ") + other.name.substr(name.size() + 1);
    }
    if (second.empty()) return usage_error("there is no verb '" + name + "'");
    return usage_error(name + ": a second word must follow: " + second);
  }
  name = verb->name;
  auto parsed = parse_arguments(rest, syntax_of(*verb));
  if (!parsed) return usage_error(name + ": " + parsed.status().message());
  if (parsed->flag("help")) return CommandLine{nullptr, verb_help(*verb), std::nullopt};
  return CommandLine{&*verb, {}, *std::move(parsed)};
}

std::string Arguments::text(const std::string& name) const {
  return has(name) ? values_[name].as<std::string>() : std::string();
}

std::vector<std::string> Arguments::texts(const std::string& name) const {
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
  if (given == "sealed") return client::Layout::sealed;
  return named("layout",
               usage_error("'" + given + "' is not a layout: give segment, slab or sealed"));
}

Result<client::Checksum> Arguments::checksum() const {
  client::Checksum checksum;
  payload::manager::core::v1::Checksum message;
  const RequestField field{"checksum", {}, {}, false, false};
  if (!has("checksum")) return checksum;
  PM_TRY(set_value(message, field, text("checksum")));
  checksum.algorithm = static_cast<client::ChecksumAlgorithm>(message.algorithm());
  checksum.value = message.value();
  return checksum;
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
  for (const std::string& label : texts("label")) {
    const std::size_t equals = label.find('=');
    if (equals == std::string::npos) {
      return named("label", usage_error("'" + label + "' is not KEY=VALUE"));
    }
    options.labels.emplace_back(label.substr(0, equals), label.substr(equals + 1));
  }
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
  const auto range_offset = count("range-offset-bytes", 0);
  if (!range_offset) return range_offset.status();
  const auto range_length = count("range-length-bytes", 0);
  if (!range_length) return range_length.status();
  options.range_offset_bytes = *range_offset;
  options.range_length_bytes = *range_length;
  options.holder = text("holder");
  options.min_tier = *min_tier;
  options.duration_ms = *duration_ms;
  if (flag("best-effort")) options.policy = client::PromotionPolicy::best_effort;
  return options;
}

}  // namespace pm::ctl
