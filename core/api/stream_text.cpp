#include "stream_text.h"

#include <algorithm>

#include "ids.h"
#include "texts.h"
#include "times.h"

namespace pm::api {

namespace wire = payload::manager::runtime::v1;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::size_t tags_bytes_max = 64 << 10;

}  // namespace

bool read_stream_name(const Invocation& invocation, const wire::StreamID& id,
                      catalog::StreamName& name) {
  if (id.name().empty() || !is_plain_text(id.name()) || !is_plain_text(id.namespace_())) {
    reply_error(invocation, RequestFault::stream_name_invalid);
    return false;
  }
  name = {id.namespace_(), id.name()};
  return true;
}

std::string to_text(const catalog::StreamName& name) {
  return name.space.empty() ? name.name : name.space + "/" + name.name;
}

ErrorFacts facts_of(const catalog::StreamName& name) { return {{"stream", to_text(name)}}; }

bool read_time(const google::protobuf::Timestamp& time, std::int64_t& ns) {
  constexpr std::int64_t seconds_max = INT64_MAX / second_ns - 1;
  if (time.seconds() < 0 || time.seconds() > seconds_max) return false;
  if (time.nanos() < 0 || time.nanos() >= second_ns) return false;
  ns = time.seconds() * second_ns + time.nanos();
  return true;
}

bool read_item(const Invocation& invocation, const wire::AppendItem& item,
               catalog::StreamItem& out) {
  if (!read_id(item.payload_id().value(), out.payload)) {
    reply_error(invocation, RequestFault::payload_id_malformed,
                "one has " + std::to_string(item.payload_id().value().size()));
    return false;
  }
  if (item.has_event_time() && !read_time(item.event_time(), out.event_time_ns)) {
    reply_error(invocation, RequestFault::time_invalid, "event_time");
    return false;
  }
  out.duration_ns = item.duration_ns();
  if (item.tags().empty()) return true;
  wire::StreamEntry tags;
  *tags.mutable_tags() = item.tags();
  out.tags = tags.SerializeAsString();
  if (out.tags.size() <= tags_bytes_max) return true;
  reply_error(invocation, RequestFault::text_too_long,
              "the tags of an entry have at most 65536 bytes, encoded");
  return false;
}

void write_entry(const catalog::StreamName& name, const ledger::StreamEntryRow& row,
                 wire::StreamEntry& entry) {
  // First, as it clears the entry.
  entry.ParseFromArray(row.tags.data(), static_cast<int>(row.tags.size()));
  entry.mutable_stream()->set_name(name.name);
  entry.mutable_stream()->set_namespace_(name.space);
  entry.set_offset(row.offset);
  entry.mutable_payload_id()->set_value(row.payload.bytes.data(), row.payload.bytes.size());
  if (row.event_time_ns != catalog::no_time_ns) {
    set_time(row.event_time_ns, *entry.mutable_event_time());
  }
  set_time(row.append_time_ns, *entry.mutable_append_time());
  entry.set_duration_ns(row.duration_ns);
}

std::string subscribe_response(const catalog::StreamName& name, const ledger::StreamEntryRow& row) {
  wire::SubscribeResponse response;
  write_entry(name, row, *response.mutable_entry());
  return response.SerializeAsString();
}

}  // namespace pm::api
