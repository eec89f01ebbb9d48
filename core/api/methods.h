#pragma once

#include "call.h"

// The methods of the contract. Each parses its request, checks what can be checked without the
// catalog, and answers, at once or by a Call. None blocks.

namespace pm::api {

using Method = void (*)(const Services& services, const Invocation& invocation);

// NULL when this server does not have the method.
Method find_method(std::string_view name);

// Fills `message` from the request, or replies INVALID_ARGUMENT and returns false.
bool parse(const Invocation& invocation, google::protobuf::MessageLite& message);

// Reads a payload id, or replies INVALID_ARGUMENT and returns false.
bool read_payload_id(const Invocation& invocation, const std::string& bytes, catalog::Id& id);

// How many rows a page has: 50 when not said, at most 500. Replies PAGE_SIZE_INVALID and returns
// false for a negative number.
bool read_page_size(const Invocation& invocation, std::int32_t asked, std::uint32_t& count);

// When a wait for room has to end so that the answer still reaches the client; 0: no deadline.
std::uint64_t wait_deadline_ns(const Invocation& invocation);

// Replies JOURNAL_FULL and returns false while no change can be recorded.
bool accepts_changes(const Services& services, const Invocation& invocation);

// Answers a success with google.protobuf.Empty.
void respond_empty(CommandCall& call, const catalog::Reply& reply);

// A hundred years: as long as anything may be asked to last.
inline constexpr std::uint64_t duration_ms_max = 100ULL * 365 * 24 * 3600 * 1000;

// The uid of the caller; PM_NOBODY when unknown.
std::uint32_t caller_uid(const Invocation& invocation);
// The process of the caller; 0 when unknown.
std::int32_t caller_pid(const Invocation& invocation);
// The subject of the caller's certificate, else "uid:1000"; "anonymous" when nothing is known.
std::string caller_name(const Invocation& invocation);

// payload_methods.cpp
void allocate_payload(const Services& services, const Invocation& invocation);
void commit_payload(const Services& services, const Invocation& invocation);
void import_payload(const Services& services, const Invocation& invocation);
void delete_payload(const Services& services, const Invocation& invocation);
void abort_allocation(const Services& services, const Invocation& invocation);
// placement_methods.cpp
void promote_payload(const Services& services, const Invocation& invocation);
void spill_payloads(const Services& services, const Invocation& invocation);
void prefetch_payload(const Services& services, const Invocation& invocation);
void pin_payload(const Services& services, const Invocation& invocation);
void unpin_payload(const Services& services, const Invocation& invocation);
// read_methods.cpp
void resolve_snapshot(const Services& services, const Invocation& invocation);
void stats(const Services& services, const Invocation& invocation);
// list_methods.cpp
void list_payloads(const Services& services, const Invocation& invocation);
// label_methods.cpp
void update_labels(const Services& services, const Invocation& invocation);
// metadata_methods.cpp, metadata_event_methods.cpp
void update_payload_metadata(const Services& services, const Invocation& invocation);
void get_payload_metadata(const Services& services, const Invocation& invocation);
void append_payload_metadata_event(const Services& services, const Invocation& invocation);
void list_payload_metadata_events(const Services& services, const Invocation& invocation);
// lineage_methods.cpp
void add_lineage(const Services& services, const Invocation& invocation);
void get_lineage(const Services& services, const Invocation& invocation);
// lease_methods.cpp
void acquire_read_lease(const Services& services, const Invocation& invocation);
void release_lease(const Services& services, const Invocation& invocation);
void renew_lease(const Services& services, const Invocation& invocation);
void list_leases(const Services& services, const Invocation& invocation);
// batch_methods.cpp
void batch_allocate(const Services& services, const Invocation& invocation);
void batch_commit(const Services& services, const Invocation& invocation);
void batch_delete(const Services& services, const Invocation& invocation);
void batch_acquire_read_lease(const Services& services, const Invocation& invocation);
void batch_release_lease(const Services& services, const Invocation& invocation);
// stream_methods.cpp
void create_stream(const Services& services, const Invocation& invocation);
void delete_stream(const Services& services, const Invocation& invocation);
void append_to_stream(const Services& services, const Invocation& invocation);
void commit_offset(const Services& services, const Invocation& invocation);
void get_committed(const Services& services, const Invocation& invocation);
void list_streams(const Services& services, const Invocation& invocation);
// stream_read_methods.cpp
void read_stream(const Services& services, const Invocation& invocation);
void get_range(const Services& services, const Invocation& invocation);
void subscribe(const Services& services, const Invocation& invocation);

// watch_methods.cpp
void watch(const Services& services, const Invocation& invocation);
// inspect_methods.cpp
void list_tiers(const Services& services, const Invocation& invocation);
void list_plugins(const Services& services, const Invocation& invocation);
void get_config(const Services& services, const Invocation& invocation);
// scrub_methods.cpp
void scrub(const Services& services, const Invocation& invocation);
void get_scrub(const Services& services, const Invocation& invocation);
// policy_methods.cpp
void get_policies(const Services& services, const Invocation& invocation);
void reload_policies(const Services& services, const Invocation& invocation);
// explain_methods.cpp
void explain(const Services& services, const Invocation& invocation);

}  // namespace pm::api
