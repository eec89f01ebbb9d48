#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

#include "core/ledger/document_schema.h"
#include "documents.h"
#include "ids.h"
#include "payload/manager/catalog/v1/metadata.pb.h"
#include "times.h"

// What has been said of a payload over time: append and list.

namespace pm::api {

namespace wire = payload::manager::catalog::v1;
using catalog::Catalog;
using catalog::Clocks;

namespace {

constexpr std::size_t event_bytes_max = 64 << 10;
constexpr std::int32_t page_size_default = 50;
constexpr std::int32_t page_size_max = 500;
// A page ends after so much data, so that it fits into a client's message (4 MiB by default).
constexpr std::size_t page_bytes_max = 2 << 20;

void respond_appended(CommandCall& call, const catalog::Reply& reply) {
  wire::AppendPayloadMetadataEventResponse response;
  const catalog::Id& id = call.subject();
  response.mutable_id()->set_value(id.bytes.data(), id.bytes.size());
  set_time(reply.at_ns, *response.mutable_event_time());
  response.set_number(reply.first_number);
  call.finish(response);
}

// The payload, and the number of the last event of the page before: "1.ID.NUMBER".
std::string write_token(const catalog::Id& id, std::uint64_t number) {
  return "1." + to_text(id) + "." + std::to_string(number);
}

bool read_token(const std::string& token, const catalog::Id& id, std::uint64_t& number) {
  const std::string prefix = "1." + to_text(id) + ".";
  if (token.rfind(prefix, 0) != 0) return false;
  const char* end = token.data() + token.size();
  const auto parsed = std::from_chars(token.data() + prefix.size(), end, number);
  return parsed.ec == std::errc() && parsed.ptr == end;
}

struct Page {
  catalog::Id id;
  std::uint64_t after = 0;  // Begins behind this number.
  std::uint32_t size = 0;
  std::uint64_t total = 0;
};

void fill_event(const catalog::Id& id, ledger::MetadataEventRow row,
                wire::PayloadMetadataEvent& message) {
  message.set_number(row.number);
  message.mutable_metadata()->mutable_id()->set_value(id.bytes.data(), id.bytes.size());
  message.mutable_metadata()->set_data(std::move(row.event.data));
  message.mutable_metadata()->set_schema(std::move(row.event.schema));
  message.set_source(std::move(row.event.source));
  message.set_version(std::move(row.event.version));
  set_time(row.at_ns, *message.mutable_event_time());
}

void reply_page(const Invocation& invocation, const RepositoryReader& reader, const Page& page) {
  RepositoryReader::Scan scan;
  scan.kind = ledger::kind_metadata_event;
  scan.conditions = {
      condition(PM_EQUAL, bytes_value(ledger::metadata_event_field::payload_id,
                                      page.id.bytes.data(), page.id.bytes.size())),
      condition(PM_GREATER, u64_value(ledger::metadata_event_field::number, page.after))};
  scan.limit = page.size;
  wire::ListPayloadMetadataEventsResponse response;
  std::uint64_t last = page.after;
  std::size_t bytes = 0;
  const Status status = reader.scan(scan, [&](const pm_value_t* values, std::uint32_t count) {
    ledger::MetadataEventRow row = ledger::read_metadata_event(values, count);
    last = row.number;
    bytes += row.event.data.size();
    fill_event(page.id, std::move(row), *response.add_events());
    return bytes < page_bytes_max;
  });
  const ErrorFacts facts{{"payload", to_text(page.id)}};
  if (!status.ok()) return reply_error(invocation, read_failed(status), facts);
  if (response.events().empty() && page.after < page.total) {
    // It has been deleted since.
    return reply_error(invocation, catalog::Reason::payload_not_found, facts);
  }
  if (last < page.total) response.set_next_page_token(write_token(page.id, last));
  reply_message(invocation, response);
}

}  // namespace

void append_payload_metadata_event(const Services& services, const Invocation& invocation) {
  wire::AppendPayloadMetadataEventRequest request;
  catalog::AppendMetadataEvent command;
  if (!parse(invocation, request) || !accepts_changes(services, invocation)) return;
  if (!read_payload_id(invocation, request.id().value(), command.id)) return;
  if (!fits(invocation, "metadata.data", request.metadata().data(), event_bytes_max) ||
      !fits(invocation, "metadata.schema", request.metadata().schema()) ||
      !fits(invocation, "source", request.source()) ||
      !fits(invocation, "version", request.version())) {
    return;
  }
  auto event = std::make_shared<catalog::MetadataEvent>();
  event->data = std::move(*request.mutable_metadata()->mutable_data());
  event->schema = std::move(*request.mutable_metadata()->mutable_schema());
  event->source = std::move(*request.mutable_source());
  event->version = std::move(*request.mutable_version());
  command.event = std::move(event);
  command.request = request_key(invocation, request.request_id());
  submit(services, invocation, command, &respond_appended, command.id);
}

void list_payload_metadata_events(const Services& services, const Invocation& invocation) {
  wire::ListPayloadMetadataEventsRequest request;
  Page page;
  if (!parse(invocation, request)) return;
  if (!read_payload_id(invocation, request.id().value(), page.id)) return;
  if (request.page_size() < 0) return reply_error(invocation, RequestFault::page_size_invalid);
  if (!request.page_token().empty() && !read_token(request.page_token(), page.id, page.after)) {
    return reply_error(invocation, RequestFault::page_token_invalid);
  }
  const std::int32_t asked = request.page_size() == 0 ? page_size_default : request.page_size();
  page.size = static_cast<std::uint32_t>(std::min(asked, page_size_max));
  const catalog::Described described = services.ledger.read(
      [&](const Catalog& catalog, const Clocks& now) { return catalog.describe(page.id, now); });
  const ErrorFacts facts{{"payload", to_text(page.id)}};
  page.total = described.metadata_events;
  services.reader.after(
      described.lsn, [invocation = kept(invocation), page, facts, reason = described.reason,
                      &reader = services.reader](bool can_read) {
        if (!can_read) return reply_error(invocation, catalog::Reason::shutting_down, facts);
        if (reason != catalog::Reason::none) return reply_error(invocation, reason, facts);
        if (page.after >= page.total) {
          return reply_message(invocation, wire::ListPayloadMetadataEventsResponse());
        }
        reply_page(invocation, reader, page);
      });
}

}  // namespace pm::api
