#include <algorithm>

#include "labels.h"
#include "methods.h"
#include "payload/manager/catalog/v1/catalog.pb.h"

// UpdateLabels.

namespace pm::api {

namespace wire = payload::manager::catalog::v1;

namespace {

void respond_labels(CommandCall& call, const catalog::Reply& reply) {
  wire::UpdateLabelsResponse response;
  fill_labels(reply.view.additions.labels, *response.mutable_labels());
  response.set_version(reply.view.revision);
  call.finish(response);
}

// The keys that are to go, sorted, each once.
Status read_removals(const wire::UpdateLabelsRequest& request, std::vector<std::string>& keys) {
  constexpr int keys_max = 256;
  if (request.remove_size() > keys_max) {
    return status_of(RequestFault::too_many_items,
                     "remove has at most " + std::to_string(keys_max) + " keys");
  }
  for (const std::string& key : request.remove()) {
    if (!is_label_key(key)) {
      return status_of(RequestFault::label_invalid, "remove names what is no key");
    }
    if (request.set().contains(key)) {
      return status_of(RequestFault::label_invalid, "'" + key + "' stands in set and in remove");
    }
  }
  keys.assign(request.remove().begin(), request.remove().end());
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return {};
}

}  // namespace

void update_labels(const Services& services, const Invocation& invocation) {
  wire::UpdateLabelsRequest request;
  catalog::UpdateLabels command;
  if (!parse(invocation, request) || !accepts_changes(services, invocation)) return;
  if (!read_payload_id(invocation, request.id().value(), command.id)) return;
  Status status = read_labels(request.set(), command.set);
  if (status.ok()) status = read_removals(request, command.remove);
  if (!status.ok()) return reply_error(invocation, status, {});
  command.request = request_key(invocation, request.request_id(), request);
  submit(services, invocation, command, &respond_labels, command.id);
}

}  // namespace pm::api
