#include "schema.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "byte_codec.h"
#include "document_schema.h"
#include "record_fields.h"
#include "stream_schema.h"

namespace pm::ledger {

namespace {

using catalog::TierIndex;

enum PayloadField : std::uint32_t {
  payload_id = 1,
  size_bytes,
  lost,
  revision,
  created_at_ns,
  expires_at_ns,
  sequence,
  tier,
  generation,
  cookie,
  more_copies,
  priority,
  flags,
  spill_target,
  min_residency,
  checksum_kind,
  checksum,
  // Since version 2, and given only by payloads that have them.
  labels,
  pin_expires_at_ns,
  metadata_events,
  parents,
  last_event_at_ns,
  // Since version 3, and given only by payloads that have one.
  owner,
};
enum RequestField : std::uint32_t { request_key = 1, digest, answered_at_ns, reply };
enum TierField : std::uint32_t { tier_name_field = 1, failed, medium };

constexpr std::uint64_t flag_no_evict = 1;
constexpr std::uint64_t flag_require_durable = 2;
constexpr std::uint64_t flag_pinned = 4;
constexpr std::uint64_t flag_has_metadata = 8;
constexpr std::uint64_t flag_has_children = 16;
// So many of the copies, the last ones, are bad. Of a lost payload all are.
constexpr unsigned bad_copies_shift = 8;
constexpr std::uint64_t bad_copies_mask = 0xff;

constexpr std::array payload_fields = {
    field(payload_id, PM_VALUE_BYTES, "payload_id"),
    field(size_bytes, PM_VALUE_U64, "size_bytes"),
    field(lost, PM_VALUE_U64, "lost"),
    field(revision, PM_VALUE_U64, "revision"),
    field(created_at_ns, PM_VALUE_I64, "created_at_ns"),
    field(expires_at_ns, PM_VALUE_I64, "expires_at_ns"),
    field(sequence, PM_VALUE_U64, "sequence"),
    field(tier, PM_VALUE_TEXT, "tier"),
    field(generation, PM_VALUE_U64, "generation"),
    field(cookie, PM_VALUE_BYTES, "cookie"),
    field(more_copies, PM_VALUE_BYTES, "more_copies"),
    field(priority, PM_VALUE_U64, "priority"),
    field(flags, PM_VALUE_U64, "flags"),
    field(spill_target, PM_VALUE_TEXT, "spill_target"),
    field(min_residency, PM_VALUE_TEXT, "min_residency"),
    field(checksum_kind, PM_VALUE_U64, "checksum_kind"),
    field(checksum, PM_VALUE_BYTES, "checksum"),
    field(labels, PM_VALUE_TEXT, "labels"),
    field(pin_expires_at_ns, PM_VALUE_I64, "pin_expires_at_ns"),
    field(metadata_events, PM_VALUE_U64, "metadata_events"),
    field(parents, PM_VALUE_U64, "parents"),
    field(last_event_at_ns, PM_VALUE_I64, "last_event_at_ns"),
    field(owner, PM_VALUE_TEXT, "owner"),
};
constexpr std::array request_fields = {
    field(request_key, PM_VALUE_BYTES, "request_key"),
    field(digest, PM_VALUE_U64, "digest"),
    field(answered_at_ns, PM_VALUE_I64, "answered_at_ns"),
    field(reply, PM_VALUE_BYTES, "reply"),
};
constexpr std::array tier_fields = {
    field(tier_name_field, PM_VALUE_TEXT, "name"),
    field(failed, PM_VALUE_U64, "failed"),
    field(medium, PM_VALUE_TEXT, "medium"),
};

constexpr std::array kinds = {
    kind(kind_payload, "payload", payload_fields),
    kind(kind_request, "request", request_fields),
    kind(kind_tier, "tier", tier_fields),
    stream_kind,
    stream_entry_kind,
    consumer_group_kind,
    metadata_kind,
    metadata_event_kind,
    lineage_kind,
};
constexpr pm_schema_t the_schema = {sizeof(pm_schema_t), schema_version, kinds.data(), kinds.size(),
                                    0};

// An empty name is no_tier.
Status find_tier(std::string_view name, const TierNames& tiers, TierIndex& index) {
  index = catalog::no_tier;
  if (name.empty()) return {};
  for (std::size_t position = 0; position < tiers.size(); ++position) {
    if (tiers[position] == name) {
      index = static_cast<TierIndex>(position);
      return {};
    }
  }
  return {Code::failed_precondition,
          "the repository has payloads on a tier named '" + std::string(name) +
              "', which is not configured; add a [[tier]] of that name",
          "TIER_NOT_CONFIGURED"};
}

// "key=value", a line for each, so that people can look for them with LIKE. Keys have no '=' and
// values no line ends.
std::string write_labels(const catalog::Labels* labels) {
  std::string text;
  if (labels == nullptr) return text;
  for (const catalog::Label& label : *labels) text += label.key + '=' + label.value + '\n';
  return text;
}

// False: they are none of write_labels()'s, which come in the order of their keys.
bool read_labels(std::string_view text, std::shared_ptr<const catalog::Labels>& out) {
  out = nullptr;
  if (text.empty()) return true;
  auto labels = std::make_shared<catalog::Labels>();
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) return false;
    std::string key(line.substr(0, equals));
    if (!labels->empty() && key <= labels->back().key) return false;
    labels->push_back({std::move(key), std::string(line.substr(equals + 1))});
  }
  out = std::move(labels);
  return true;
}

bool read_checksum(std::uint64_t kind, std::string_view bytes, catalog::Checksum& out) {
  if (kind > static_cast<std::uint64_t>(catalog::ChecksumKind::crc32c)) return false;
  out.kind = static_cast<catalog::ChecksumKind>(kind);
  if (bytes.size() != out.length()) return false;
  if (!bytes.empty()) std::memcpy(out.bytes.data(), bytes.data(), bytes.size());
  return true;
}

std::string write_reply(const catalog::Reply& reply, const TierNames& tiers) {
  const auto name = [&](TierIndex index) {
    return index < tiers.size() ? std::string_view(tiers[index]) : std::string_view();
  };
  const catalog::View& view = reply.view;
  ByteWriter out;
  out.integer(std::uint8_t{2});  // Version of this encoding.
  out.integer(static_cast<std::uint8_t>(reply.has_view));
  out.raw(view.id.bytes.data(), view.id.bytes.size());
  out.integer(view.size_bytes);
  out.integer(view.revision);
  out.integer(view.created_at_ns);
  out.integer(view.expires_at_ns);
  out.integer(view.order);
  out.integer(static_cast<std::uint8_t>(view.phase));
  out.integer(static_cast<std::uint8_t>(view.durable));
  out.integer(static_cast<std::uint8_t>(view.retention.priority));
  out.integer(static_cast<std::uint8_t>(view.retention.no_evict));
  out.integer(static_cast<std::uint8_t>(view.retention.require_durable));
  out.text(name(view.retention.spill_target));
  out.text(name(view.retention.min_residency));
  out.text(name(view.tier));
  out.integer(view.generation);
  out.text({reinterpret_cast<const char*>(view.cookie.bytes.data()), view.cookie.length});
  out.text(write_labels(view.additions.labels.get()));
  out.integer(static_cast<std::uint8_t>(view.additions.pinned));
  out.integer(view.additions.pin_expires_at_ns);
  out.integer(reply.first_number);
  out.integer(reply.last_number);
  out.integer(reply.at_ns);
  out.integer(static_cast<std::uint8_t>(view.checksum.kind));
  out.text({reinterpret_cast<const char*>(view.checksum.bytes.data()), view.checksum.length()});
  return out.take();
}

Status read_reply(std::string_view bytes, const TierNames& tiers, catalog::Reply& reply) {
  ByteReader in(bytes);
  const auto version = in.integer<std::uint8_t>();
  if (version < 1 || version > 2) return {Code::data_loss, "a reply of unknown encoding"};
  catalog::View& view = reply.view;
  reply.has_view = in.integer<std::uint8_t>() != 0;
  in.raw(view.id.bytes.data(), view.id.bytes.size());
  view.size_bytes = in.integer<std::uint64_t>();
  view.revision = in.integer<std::uint64_t>();
  view.created_at_ns = in.integer<std::int64_t>();
  view.expires_at_ns = in.integer<std::int64_t>();
  view.order = in.integer<std::uint64_t>();
  view.phase = static_cast<catalog::Phase>(in.integer<std::uint8_t>());
  view.durable = in.integer<std::uint8_t>() != 0;
  view.retention.priority = static_cast<catalog::Priority>(in.integer<std::uint8_t>());
  view.retention.no_evict = in.integer<std::uint8_t>() != 0;
  view.retention.require_durable = in.integer<std::uint8_t>() != 0;
  PM_TRY(find_tier(in.text(), tiers, view.retention.spill_target));
  PM_TRY(find_tier(in.text(), tiers, view.retention.min_residency));
  PM_TRY(find_tier(in.text(), tiers, view.tier));
  view.generation = in.integer<std::uint64_t>();
  const std::string cookie_bytes = in.text();
  if (!in.ok() || cookie_bytes.size() > catalog::cookie_bytes_max) {
    return {Code::data_loss, "a reply that ends too early"};
  }
  view.cookie.length = static_cast<std::uint8_t>(cookie_bytes.size());
  std::memcpy(view.cookie.bytes.data(), cookie_bytes.data(), cookie_bytes.size());
  if (version == 1) return {};
  bool good = read_labels(in.text(), view.additions.labels);
  view.additions.pinned = in.integer<std::uint8_t>() != 0;
  view.additions.pin_expires_at_ns = in.integer<std::int64_t>();
  reply.first_number = in.integer<std::uint64_t>();
  reply.last_number = in.integer<std::uint64_t>();
  reply.at_ns = in.integer<std::int64_t>();
  const auto kind = in.integer<std::uint8_t>();
  good = read_checksum(kind, in.text(), view.checksum) && good;
  if (!good || !in.ok()) return {Code::data_loss, "a reply that ends too early"};
  return {};
}

// False: a payload that is not lost would have no good copy.
bool mark_bad_copies(std::uint64_t bad_copies, catalog::PayloadRecord& record) {
  const std::size_t count = record.copies.size();
  if (record.lost) bad_copies = count;
  if (bad_copies >= count && !record.lost) return false;
  for (std::size_t index = count - bad_copies; index < count; ++index) {
    record.copies[index].bad = true;
  }
  return true;
}

bool read_cookie(std::string_view bytes, catalog::Cookie& out) {
  if (bytes.size() > catalog::cookie_bytes_max) return false;
  out.length = static_cast<std::uint8_t>(bytes.size());
  if (!bytes.empty()) std::memcpy(out.bytes.data(), bytes.data(), bytes.size());
  return true;
}

}  // namespace

const pm_schema_t& schema() { return the_schema; }

// ---- writing ----

void OperationWriter::clear() {
  values_.clear();
  spans_.clear();
  operations_.clear();
  encoded_.clear();
}

const std::vector<pm_operation_t>& OperationWriter::operations() {
  operations_.clear();
  for (std::size_t index = 0; index < spans_.size(); ++index) {
    const std::size_t end = index + 1 < spans_.size() ? spans_[index + 1].first : values_.size();
    operations_.push_back({spans_[index].kind, spans_[index].type,
                           values_.data() + spans_[index].first,
                           static_cast<std::uint32_t>(end - spans_[index].first), 0});
  }
  return operations_;
}

void OperationWriter::add(const catalog::Record& record) {
  if (const auto* payload = std::get_if<catalog::PayloadRecord>(&record)) add_payload(*payload);
  if (const auto* request = std::get_if<catalog::RequestRecord>(&record)) add_request(*request);
  if (const auto* health = std::get_if<catalog::TierRecord>(&record)) add_tier(*health);
  if (const auto* stream = std::get_if<catalog::StreamRecord>(&record)) add_stream(*stream);
  if (const auto* entries = std::get_if<catalog::StreamEntries>(&record)) {
    add_stream_entries(*entries);
  }
  if (const auto* sweep = std::get_if<catalog::StreamSweepRecord>(&record)) {
    add_stream_sweep(*sweep);
  }
  if (const auto* group = std::get_if<catalog::ConsumerGroupRecord>(&record)) {
    add_consumer_group(*group);
  }
  if (const auto* metadata = std::get_if<catalog::MetadataRecord>(&record)) add_metadata(*metadata);
  if (const auto* event = std::get_if<catalog::MetadataEventRecord>(&record)) {
    add_metadata_event(*event);
  }
  if (const auto* lineage = std::get_if<catalog::LineageRecord>(&record)) add_lineage(*lineage);
}

void OperationWriter::begin(std::uint32_t kind, std::uint32_t type) {
  spans_.push_back({kind, type, values_.size()});
}

void OperationWriter::u64(std::uint32_t field, std::uint64_t value) {
  pm_value_t entry{field, PM_VALUE_U64, {}};
  entry.as.u64 = value;
  values_.push_back(entry);
}

void OperationWriter::i64(std::uint32_t field, std::int64_t value) {
  pm_value_t entry{field, PM_VALUE_I64, {}};
  entry.as.i64 = value;
  values_.push_back(entry);
}

void OperationWriter::bytes(std::uint32_t field, const void* data, std::size_t length) {
  pm_value_t entry{field, PM_VALUE_BYTES, {}};
  entry.as.bytes.data = data;
  entry.as.bytes.length = length;
  values_.push_back(entry);
}

void OperationWriter::text(std::uint32_t field, const std::string& value) {
  bytes(field, value.data(), value.size());
  values_.back().type = PM_VALUE_TEXT;
}

const std::string& OperationWriter::tier_name(TierIndex index) const {
  static const std::string none;
  return index < tiers_.size() ? tiers_[index] : none;
}

void OperationWriter::add_payload(const catalog::PayloadRecord& record) {
  begin(kind_payload, record.erased ? PM_OPERATION_DELETE : PM_OPERATION_PUT);
  bytes(payload_id, record.id.bytes.data(), record.id.bytes.size());
  if (record.erased) return erase_documents(record);
  u64(size_bytes, record.size_bytes);
  u64(lost, record.lost ? 1 : 0);
  u64(revision, record.revision);
  i64(created_at_ns, record.created_at_ns);
  i64(expires_at_ns, record.expires_at_ns);
  u64(sequence, record.order);
  if (!record.copies.empty()) {
    const catalog::CopyRecord& copy = record.copies.front();
    text(tier, tier_name(copy.tier));
    u64(generation, copy.generation);
    bytes(cookie, copy.cookie.bytes.data(), copy.cookie.length);
  }
  if (record.copies.size() > 1) {
    ByteWriter out;
    for (std::size_t index = 1; index < record.copies.size(); ++index) {
      const catalog::CopyRecord& copy = record.copies[index];
      out.text(tier_name(copy.tier));
      out.integer(copy.generation);
      out.text({reinterpret_cast<const char*>(copy.cookie.bytes.data()), copy.cookie.length});
    }
    const std::string& more = encoded_.emplace_back(out.take());
    bytes(more_copies, more.data(), more.size());
  }
  u64(priority, static_cast<std::uint64_t>(record.retention.priority));
  const catalog::Additions& additions = record.additions;
  const auto bad_copies = static_cast<std::uint64_t>(
      std::count_if(record.copies.begin(), record.copies.end(),
                    [](const catalog::CopyRecord& copy) { return copy.bad; }));
  u64(flags, (record.retention.no_evict ? flag_no_evict : 0) |
                 (record.retention.require_durable ? flag_require_durable : 0) |
                 (additions.pinned ? flag_pinned : 0) |
                 (additions.has_metadata ? flag_has_metadata : 0) |
                 (additions.has_children ? flag_has_children : 0) |
                 (bad_copies & bad_copies_mask) << bad_copies_shift);
  text(spill_target, tier_name(record.retention.spill_target));
  text(min_residency, tier_name(record.retention.min_residency));
  u64(checksum_kind, static_cast<std::uint64_t>(record.checksum.kind));
  bytes(checksum, record.checksum.bytes.data(), record.checksum.length());
  if (additions.any()) add_additions(additions);
  if (!record.owner.empty()) text(owner, record.owner);
}

void OperationWriter::add_additions(const catalog::Additions& additions) {
  if (additions.labels != nullptr) {
    text(labels, encoded_.emplace_back(write_labels(additions.labels.get())));
  }
  if (additions.pinned) i64(pin_expires_at_ns, additions.pin_expires_at_ns);
  if (additions.metadata_events != 0) {
    u64(metadata_events, additions.metadata_events);
    i64(last_event_at_ns, additions.last_event_at_ns);
  }
  if (additions.parents != 0) u64(parents, additions.parents);
}

void OperationWriter::add_request(const catalog::RequestRecord& record) {
  begin(kind_request, record.erased ? PM_OPERATION_DELETE : PM_OPERATION_PUT);
  bytes(request_key, record.key.bytes.data(), record.key.bytes.size());
  if (record.erased) return;
  u64(digest, record.digest);
  i64(answered_at_ns, record.answered_at_ns);
  const std::string& encoded = encoded_.emplace_back(write_reply(record.reply, tiers_));
  bytes(reply, encoded.data(), encoded.size());
}

void OperationWriter::add_tier(const catalog::TierRecord& record) {
  begin(kind_tier, PM_OPERATION_PUT);
  text(tier_name_field, tier_name(record.tier));
  u64(failed, record.failed ? 1 : 0);
  text(medium, record.medium);
}

// ---- reading ----

Result<catalog::PayloadRecord> read_payload(const pm_value_t* values, std::uint32_t count,
                                            const TierNames& tiers) {
  const Fields in(values, count);
  const Status damaged{Code::data_loss, "a record of kind 'payload' makes no sense"};
  catalog::PayloadRecord record;
  if (!read_id(in.bytes(payload_id), record.id)) return damaged;
  record.size_bytes = in.u64(size_bytes);
  record.lost = in.u64(lost) != 0;
  record.revision = in.u64(revision);
  record.created_at_ns = in.i64(created_at_ns);
  record.expires_at_ns = in.i64(expires_at_ns);
  record.order = in.u64(sequence);
  const std::uint64_t importance = in.u64(priority);
  if (importance < 1 || importance > 4) return damaged;
  record.retention.priority = static_cast<catalog::Priority>(importance);
  record.owner = in.text(owner);
  record.retention.no_evict = (in.u64(flags) & flag_no_evict) != 0;
  record.retention.require_durable = (in.u64(flags) & flag_require_durable) != 0;
  PM_TRY(find_tier(in.text(spill_target), tiers, record.retention.spill_target));
  PM_TRY(find_tier(in.text(min_residency), tiers, record.retention.min_residency));
  if (!read_checksum(in.u64(checksum_kind), in.bytes(checksum), record.checksum)) return damaged;
  if (in.u64(generation) != 0) {
    catalog::CopyRecord copy;
    PM_TRY(find_tier(in.text(tier), tiers, copy.tier));
    copy.generation = in.u64(generation);
    if (copy.tier == catalog::no_tier || !read_cookie(in.bytes(cookie), copy.cookie)) {
      return damaged;
    }
    record.copies.push_back(copy);
  }
  ByteReader more(in.bytes(more_copies));
  while (!more.at_end()) {
    catalog::CopyRecord copy;
    PM_TRY(find_tier(more.text(), tiers, copy.tier));
    copy.generation = more.integer<std::uint64_t>();
    const bool good = read_cookie(more.text(), copy.cookie) && more.ok();
    const bool is_another = std::none_of(
        record.copies.begin(), record.copies.end(),
        [&](const catalog::CopyRecord& other) { return other.generation == copy.generation; });
    if (!good || !is_another || copy.generation == 0 || copy.tier == catalog::no_tier) {
      return damaged;
    }
    record.copies.push_back(copy);
  }
  const std::uint64_t bad_copies = in.u64(flags) >> bad_copies_shift & bad_copies_mask;
  if (!mark_bad_copies(bad_copies, record) || record.size_bytes == 0) return damaged;
  catalog::Additions& additions = record.additions;
  if (!read_labels(in.text(labels), additions.labels)) return damaged;
  additions.pinned = (in.u64(flags) & flag_pinned) != 0;
  // Where there is no pin, there is none that ends.
  if (additions.pinned) additions.pin_expires_at_ns = in.i64(pin_expires_at_ns);
  additions.has_metadata = (in.u64(flags) & flag_has_metadata) != 0;
  additions.has_children = (in.u64(flags) & flag_has_children) != 0;
  additions.last_event_at_ns = in.i64(last_event_at_ns);
  additions.metadata_events = static_cast<std::uint32_t>(in.u64(metadata_events));
  additions.parents = static_cast<std::uint32_t>(in.u64(parents));
  return record;
}

Result<catalog::RequestRecord> read_request(const pm_value_t* values, std::uint32_t count,
                                            const TierNames& tiers) {
  const Fields in(values, count);
  catalog::RequestRecord record;
  if (!read_id(in.bytes(request_key), record.key)) {
    return Status{Code::data_loss, "a record of kind 'request' makes no sense"};
  }
  record.digest = in.u64(digest);
  record.answered_at_ns = in.i64(answered_at_ns);
  PM_TRY(read_reply(in.bytes(reply), tiers, record.reply));
  return record;
}

Result<catalog::TierRecord> read_tier(const pm_value_t* values, std::uint32_t count,
                                      const TierNames& tiers) {
  const Fields in(values, count);
  catalog::TierRecord record;
  PM_TRY(find_tier(in.text(tier_name_field), tiers, record.tier));
  if (record.tier == catalog::no_tier) {
    return Status{Code::data_loss, "a record of kind 'tier' makes no sense"};
  }
  record.failed = in.u64(failed) != 0;
  record.medium = std::string(in.text(medium));
  return record;
}

}  // namespace pm::ledger
