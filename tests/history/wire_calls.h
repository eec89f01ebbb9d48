#pragma once

#include "operation.h"
#include "pm/client/client.h"

// The calls that the client library has no function for. Each fills in what was seen.

namespace pm::history {

Status call_pin(client::Client& client, Operation& operation, const client::PayloadId& id);
Status call_labels(client::Client& client, Operation& operation, const client::PayloadId& id);
Status call_metadata(client::Client& client, Operation& operation, const client::PayloadId& id);
Status call_abort(client::Client& client, Operation& operation, const client::PayloadId& id);
Status call_renew(client::Client& client, Operation& operation);
// Of streams in the namespace "history".
Status call_stream(client::Client& client, Operation& operation);

}  // namespace pm::history
