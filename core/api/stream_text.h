#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "call.h"
#include "core/catalog/stream.h"
#include "core/ledger/stream_schema.h"
#include "google/protobuf/timestamp.pb.h"
#include "payload/manager/runtime/v1/stream.pb.h"

// Streams between the wire and the catalog: names, times, entries.

namespace pm::api {

// Or replies STREAM_NAME_INVALID and returns false.
bool read_stream_name(const Invocation& invocation,
                      const payload::manager::runtime::v1::StreamID& id, catalog::StreamName& name);

// "namespace/name", or the name alone.
std::string to_text(const catalog::StreamName& name);
ErrorFacts facts_of(const catalog::StreamName& name);

// False: not within the years 1970 to 2262.
bool read_time(const google::protobuf::Timestamp& time, std::int64_t& ns);

// What a producer gave, as it is kept. Replies and returns false when something cannot be kept.
bool read_item(const Invocation& invocation, const payload::manager::runtime::v1::AppendItem& item,
               catalog::StreamItem& out);

void write_entry(const catalog::StreamName& name, const ledger::StreamEntryRow& row,
                 payload::manager::runtime::v1::StreamEntry& entry);

// A serialized SubscribeResponse with the entry.
std::string subscribe_response(const catalog::StreamName& name, const ledger::StreamEntryRow& row);

}  // namespace pm::api
