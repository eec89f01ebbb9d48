#include "document_schema.h"

#include <string>

#include "schema.h"

namespace pm::ledger {

// ---- writing ----

void OperationWriter::add_metadata(const catalog::MetadataRecord& record) {
  using namespace metadata_field;
  begin(kind_metadata, PM_OPERATION_PUT);
  bytes(payload_id, record.id.bytes.data(), record.id.bytes.size());
  bytes(data, record.metadata->data.data(), record.metadata->data.size());
  text(metadata_field::schema, record.metadata->schema);
  text(actor, record.metadata->actor);
  text(reason, record.metadata->reason);
  i64(updated_at_ns, record.updated_at_ns);
}

void OperationWriter::add_metadata_event(const catalog::MetadataEventRecord& record) {
  using namespace metadata_event_field;
  begin(kind_metadata_event, PM_OPERATION_PUT);
  bytes(payload_id, record.id.bytes.data(), record.id.bytes.size());
  u64(number, record.number);
  bytes(data, record.event->data.data(), record.event->data.size());
  text(metadata_event_field::schema, record.event->schema);
  text(source, record.event->source);
  text(version, record.event->version);
  i64(event_time_ns, record.at_ns);
}

void OperationWriter::add_lineage(const catalog::LineageRecord& record) {
  using namespace lineage_field;
  for (const catalog::LineageEdge& edge : *record.edges) {
    begin(kind_lineage, PM_OPERATION_PUT);
    bytes(child, record.child.bytes.data(), record.child.bytes.size());
    bytes(parent, edge.parent.bytes.data(), edge.parent.bytes.size());
    bytes(fingerprint, edge.fingerprint.bytes.data(), edge.fingerprint.bytes.size());
    text(operation, edge.operation);
    text(role, edge.role);
    bytes(parameters, edge.parameters.data(), edge.parameters.size());
  }
}

// What is said about a payload goes with it. Edges that name it as a parent belong to its children.
void OperationWriter::erase_documents(const catalog::PayloadRecord& record) {
  const catalog::Id& id = record.id;
  if (record.additions.has_metadata) {
    begin(kind_metadata, PM_OPERATION_DELETE);
    bytes(metadata_field::payload_id, id.bytes.data(), id.bytes.size());
  }
  if (record.additions.metadata_events != 0) {
    begin(kind_metadata_event, PM_OPERATION_DELETE_PREFIX);
    bytes(metadata_event_field::payload_id, id.bytes.data(), id.bytes.size());
  }
  if (record.additions.parents != 0) {
    begin(kind_lineage, PM_OPERATION_DELETE_PREFIX);
    bytes(lineage_field::child, id.bytes.data(), id.bytes.size());
  }
}

// ---- reading ----

MetadataRow read_metadata(const pm_value_t* values, std::uint32_t count) {
  using namespace metadata_field;
  const Fields in(values, count);
  MetadataRow row;
  row.metadata.data = in.bytes(data);
  row.metadata.schema = in.text(metadata_field::schema);
  row.metadata.actor = in.text(actor);
  row.metadata.reason = in.text(reason);
  row.updated_at_ns = in.i64(updated_at_ns);
  return row;
}

MetadataEventRow read_metadata_event(const pm_value_t* values, std::uint32_t count) {
  using namespace metadata_event_field;
  const Fields in(values, count);
  MetadataEventRow row;
  row.number = in.u64(number);
  row.at_ns = in.i64(event_time_ns);
  row.event.data = in.bytes(data);
  row.event.schema = in.text(metadata_event_field::schema);
  row.event.source = in.text(source);
  row.event.version = in.text(version);
  return row;
}

Result<LineageRow> read_lineage(const pm_value_t* values, std::uint32_t count) {
  using namespace lineage_field;
  const Fields in(values, count);
  LineageRow row;
  if (!read_id(in.bytes(child), row.child) || !read_id(in.bytes(parent), row.edge.parent) ||
      !read_id(in.bytes(fingerprint), row.edge.fingerprint)) {
    return Status{Code::data_loss, "a record of kind 'lineage' makes no sense"};
  }
  row.edge.operation = in.text(operation);
  row.edge.role = in.text(role);
  row.edge.parameters = in.bytes(parameters);
  return row;
}

}  // namespace pm::ledger
