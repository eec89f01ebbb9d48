#pragma once

#include <pm/repository.h>

#include <deque>
#include <pm/cpp/result.hpp>
#include <string>
#include <vector>

#include "core/catalog/command.h"

// How the catalog's records stand in a repository: which kinds there are, and the translation both
// ways. Tiers are stored by name, so that a configuration may change their order and numbers.

namespace pm::ledger {

inline constexpr std::uint32_t schema_version = 3;
enum RecordKind : std::uint32_t { kind_payload = 1, kind_request = 2, kind_tier = 3 };

// Static data.
const pm_schema_t& schema();

// The names of the tiers, in the catalog's order.
using TierNames = std::vector<std::string>;

// Translates records into operations. What it hands out points into the records and into itself,
// and is valid until clear().
class OperationWriter {
 public:
  explicit OperationWriter(const TierNames& tiers) : tiers_(tiers) {}

  // `record` must outlive what operations() gives; so it cannot be a temporary.
  void add(const catalog::Record& record);
  void add(catalog::Record&& record) = delete;
  const std::vector<pm_operation_t>& operations();
  void clear();

 private:
  void add_payload(const catalog::PayloadRecord& record);
  void add_additions(const catalog::Additions& additions);
  void add_request(const catalog::RequestRecord& record);
  void add_tier(const catalog::TierRecord& record);
  // stream_schema.cpp
  void add_stream(const catalog::StreamRecord& record);
  void add_stream_entries(const catalog::StreamEntries& entries);
  void add_stream_sweep(const catalog::StreamSweepRecord& sweep);
  void add_consumer_group(const catalog::ConsumerGroupRecord& record);
  // document_schema.cpp
  void add_metadata(const catalog::MetadataRecord& record);
  void add_metadata_event(const catalog::MetadataEventRecord& record);
  void add_lineage(const catalog::LineageRecord& record);
  void erase_documents(const catalog::PayloadRecord& record);
  void begin(std::uint32_t kind, std::uint32_t type);
  void u64(std::uint32_t field, std::uint64_t value);
  void i64(std::uint32_t field, std::int64_t value);
  void bytes(std::uint32_t field, const void* data, std::size_t length);
  void text(std::uint32_t field, const std::string& value);
  const std::string& tier_name(catalog::TierIndex tier) const;

  struct Span {
    std::uint32_t kind;
    std::uint32_t type;
    std::size_t first;
  };

  const TierNames& tiers_;
  std::vector<pm_value_t> values_;
  std::vector<Span> spans_;
  std::vector<pm_operation_t> operations_;
  std::deque<std::string> encoded_;
};

// Translates what a scan visits back. Fails with data_loss when a record makes no sense, and with
// failed_precondition when it names a tier that is not configured.
Result<catalog::PayloadRecord> read_payload(const pm_value_t* values, std::uint32_t count,
                                            const TierNames& tiers);
Result<catalog::RequestRecord> read_request(const pm_value_t* values, std::uint32_t count,
                                            const TierNames& tiers);
Result<catalog::TierRecord> read_tier(const pm_value_t* values, std::uint32_t count,
                                      const TierNames& tiers);

}  // namespace pm::ledger
