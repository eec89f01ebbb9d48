#include "run.h"

#include <exception>
#include <ostream>

#include "command_line.h"
#include "text.h"

namespace pm::ctl {
namespace {

void print_error(std::ostream& err, const Status& status) {
  err << "payloadctl: ";
  // What went wrong on this side has no code of the server's.
  if (status.code() != Code::unknown) err << code_name(status.code()) << ": ";
  err << (status.message().empty() ? "no further words" : status.message());
  if (!status.reason().empty()) err << " (" << status.reason() << ")";
  err << '\n';
}

int refuse_usage(std::ostream& err, const Status& status, const std::string& verb) {
  err << "payloadctl: " << status.message() << "\nTry 'payloadctl " << verb
      << (verb.empty() ? "" : " ") << "--help'.\n";
  return exit_usage;
}

Result<client::ConnectOptions> connect_options(const Arguments& arguments) {
  client::ConnectOptions options;
  const auto deadline_ms = arguments.count("deadline-ms", options.deadline_ms);
  if (!deadline_ms) return deadline_ms.status();
  options.deadline_ms = *deadline_ms;
  options.tls_ca_file = arguments.text("tls-ca");
  options.tls_certificate_file = arguments.text("tls-cert");
  options.tls_key_file = arguments.text("tls-key");
  return options;
}

int run_parsed(const CommandLine& line, std::ostream& out, std::ostream& err) {
  const Arguments& arguments = *line.arguments;
  const auto format = arguments.format();
  if (!format) return refuse_usage(err, format.status(), line.verb->name);
  const auto options = connect_options(arguments);
  if (!options) return refuse_usage(err, options.status(), line.verb->name);
  auto client = client::Client::connect(arguments.text("address"), *options);
  if (!client) {
    print_error(err, client.status());
    return exit_of(client.status().code());
  }
  const Context context{*client, arguments, *format, out, err, *line.verb};
  const int status = line.verb->run(context);
  out.flush();
  if (!out && status == exit_ok) {
    err << "payloadctl: cannot write the result\n";
    return exit_failure;
  }
  return status;
}

}  // namespace

int Context::fail(const Status& status) const {
  print_error(err, status);
  return exit_of(status.code());
}

int Context::refuse(const Status& status) const { return refuse_usage(err, status, verb.name); }

int run(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) noexcept {
  try {
    auto line = parse_command_line(arguments);
    if (!line) return refuse_usage(err, line.status(), {});
    if (line->verb != nullptr) return run_parsed(*line, out, err);
    out << line->help << std::flush;
    return out ? exit_ok : exit_failure;
  } catch (const std::exception& error) {
    err << "payloadctl: " << error.what() << '\n';
    return exit_failure;
  }
}

}  // namespace pm::ctl
