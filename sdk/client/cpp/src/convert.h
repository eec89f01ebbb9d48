#pragma once

#include "payload/manager/admin/v1/stats.pb.h"
#include "payload/manager/catalog/v1/catalog.pb.h"
#include "payload/manager/core/v1/descriptor.pb.h"
#include "payload/manager/runtime/v1/lease.pb.h"
#include "pm/client/client.h"

// Between the messages of the contract and the structs of the public header.

namespace pm::client::detail {

template <typename Message, typename Kind>
void set_id(Message* message, const Id<Kind>& id) {
  message->set_value(id.bytes.data(), id.bytes.size());
}

// INTERNAL when the server sent something else than sixteen bytes.
Result<PayloadId> payload_id_from(const payload::manager::core::v1::PayloadID& message);

Result<Descriptor> descriptor_from(const payload::manager::core::v1::PayloadDescriptor& message);
Result<Lease> lease_from(const payload::manager::runtime::v1::AcquireReadLeaseResponse& message);
Result<Summary> summary_from(const payload::manager::catalog::v1::PayloadSummary& message);
Result<SpillOutcome> spill_outcome_from(const payload::manager::catalog::v1::SpillResult& message);
Stats stats_from(const payload::manager::admin::v1::StatsResponse& message);

payload::manager::core::v1::Tier tier_to(Tier tier);
payload::manager::core::v1::PromotionPolicy policy_to(PromotionPolicy policy);
payload::manager::catalog::v1::MemoryLayout layout_to(Layout layout);
payload::manager::catalog::v1::AllocatePayloadRequest allocate_request(
    std::uint64_t size_bytes, const CreateOptions& options);

}  // namespace pm::client::detail
