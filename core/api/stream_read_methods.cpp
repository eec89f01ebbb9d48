#include <algorithm>
#include <utility>

#include "methods.h"
#include "payload/manager/runtime/v1/stream.pb.h"
#include "stream_hub.h"
#include "stream_pages.h"
#include "stream_text.h"
#include "subscription.h"

// Streams: their entries.

namespace pm::api {

namespace wire = payload::manager::runtime::v1;
using catalog::Catalog;
using catalog::Clocks;

namespace {

constexpr std::uint64_t entries_max = 10'000;
// So that a reply fits into the 4 MiB that gRPC's clients take by default.
constexpr std::uint64_t reply_bytes_max = 3 << 20;

void fill_ends(const catalog::StreamHead& head, wire::ReadResponse& response) {
  response.set_first_offset(head.first_offset);
  response.set_next_offset(head.next_offset);
}
void fill_ends(const catalog::StreamHead&, wire::GetRangeResponse&) {}

// The oldest entry that is not too old: the catalog knows it only about.
Status find_first(const RepositoryReader& reader, catalog::StreamHead& head) {
  if (head.keep_from_ns == INT64_MIN || head.first_offset == head.next_offset) return {};
  const StreamPage page{head.number, head.first_offset, head.next_offset, head.keep_from_ns, 1};
  head.first_offset = head.next_offset;
  return read_page(reader, page, [&](const ledger::StreamEntryRow& row) {
    head.first_offset = row.offset;
    return false;
  });
}

// Answers with the entries of `page`, whose stream and end are still to be found out. [worker]
template <typename Response>
void reply_page(const RepositoryReader& reader, const Invocation& invocation,
                const catalog::StreamName& name, catalog::StreamHead head, StreamPage page) {
  Response response;
  std::uint64_t bytes = 0;
  Status status = find_first(reader, head);
  fill_ends(head, response);
  page.stream = head.number;
  page.begin = std::max(page.begin, head.first_offset);
  page.end = std::min(page.end, head.next_offset);
  page.from_ns = std::max(page.from_ns, head.keep_from_ns);
  if (status.ok()) {
    status = read_page(reader, page, [&](const ledger::StreamEntryRow& row) {
      wire::StreamEntry& entry = *response.add_entries();
      write_entry(name, row, entry);
      bytes += entry.ByteSizeLong();
      return bytes < reply_bytes_max;
    });
  }
  if (!status.ok()) return reply_error(invocation, status, facts_of(name));
  reply_message(invocation, response);
}

template <typename Response>
void read_entries(const Services& services, const Invocation& invocation,
                  const catalog::StreamName& name, const StreamPage& page) {
  catalog::StreamHead head;
  const bool found = services.ledger.read([&](const Catalog& catalog, const Clocks& now) {
    return catalog.streams().find(name, now, head);
  });
  if (!found) return reply_error(invocation, catalog::Reason::stream_not_found, facts_of(name));
  services.reader.after(head.lsn, [&reader = services.reader, invocation = kept(invocation), name,
                                   head, page](bool can_read) {
    if (!can_read) return reply_error(invocation, catalog::Reason::shutting_down, facts_of(name));
    reply_page<Response>(reader, invocation, name, head, page);
  });
}

}  // namespace

void read_stream(const Services& services, const Invocation& invocation) {
  wire::ReadRequest request;
  catalog::StreamName name;
  if (!parse(invocation, request)) return;
  if (!read_stream_name(invocation, request.stream(), name)) return;
  StreamPage page;
  if (request.has_not_before() && !read_time(request.not_before(), page.from_ns)) {
    return reply_error(invocation, RequestFault::time_invalid, "not_before");
  }
  const std::uint64_t asked = request.max_entries() == 0 ? entries_max : request.max_entries();
  page.begin = request.start_offset();
  page.end = UINT64_MAX;
  page.entries_max = std::min(asked, entries_max);
  read_entries<wire::ReadResponse>(services, invocation, name, page);
}

void get_range(const Services& services, const Invocation& invocation) {
  wire::GetRangeRequest request;
  catalog::StreamName name;
  if (!parse(invocation, request)) return;
  if (!read_stream_name(invocation, request.stream(), name)) return;
  if (request.end_offset() < request.start_offset()) {
    return reply_error(invocation, RequestFault::range_reversed);
  }
  StreamPage page;
  page.begin = request.start_offset();
  page.end = request.end_offset() == UINT64_MAX ? UINT64_MAX : request.end_offset() + 1;
  page.entries_max = entries_max;
  read_entries<wire::GetRangeResponse>(services, invocation, name, page);
}

void subscribe(const Services& services, const Invocation& invocation) {
  wire::SubscribeRequest request;
  catalog::StreamName name;
  if (!parse(invocation, request)) return;
  if (!read_stream_name(invocation, request.stream(), name)) return;
  auto* call = new Subscription(services, invocation, name, request.max_inflight());
  catalog::StreamHead head;
  const bool found = services.ledger.read([&](const Catalog& catalog, const Clocks& now) {
    if (!catalog.streams().find(name, now, head)) return false;
    services.streams.join(name, head.number, call);
    return true;
  });
  if (!found) return call->refuse(catalog::Reason::stream_not_found);
  // Without a start, or with from_beginning, all that is kept.
  std::uint64_t next = 0;
  if (request.has_offset()) next = request.offset();
  if (request.from_latest()) next = head.next_offset;
  call->set(head, next);
  call->retain();
  services.ledger.when_durable(head.lsn, [call, head, &hub = services.streams](bool durable) {
    if (durable) hub.note_end(head.number, head.next_offset);
    if (!durable) call->end_for_stop();
    call->begin();
    call->drop();
  });
}

}  // namespace pm::api
