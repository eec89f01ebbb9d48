#include <memory>
#include <utility>

#include "core/ledger/document_schema.h"
#include "documents.h"
#include "ids.h"
#include "methods.h"
#include "payload/manager/catalog/v1/metadata.pb.h"
#include "times.h"

// The metadata of a payload: update and read.

namespace pm::api {

namespace wire = payload::manager::catalog::v1;
namespace core = payload::manager::core::v1;
using catalog::Catalog;
using catalog::Clocks;

namespace {

constexpr std::size_t metadata_bytes_max = 1 << 20;
constexpr int attempts_max = 3;

Status get_metadata(const RepositoryReader& reader, const catalog::Id& id,
                    ledger::MetadataRow& row) {
  const std::vector<pm_value_t> key = {
      bytes_value(ledger::metadata_field::payload_id, id.bytes.data(), id.bytes.size())};
  return reader.get(ledger::kind_metadata, key, [&](const pm_value_t* values, std::uint32_t count) {
    row = ledger::read_metadata(values, count);
    return true;
  });
}

void fill_metadata(const catalog::Id& id, const catalog::Metadata& metadata,
                   wire::PayloadMetadata& message) {
  message.mutable_id()->set_value(id.bytes.data(), id.bytes.size());
  message.set_data(metadata.data);
  message.set_schema(metadata.schema);
}

// An update. One that gives the data and the schema stands for itself; any other is made from what
// stood before, which is read first, and again when it has changed meanwhile.
class UpdateMetadataCall final : public Call, private ledger::ReplyHandler {
 public:
  UpdateMetadataCall(const Services& services, const Invocation& invocation,
                     wire::UpdatePayloadMetadataRequest& request, const catalog::Id& id)
      : Call(services, invocation), given_(std::make_shared<catalog::Metadata>()) {
    given_->data = std::move(*request.mutable_metadata()->mutable_data());
    given_->schema = std::move(*request.mutable_metadata()->mutable_schema());
    given_->actor = std::move(*request.mutable_actor());
    given_->reason = std::move(*request.mutable_reason());
    command_.id = id;
    command_.request = request_key(invocation, request.request_id());
    command_.ticket = ledger::ticket_of(this);
    command_.metadata = given_;
    command_.is_derived = request.mode() != core::METADATA_UPDATE_MODE_REPLACE &&
                          (given_->data.empty() || given_->schema.empty());
  }

  void attempt();
  // It waits for nothing but the repository.
  void cancel() override {}

 private:
  void merge(bool can_read);
  void on_reply(const catalog::Reply& reply) override;
  void answer(const catalog::Metadata& metadata, std::int64_t updated_at_ns);
  void answer_with_what_stands();
  ErrorFacts facts() const { return {{"payload", to_text(command_.id)}}; }

  const std::shared_ptr<catalog::Metadata> given_;
  catalog::UpdateMetadata command_;
  int attempts_ = 0;
};

void UpdateMetadataCall::attempt() {
  ++attempts_;
  if (!command_.is_derived) return services().ledger.submit(command_);
  const catalog::Described described =
      services().ledger.read([this](const Catalog& catalog, const Clocks& now) {
        return catalog.describe(command_.id, now);
      });
  command_.seen_lsn = described.seen_lsn;
  // Also one that is not there: the repeat of a request is answered whatever has become of it.
  if (!described.has_metadata) return services().ledger.submit(command_);
  services().reader.after(described.lsn, [this](bool can_read) { merge(can_read); });
}

void UpdateMetadataCall::merge(bool can_read) {
  if (!can_read) return finish(status_of(catalog::Reason::shutting_down), facts());
  ledger::MetadataRow row;
  const Status status = get_metadata(services().reader, command_.id, row);
  if (!status.ok() && status.code() != Code::not_found) return finish(read_failed(status), facts());
  auto merged = std::make_shared<catalog::Metadata>(*given_);
  if (merged->data.empty()) merged->data = std::move(row.metadata.data);
  if (merged->schema.empty()) merged->schema = std::move(row.metadata.schema);
  command_.metadata = std::move(merged);
  services().ledger.submit(command_);
}

void UpdateMetadataCall::on_reply(const catalog::Reply& reply) {
  if (reply.reason == catalog::Reason::conflict && attempts_ < attempts_max) return attempt();
  if (reply.reason != catalog::Reason::none) return finish(status_of(reply), facts());
  if (reply.is_repeat && command_.is_derived) return answer_with_what_stands();
  answer(*command_.metadata, reply.at_ns);
}

void UpdateMetadataCall::answer(const catalog::Metadata& metadata, std::int64_t updated_at_ns) {
  wire::UpdatePayloadMetadataResponse response;
  response.mutable_id()->set_value(command_.id.bytes.data(), command_.id.bytes.size());
  fill_metadata(command_.id, metadata, *response.mutable_metadata());
  set_time(updated_at_ns, *response.mutable_updated_at());
  finish(response);
}

// What the first request had merged is not kept.
void UpdateMetadataCall::answer_with_what_stands() {
  services().reader.after(0, [this](bool can_read) {
    if (!can_read) return finish(status_of(catalog::Reason::shutting_down), facts());
    ledger::MetadataRow row;
    const Status status = get_metadata(services().reader, command_.id, row);
    if (status.code() == Code::not_found) {
      return finish(status_of(catalog::Reason::payload_not_found), facts());
    }
    if (!status.ok()) return finish(read_failed(status), facts());
    answer(row.metadata, row.updated_at_ns);
  });
}

}  // namespace

void update_payload_metadata(const Services& services, const Invocation& invocation) {
  wire::UpdatePayloadMetadataRequest request;
  catalog::Id id;
  if (!parse(invocation, request) || !accepts_changes(services, invocation)) return;
  if (!read_payload_id(invocation, request.id().value(), id)) return;
  if (request.mode() != core::METADATA_UPDATE_MODE_UNSPECIFIED &&
      request.mode() != core::METADATA_UPDATE_MODE_MERGE &&
      request.mode() != core::METADATA_UPDATE_MODE_REPLACE) {
    return reply_error(invocation, RequestFault::update_mode_unknown);
  }
  if (!fits(invocation, "metadata.data", request.metadata().data(), metadata_bytes_max) ||
      !fits(invocation, "metadata.schema", request.metadata().schema()) ||
      !fits(invocation, "actor", request.actor()) ||
      !fits(invocation, "reason", request.reason())) {
    return;
  }
  (new UpdateMetadataCall(services, invocation, request, id))->attempt();
}

void get_payload_metadata(const Services& services, const Invocation& invocation) {
  wire::GetPayloadMetadataRequest request;
  catalog::Id id;
  if (!parse(invocation, request)) return;
  if (!read_payload_id(invocation, request.id().value(), id)) return;
  const catalog::Described described = services.ledger.read(
      [&](const Catalog& catalog, const Clocks& now) { return catalog.describe(id, now); });
  const ErrorFacts facts{{"payload", to_text(id)}};
  services.reader.after(described.lsn, [invocation = kept(invocation), id, described, facts,
                                        &reader = services.reader](bool can_read) {
    if (!can_read) return reply_error(invocation, catalog::Reason::shutting_down, facts);
    if (described.reason != catalog::Reason::none) {
      return reply_error(invocation, described.reason, facts);
    }
    wire::GetPayloadMetadataResponse response;
    if (!described.has_metadata) return reply_message(invocation, response);
    ledger::MetadataRow row;
    const Status status = get_metadata(reader, id, row);
    // It has been deleted since.
    if (status.code() == Code::not_found) {
      return reply_error(invocation, catalog::Reason::payload_not_found, facts);
    }
    if (!status.ok()) return reply_error(invocation, read_failed(status), facts);
    fill_metadata(id, row.metadata, *response.mutable_metadata());
    set_time(row.updated_at_ns, *response.mutable_updated_at());
    response.set_actor(std::move(row.metadata.actor));
    response.set_reason(std::move(row.metadata.reason));
    reply_message(invocation, response);
  });
}

}  // namespace pm::api
