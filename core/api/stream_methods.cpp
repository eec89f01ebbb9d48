#include <algorithm>
#include <utility>

#include "google/protobuf/empty.pb.h"
#include "ids.h"
#include "methods.h"
#include "payload/manager/runtime/v1/stream.pb.h"
#include "stream_text.h"
#include "texts.h"
#include "times.h"

// Streams: what changes them, and what is told of them without their entries.

namespace pm::api {

namespace wire = payload::manager::runtime::v1;
using catalog::Catalog;
using catalog::Clocks;

namespace {

constexpr int items_max = 1000;

// A call of one command on one stream.
class StreamCommandCall final : public Call, private ledger::ReplyHandler {
 public:
  using Respond = void (*)(StreamCommandCall& call, const catalog::Reply& reply);

  StreamCommandCall(const Services& services, const Invocation& invocation, Respond respond,
                    const catalog::StreamName& name)
      : Call(services, invocation), respond_(respond), name_(name) {}

  catalog::Ticket ticket() { return ledger::ticket_of(this); }
  // It waits for the journal alone, and that cannot be called off.
  void cancel() override {}
  using Call::finish;

 private:
  void on_reply(const catalog::Reply& reply) override {
    if (reply.reason == catalog::Reason::none) return respond_(*this, reply);
    ErrorFacts facts = facts_of(name_);
    if (reply.view.id != catalog::Id{}) facts.emplace_back("payload", to_text(reply.view.id));
    if (reply.reason == catalog::Reason::offset_goes_back) {
      facts.emplace_back("committed", std::to_string(reply.first_number));
    }
    finish(status_of(reply), facts);
  }

  const Respond respond_;
  const catalog::StreamName name_;
};

void respond_empty(StreamCommandCall& call, const catalog::Reply&) {
  call.finish(google::protobuf::Empty());
}

void respond_appended(StreamCommandCall& call, const catalog::Reply& reply) {
  wire::AppendResponse response;
  response.set_first_offset(reply.first_number);
  response.set_last_offset(reply.last_number);
  call.finish(response);
}

template <typename Command>
void submit(const Services& services, const Invocation& invocation,
            StreamCommandCall::Respond respond, Command& command) {
  auto* call = new StreamCommandCall(services, invocation, respond, command.name);
  command.ticket = call->ticket();
  services.ledger.submit(command);
}

bool read_group(const Invocation& invocation, const std::string& group) {
  if (!group.empty() && is_plain_text(group)) return true;
  reply_error(invocation, RequestFault::consumer_group_invalid);
  return false;
}

}  // namespace

void create_stream(const Services& services, const Invocation& invocation) {
  wire::CreateStreamRequest request;
  catalog::CreateStream command;
  if (!parse(invocation, request) || !accepts_changes(services, invocation)) return;
  if (!read_stream_name(invocation, request.stream(), command.name)) return;
  command.request = request_key(invocation, request.request_id());
  command.entries_max = request.retention_max_entries();
  command.age_max_s = request.retention_max_age_sec();
  submit(services, invocation, &respond_empty, command);
}

void delete_stream(const Services& services, const Invocation& invocation) {
  wire::DeleteStreamRequest request;
  catalog::DeleteStream command;
  if (!parse(invocation, request) || !accepts_changes(services, invocation)) return;
  if (!read_stream_name(invocation, request.stream(), command.name)) return;
  command.request = request_key(invocation, request.request_id());
  submit(services, invocation, &respond_empty, command);
}

void append_to_stream(const Services& services, const Invocation& invocation) {
  wire::AppendRequest request;
  catalog::AppendToStream command;
  if (!parse(invocation, request) || !accepts_changes(services, invocation)) return;
  if (!read_stream_name(invocation, request.stream(), command.name)) return;
  if (request.items().empty()) return reply_error(invocation, RequestFault::no_items);
  if (request.items_size() > items_max) {
    return reply_error(invocation, RequestFault::too_many_items,
                       "at most " + std::to_string(items_max));
  }
  auto items = std::make_shared<catalog::StreamItems>();
  items->reserve(static_cast<std::size_t>(request.items_size()));
  for (const wire::AppendItem& item : request.items()) {
    if (!read_item(invocation, item, items->emplace_back())) return;
  }
  command.items = std::move(items);
  command.request = request_key(invocation, request.request_id());
  submit(services, invocation, &respond_appended, command);
}

void commit_offset(const Services& services, const Invocation& invocation) {
  wire::CommitRequest request;
  catalog::CommitOffset command;
  if (!parse(invocation, request) || !accepts_changes(services, invocation)) return;
  if (!read_stream_name(invocation, request.stream(), command.name)) return;
  if (!read_group(invocation, request.consumer_group())) return;
  command.request = request_key(invocation, request.request_id());
  command.group = request.consumer_group();
  command.offset = request.offset();
  command.allow_rewind = request.allow_rewind();
  submit(services, invocation, &respond_empty, command);
}

void get_committed(const Services& services, const Invocation& invocation) {
  wire::GetCommittedRequest request;
  catalog::StreamName name;
  if (!parse(invocation, request)) return;
  if (!read_stream_name(invocation, request.stream(), name)) return;
  if (!read_group(invocation, request.consumer_group())) return;
  const auto committed = services.ledger.read([&](const Catalog& catalog, const Clocks&) {
    return catalog.streams().committed(name, request.consumer_group());
  });
  if (!committed.stream_found) {
    return reply_error(invocation, catalog::Reason::stream_not_found, facts_of(name));
  }
  services.ledger.when_durable(committed.lsn,
                               [invocation = kept(invocation), committed](bool durable) {
                                 if (!durable)
                                   return reply_error(invocation, catalog::Reason::shutting_down);
                                 wire::GetCommittedResponse response;
                                 response.set_offset(committed.offset);
                                 response.set_has_committed(committed.any);
                                 reply_message(invocation, response);
                               });
}

// ---- list ----

namespace {

constexpr std::int32_t page_size_default = 50;
constexpr std::int32_t page_size_max = 500;

std::string to_hex(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string hex;
  for (const char byte : bytes) {
    hex += digits[static_cast<unsigned char>(byte) >> 4];
    hex += digits[static_cast<unsigned char>(byte) & 15];
  }
  return hex;
}

bool read_hex(std::string_view hex, std::string& bytes) {
  if (hex.size() % 2 != 0) return false;
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  for (std::size_t at = 0; at < hex.size(); at += 2) {
    const int high = digit(hex[at]);
    const int low = digit(hex[at + 1]);
    if (high < 0 || low < 0) return false;
    bytes += static_cast<char>(high * 16 + low);
  }
  return true;
}

// The last stream of a page, and the filter that it belongs to: "1.FILTER.NAMESPACE.NAME".
std::string write_page_token(const std::string& filter, const catalog::StreamName& last) {
  return "1." + to_hex(filter) + "." + to_hex(last.space) + "." + to_hex(last.name);
}

bool read_page_token(const std::string& token, const std::string& filter,
                     catalog::StreamName& last) {
  const std::string prefix = "1." + to_hex(filter) + ".";
  if (token.rfind(prefix, 0) != 0) return false;
  const std::string_view rest = std::string_view(token).substr(prefix.size());
  const std::size_t dot = rest.find('.');
  if (dot == std::string_view::npos) return false;
  return read_hex(rest.substr(0, dot), last.space) && read_hex(rest.substr(dot + 1), last.name) &&
         !last.name.empty();
}

void fill_summary(const catalog::StreamTable::Listed& stream, wire::StreamSummary& summary) {
  summary.mutable_stream()->set_name(stream.name.name);
  summary.mutable_stream()->set_namespace_(stream.name.space);
  summary.set_first_offset(stream.head.first_offset);
  summary.set_next_offset(stream.head.next_offset);
  summary.set_retention_max_entries(stream.head.entries_max);
  summary.set_retention_max_age_sec(stream.head.age_max_s);
  set_time(stream.head.created_at_ns, *summary.mutable_created_at());
  summary.set_consumer_groups(stream.head.groups);
}

}  // namespace

void list_streams(const Services& services, const Invocation& invocation) {
  wire::ListStreamsRequest request;
  if (!parse(invocation, request)) return;
  if (request.page_size() < 0) return reply_error(invocation, RequestFault::page_size_invalid);
  const std::string& space = request.namespace_();
  catalog::StreamName last;
  bool has_last = !request.page_token().empty();
  if (has_last && !read_page_token(request.page_token(), space, last)) {
    return reply_error(invocation, RequestFault::page_token_invalid);
  }
  const std::int32_t asked = request.page_size() == 0 ? page_size_default : request.page_size();
  const auto count = static_cast<std::size_t>(std::min(asked, page_size_max));
  // The lock is taken for so many at a time.
  constexpr std::size_t slice = 128;
  std::vector<catalog::StreamTable::Listed> listed;
  while (listed.size() < count) {
    const std::size_t had = listed.size();
    const std::size_t wanted = std::min(slice, count - had);
    services.ledger.read([&](const Catalog& catalog, const Clocks& now) {
      catalog.streams().list(has_last ? &last : nullptr, space.empty() ? nullptr : &space, wanted,
                             now, listed);
    });
    if (listed.size() == had) break;
    last = listed.back().name;
    has_last = true;
    if (listed.size() - had < wanted) break;
  }
  std::uint64_t lsn = 0;
  for (const auto& stream : listed) lsn = std::max(lsn, stream.head.lsn);
  wire::ListStreamsResponse response;
  for (const auto& stream : listed) fill_summary(stream, *response.add_streams());
  if (listed.size() == count) response.set_next_page_token(write_page_token(space, last));
  services.ledger.when_durable(
      lsn, [invocation = kept(invocation), response = std::move(response)](bool durable) {
        if (!durable) return reply_error(invocation, catalog::Reason::shutting_down);
        reply_message(invocation, response);
      });
}

}  // namespace pm::api
