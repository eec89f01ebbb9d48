#include "methods.h"

#include <algorithm>
#include <unordered_map>

#include "core/ledger/clocks.h"
#include "google/protobuf/empty.pb.h"
#include "ids.h"

namespace pm::api {

Method find_method(std::string_view name) {
  static const std::unordered_map<std::string_view, Method> methods = {
      {"/payload.manager.services.v1.PayloadCatalogService/AllocatePayload", &allocate_payload},
      {"/payload.manager.services.v1.PayloadCatalogService/CommitPayload", &commit_payload},
      {"/payload.manager.services.v1.PayloadCatalogService/ImportPayload", &import_payload},
      {"/payload.manager.services.v1.PayloadCatalogService/Delete", &delete_payload},
      {"/payload.manager.services.v1.PayloadCatalogService/Promote", &promote_payload},
      {"/payload.manager.services.v1.PayloadCatalogService/Spill", &spill_payloads},
      {"/payload.manager.services.v1.PayloadCatalogService/ListPayloads", &list_payloads},
      {"/payload.manager.services.v1.PayloadCatalogService/UpdateLabels", &update_labels},
      {"/payload.manager.services.v1.PayloadCatalogService/UpdatePayloadMetadata",
       &update_payload_metadata},
      {"/payload.manager.services.v1.PayloadCatalogService/GetPayloadMetadata",
       &get_payload_metadata},
      {"/payload.manager.services.v1.PayloadCatalogService/AppendPayloadMetadataEvent",
       &append_payload_metadata_event},
      {"/payload.manager.services.v1.PayloadCatalogService/ListPayloadMetadataEvents",
       &list_payload_metadata_events},
      {"/payload.manager.services.v1.PayloadCatalogService/AddLineage", &add_lineage},
      {"/payload.manager.services.v1.PayloadCatalogService/GetLineage", &get_lineage},
      {"/payload.manager.services.v1.PayloadDataService/ResolveSnapshot", &resolve_snapshot},
      {"/payload.manager.services.v1.PayloadDataService/AcquireReadLease", &acquire_read_lease},
      {"/payload.manager.services.v1.PayloadDataService/ReleaseLease", &release_lease},
      {"/payload.manager.services.v1.PayloadCatalogService/AbortAllocation", &abort_allocation},
      {"/payload.manager.services.v1.PayloadCatalogService/BatchAllocate", &batch_allocate},
      {"/payload.manager.services.v1.PayloadCatalogService/BatchCommit", &batch_commit},
      {"/payload.manager.services.v1.PayloadCatalogService/BatchDelete", &batch_delete},
      {"/payload.manager.services.v1.PayloadCatalogService/Pin", &pin_payload},
      {"/payload.manager.services.v1.PayloadCatalogService/Unpin", &unpin_payload},
      {"/payload.manager.services.v1.PayloadCatalogService/Prefetch", &prefetch_payload},
      {"/payload.manager.services.v1.PayloadDataService/BatchAcquireReadLease",
       &batch_acquire_read_lease},
      {"/payload.manager.services.v1.PayloadDataService/BatchReleaseLease", &batch_release_lease},
      {"/payload.manager.services.v1.PayloadDataService/RenewLease", &renew_lease},
      {"/payload.manager.services.v1.PayloadDataService/ListLeases", &list_leases},
      {"/payload.manager.services.v1.PayloadAdminService/Stats", &stats},
      {"/payload.manager.services.v1.PayloadStreamService/CreateStream", &create_stream},
      {"/payload.manager.services.v1.PayloadStreamService/DeleteStream", &delete_stream},
      {"/payload.manager.services.v1.PayloadStreamService/Append", &append_to_stream},
      {"/payload.manager.services.v1.PayloadStreamService/Read", &read_stream},
      {"/payload.manager.services.v1.PayloadStreamService/Subscribe", &subscribe},
      {"/payload.manager.services.v1.PayloadStreamService/Commit", &commit_offset},
      {"/payload.manager.services.v1.PayloadStreamService/GetCommitted", &get_committed},
      {"/payload.manager.services.v1.PayloadStreamService/GetRange", &get_range},
      {"/payload.manager.services.v1.PayloadStreamService/ListStreams", &list_streams},
      {"/payload.manager.services.v1.PayloadAdminService/ListTiers", &list_tiers},
      {"/payload.manager.services.v1.PayloadAdminService/ListPlugins", &list_plugins},
      {"/payload.manager.services.v1.PayloadAdminService/GetConfig", &get_config},
      {"/payload.manager.services.v1.PayloadAdminService/Explain", &explain},
      {"/payload.manager.services.v1.PayloadAdminService/Scrub", &scrub},
      {"/payload.manager.services.v1.PayloadAdminService/GetScrub", &get_scrub},
      {"/payload.manager.services.v1.PayloadAdminService/GetPolicies", &get_policies},
      {"/payload.manager.services.v1.PayloadAdminService/ReloadPolicies", &reload_policies},
      {"/payload.manager.services.v1.PayloadCatalogService/Watch", &watch},
  };
  const auto found = methods.find(name);
  return found != methods.end() ? found->second : nullptr;
}

bool parse(const Invocation& invocation, google::protobuf::MessageLite& message) {
  const bool good = message.ParseFromArray(invocation.request.data(),
                                           static_cast<int>(invocation.request.size()));
  if (good) return true;
  reply_error(invocation, RequestFault::request_malformed, message.GetTypeName());
  return false;
}

bool read_payload_id(const Invocation& invocation, const std::string& bytes, catalog::Id& id) {
  if (read_id(bytes, id)) return true;
  reply_error(invocation, RequestFault::payload_id_malformed,
              "this one has " + std::to_string(bytes.size()));
  return false;
}

bool read_page_size(const Invocation& invocation, std::int32_t asked, std::uint32_t& count) {
  constexpr std::int32_t page_size_default = 50;
  constexpr std::int32_t page_size_max = 500;
  if (asked < 0) {
    reply_error(invocation, RequestFault::page_size_invalid);
    return false;
  }
  count =
      static_cast<std::uint32_t>(std::min(asked == 0 ? page_size_default : asked, page_size_max));
  return true;
}

std::uint64_t wait_deadline_ns(const Invocation& invocation) {
  // So much earlier than the client's own, that the answer arrives in time: on the wire gRPC rounds
  // timeouts up to three digits (its timeout_encoding), so this one may be later by a hundredth.
  const std::uint64_t deadline = invocation.info->deadline_ns;
  if (deadline == 0) return 0;
  const std::uint64_t left_ns = deadline - std::min(deadline, ledger::monotonic_now_ns());
  const std::uint64_t margin_ns = 50'000'000 + left_ns / 100;
  return std::max(deadline, margin_ns + 1) - margin_ns;
}

bool accepts_changes(const Services& services, const Invocation& invocation) {
  if (services.ledger.accepts_changes()) return true;
  reply_error(invocation, catalog::Reason::journal_full);
  return false;
}

void respond_empty(CommandCall& call, const catalog::Reply&) {
  call.finish(google::protobuf::Empty());
}

std::uint32_t caller_uid(const Invocation& invocation) {
  const pm_principal_t* principal = invocation.info->principal;
  return principal != nullptr ? principal->uid : PM_NOBODY;
}

std::int32_t caller_pid(const Invocation& invocation) {
  const pm_principal_t* principal = invocation.info->principal;
  return principal != nullptr && principal->pid > 0 ? principal->pid : 0;
}

std::string caller_name(const Invocation& invocation) {
  const pm_principal_t* principal = invocation.info->principal;
  if (principal == nullptr) return "anonymous";
  if (principal->tls_subject != nullptr) return principal->tls_subject;
  return principal->uid == PM_NOBODY ? "anonymous" : "uid:" + std::to_string(principal->uid);
}

}  // namespace pm::api
