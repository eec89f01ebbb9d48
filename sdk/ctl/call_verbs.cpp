#include "call_verbs.h"

#include "google/protobuf/empty.pb.h"
#include "payload/manager/admin/v1/inspect.pb.h"
#include "payload/manager/admin/v1/scrub.pb.h"
#include "payload/manager/catalog/v1/catalog.pb.h"
#include "payload/manager/catalog/v1/lineage.pb.h"
#include "payload/manager/catalog/v1/metadata.pb.h"
#include "payload/manager/catalog/v1/watch.pb.h"
#include "payload/manager/runtime/v1/lease.pb.h"
#include "payload/manager/runtime/v1/stream.pb.h"

namespace pm::ctl {
namespace {

namespace admin = payload::manager::admin::v1;
namespace catalog = payload::manager::catalog::v1;
namespace runtime = payload::manager::runtime::v1;
using google::protobuf::Empty;

template <typename Message>
const google::protobuf::Message& prototype() {
  return Message::default_instance();
}

// "ListTiers" of service "Admin", with its messages.
#define PM_CALL(service, method, request, reply) \
  "Payload" service "Service/" method, &prototype<request>, &prototype<reply>

std::vector<CallVerb> payload_verbs() {
  return {
      {"abort",
       "ID",
       "give up an allocation",
       PM_CALL("Catalog", "AbortAllocation", catalog::AbortAllocationRequest, Empty),
       {"id"}},
      {"import",
       "ID",
       "publish what was uploaded to an allocation's path",
       PM_CALL("Catalog", "ImportPayload", catalog::ImportPayloadRequest,
               catalog::ImportPayloadResponse),
       {"id"},
       false,
       nullptr,
       {"payload_descriptor.payload_id", "payload_descriptor.state",
        "payload_descriptor.size_bytes"}},
      {"prefetch",
       "ID --target-tier TIER",
       "hint that a payload is wanted on a faster tier",
       PM_CALL("Catalog", "Prefetch", catalog::PrefetchRequest, Empty),
       {"id"}},
      {"pin",
       "ID",
       "keep a payload on its tier",
       PM_CALL("Catalog", "Pin", catalog::PinRequest, Empty),
       {"id"}},
      {"unpin",
       "ID",
       "let it go again",
       PM_CALL("Catalog", "Unpin", catalog::UnpinRequest, Empty),
       {"id"}},
      {"label",
       "ID [KEY=VALUE]...",
       "set and remove labels",
       PM_CALL("Catalog", "UpdateLabels", catalog::UpdateLabelsRequest,
               catalog::UpdateLabelsResponse),
       {"id", "set"},
       true,
       nullptr,
       {"labels", "version"},
       false,
       true},
      {"explain",
       "ID",
       "say why a payload is where it is",
       PM_CALL("Admin", "Explain", admin::ExplainRequest, admin::ExplainResponse),
       {"id"}},
      {"watch",
       "",
       "print changes as they come",
       PM_CALL("Catalog", "Watch", catalog::WatchRequest, catalog::WatchResponse),
       {},
       false,
       nullptr,
       {"time", "kind", "id", "version", "tier", "from_tier", "size_bytes"},
       true},
  };
}

std::vector<CallVerb> document_verbs() {
  return {
      {"metadata set",
       "ID --data TEXT",
       "say something about a payload",
       PM_CALL("Catalog", "UpdatePayloadMetadata", catalog::UpdatePayloadMetadataRequest,
               catalog::UpdatePayloadMetadataResponse),
       {"id"},
       false,
       nullptr,
       {"id", "updated_at", "metadata.schema"}},
      {"metadata get",
       "ID",
       "print what was said about it",
       PM_CALL("Catalog", "GetPayloadMetadata", catalog::GetPayloadMetadataRequest,
               catalog::GetPayloadMetadataResponse),
       {"id"},
       false,
       nullptr,
       {"metadata.data", "metadata.schema", "updated_at", "actor", "reason"}},
      {"metadata event",
       "ID --data TEXT",
       "append an event to a payload",
       PM_CALL("Catalog", "AppendPayloadMetadataEvent", catalog::AppendPayloadMetadataEventRequest,
               catalog::AppendPayloadMetadataEventResponse),
       {"id"},
       false,
       nullptr,
       {"id", "number", "event_time"}},
      {"metadata events",
       "ID",
       "list its events, the oldest first",
       PM_CALL("Catalog", "ListPayloadMetadataEvents", catalog::ListPayloadMetadataEventsRequest,
               catalog::ListPayloadMetadataEventsResponse),
       {"id"},
       false,
       "events",
       {"number", "event_time", "source", "version", "metadata.schema", "metadata.data"}},
      {"lineage add",
       "CHILD PARENT...",
       "say what a payload was made from",
       PM_CALL("Catalog", "AddLineage", catalog::AddLineageRequest, Empty),
       {"child", "parent"},
       true},
      {"lineage get",
       "ID",
       "list what was made from it, or with --upstream what it was made from",
       PM_CALL("Catalog", "GetLineage", catalog::GetLineageRequest, catalog::GetLineageResponse),
       {"id"},
       false,
       "edges",
       {"depth", "parent", "child", "operation", "role", "parameters"}},
  };
}

std::vector<CallVerb> lease_verbs() {
  return {
      {"lease renew",
       "LEASE",
       "let a lease run longer",
       PM_CALL("Data", "RenewLease", runtime::RenewLeaseRequest, runtime::RenewLeaseResponse),
       {"lease-id"},
       false,
       nullptr,
       {"lease_expires_at", "lease_duration_ms"}},
      {"lease list",
       "--id ID|--holder TEXT",
       "list the leases of a payload or of a holder",
       PM_CALL("Data", "ListLeases", runtime::ListLeasesRequest, runtime::ListLeasesResponse),
       {},
       false,
       "leases",
       {"lease_id", "payload_id", "tier", "holder", "expires_at"}},
  };
}

std::vector<CallVerb> stream_verbs() {
  return {
      {"stream create",
       "STREAM",
       "make a stream",
       PM_CALL("Stream", "CreateStream", runtime::CreateStreamRequest, Empty),
       {"stream"}},
      {"stream delete",
       "STREAM",
       "delete a stream and its entries",
       PM_CALL("Stream", "DeleteStream", runtime::DeleteStreamRequest, Empty),
       {"stream"}},
      {"stream list",
       "",
       "list streams",
       PM_CALL("Stream", "ListStreams", runtime::ListStreamsRequest, runtime::ListStreamsResponse),
       {},
       false,
       "streams",
       {"stream.namespace", "stream.name", "first_offset", "next_offset", "retention_max_entries",
        "retention_max_age_sec", "consumer_groups"}},
      {"stream append",
       "STREAM ID...",
       "append payloads",
       PM_CALL("Stream", "Append", runtime::AppendRequest, runtime::AppendResponse),
       {"stream", "payload-id"},
       true,
       nullptr,
       {"first_offset", "last_offset"}},
      {"stream read",
       "STREAM",
       "print entries from --start-offset on, at most --max-entries",
       PM_CALL("Stream", "Read", runtime::ReadRequest, runtime::ReadResponse),
       {"stream"},
       false,
       "entries",
       {"offset", "payload_id", "append_time", "event_time", "duration_ns", "tags"}},
      {"stream range",
       "STREAM --start-offset N --end-offset N",
       "print entries, both ends included",
       PM_CALL("Stream", "GetRange", runtime::GetRangeRequest, runtime::GetRangeResponse),
       {"stream"},
       false,
       "entries",
       {"offset", "payload_id", "append_time", "event_time", "duration_ns", "tags"}},
      {"stream subscribe",
       "STREAM",
       "print entries as they come",
       PM_CALL("Stream", "Subscribe", runtime::SubscribeRequest, runtime::SubscribeResponse),
       {"stream"},
       false,
       nullptr,
       {"entry.offset", "entry.payload_id", "entry.append_time", "entry.tags"},
       true},
      {"stream commit",
       "STREAM --consumer-group TEXT --offset N",
       "note how far a group has come",
       PM_CALL("Stream", "Commit", runtime::CommitRequest, Empty),
       {"stream"}},
      {"stream committed",
       "STREAM --consumer-group TEXT",
       "print how far it has come",
       PM_CALL("Stream", "GetCommitted", runtime::GetCommittedRequest,
               runtime::GetCommittedResponse),
       {"stream"},
       false,
       nullptr,
       {"offset", "has_committed"}},
  };
}

std::vector<CallVerb> host_verbs() {
  return {
      {"tier list",
       "",
       "list the tiers, the fastest first",
       PM_CALL("Admin", "ListTiers", admin::ListTiersRequest, admin::ListTiersResponse),
       {},
       false,
       "tiers",
       {"name", "number", "rank", "plugin", "health", "payloads", "copies", "bytes_charged",
        "bytes_capacity", "spill_to", "copies_bad", "health_reason"}},
      {"scrub status",
       "",
       "show what looking for bit rot has found",
       PM_CALL("Admin", "GetScrub", admin::GetScrubRequest, admin::GetScrubResponse),
       {},
       false,
       "passes",
       {"number", "tier", "begun_at", "ended_at", "counts.copies", "counts.bytes", "counts.bad",
        "counts.repaired", "counts.lost", "counts.unreadable"}},
      {"plugin list",
       "",
       "list the plugins that the host has found",
       PM_CALL("Admin", "ListPlugins", admin::ListPluginsRequest, admin::ListPluginsResponse),
       {},
       false,
       "plugins",
       {"id", "version", "kind", "instances", "path"}},
      {"config",
       "",
       "print the configuration in effect, without its secrets",
       PM_CALL("Admin", "GetConfig", admin::GetConfigRequest, admin::GetConfigResponse),
       {}},
  };
}

#undef PM_CALL

}  // namespace

const std::vector<CallVerb>& call_verbs() {
  static const std::vector<CallVerb> all = [] {
    std::vector<CallVerb> list;
    for (auto group :
         {payload_verbs(), document_verbs(), lease_verbs(), stream_verbs(), host_verbs()}) {
      list.insert(list.end(), group.begin(), group.end());
    }
    return list;
  }();
  return all;
}

}  // namespace pm::ctl
