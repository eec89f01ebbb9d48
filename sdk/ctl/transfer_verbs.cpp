// The verbs that move bytes through this process: put, get, sha256.

#include <ostream>

#include "text.h"
#include "transfer.h"
#include "verbs.h"

namespace pm::ctl {
namespace {

// Longer than the server's default of 20 s: a large payload goes through a slow pipe.
constexpr std::uint64_t lease_duration_ms = 120'000;

int fail(const Context& context, const Status& status) {
  const int exit_status = context.fail(status);
  return Interruption::signal() != 0 ? 128 + Interruption::signal() : exit_status;
}

Result<client::LeaseOptions> lease_options(const Context& context) {
  auto options = context.arguments.lease_options();
  if (!options) return options;
  if (!context.arguments.has("duration-ms")) options->duration_ms = lease_duration_ms;
  options->verify = !context.arguments.flag("no-verify");
  return options;
}

}  // namespace

int run_put(const Context& context) {
  const auto options = context.arguments.create_options();
  if (!options) return context.refuse(options.status());
  const std::string path = context.arguments.text("file");
  const Interruption interruption;
  const auto stored = [&] {
    ProgressLine progress("put " + path);
    return put_file(context.client, path, *options,
                    [&progress](std::uint64_t done_bytes, std::uint64_t total_bytes) {
                      progress.show(done_bytes, total_bytes);
                    });
  }();
  if (!stored) return fail(context, stored.status());
  print_descriptor(*stored, context.format, context.out);
  return exit_ok;
}

int run_get(const Context& context) {
  const auto id = context.arguments.payload_id();
  if (!id) return context.refuse(id.status());
  const auto options = lease_options(context);
  if (!options) return context.refuse(options.status());
  const std::string path = context.arguments.text("file");
  const Interruption interruption;
  const auto read = [&] {
    ProgressLine progress("get " + path);
    return get_file(context.client, *id, path, *options,
                    [&progress](std::uint64_t done_bytes, std::uint64_t total_bytes) {
                      progress.show(done_bytes, total_bytes);
                    });
  }();
  if (!read) return fail(context, read.status());
  // With '-' standard output is the payload's alone.
  if (path != "-") print_descriptor(*read, context.format, context.out);
  return exit_ok;
}

int run_sha256(const Context& context) {
  const auto id = context.arguments.payload_id();
  if (!id) return context.refuse(id.status());
  const auto options = lease_options(context);
  if (!options) return context.refuse(options.status());
  const Interruption interruption;
  const auto hashed = hash_payload(context.client, *id, *options);
  if (!hashed) return fail(context, hashed.status());
  const client::Descriptor& descriptor = hashed->descriptor;
  if (context.format == Format::json) {
    boost::json::object object;
    object["sha256"] = hashed->sha256;
    object["payload"] = descriptor_json(descriptor);
    print_json(object, context.out);
  } else {
    Table table(context.out, {"SHA256", "ID", "TIER", "SIZE_BYTES"});
    table.add({hashed->sha256, descriptor.id.to_string(), tier_name(descriptor.tier),
               std::to_string(descriptor.size_bytes)});
    table.flush();
  }
  return exit_ok;
}

}  // namespace pm::ctl
