#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "documents.h"
#include "google/protobuf/empty.pb.h"
#include "ids.h"
#include "lineage_walk.h"
#include "payload/manager/catalog/v1/lineage.pb.h"
#include "turns.h"

// Which payload was made from which: add and get.

namespace pm::api {

namespace wire = payload::manager::catalog::v1;
using catalog::Catalog;
using catalog::Clocks;

namespace {

constexpr std::size_t parameters_bytes_max = 64 << 10;
constexpr int attempts_max = 3;
constexpr LineageLimits server_limits{64, 10'000, 2 << 20};

catalog::Id fingerprint_of(const wire::LineageEdge& edge) {
  std::string all = std::to_string(edge.operation().size()) + ' ' +
                    std::to_string(edge.role().size()) + ' ' + edge.operation() + edge.role() +
                    edge.parameters();
  const XXH128_hash_t hash = XXH3_128bits(all.data(), all.size());
  catalog::Id fingerprint;
  static_assert(sizeof hash == sizeof fingerprint.bytes);
  std::memcpy(fingerprint.bytes.data(), &hash, sizeof hash);
  return fingerprint;
}

bool is_same(const catalog::LineageEdge& a, const catalog::LineageEdge& b) {
  return a.parent == b.parent && a.fingerprint == b.fingerprint;
}

bool contains(const catalog::LineageEdges& edges, const catalog::LineageEdge& edge) {
  return std::any_of(edges.begin(), edges.end(),
                     [&](const catalog::LineageEdge& other) { return is_same(other, edge); });
}

// Adds edges. When the catalog does not know by itself that they are new and close no cycle, that
// is looked up first; those who must search for cycles do it one at a time, as each could make the
// other's answer wrong.
class AddLineageCall final : public Call, private ledger::ReplyHandler {
 public:
  AddLineageCall(const Services& services, const Invocation& invocation, const catalog::Id& child,
                 catalog::LineageEdges edges, const catalog::RequestKey& request)
      : Call(services, invocation), given_(std::move(edges)) {
    command_.ticket = ledger::ticket_of(this);
    command_.request = request;
    command_.child = child;
  }

  void attempt();
  // It waits for nothing but the repository.
  void cancel() override {}

 private:
  void look_up();
  void search();
  void submit();
  void refuse(const Status& status);
  void end_turn();
  void on_reply(const catalog::Reply& reply) override;

  const catalog::LineageEdges given_;
  catalog::AddLineage command_;
  catalog::LineageNeeds needs_;
  std::optional<CycleSearch> search_;
  bool has_turn_ = false;
  int attempts_ = 0;
};

void AddLineageCall::attempt() {
  needs_ = services().ledger.read([this](const Catalog& catalog, const Clocks& now) {
    return catalog.lineage_needs(command_.child, given_, now);
  });
  if (needs_.search && !has_turn_) {
    return services().lineage_turns.take([this](bool can_read) {
      has_turn_ = true;
      if (!can_read) return refuse(status_of(catalog::Reason::shutting_down));
      attempt();
    });
  }
  ++attempts_;
  command_.seen_lsn = needs_.seen_lsn;
  command_.edges = std::make_shared<const catalog::LineageEdges>(given_);
  command_.knows_edges = needs_.edges;
  command_.knows_no_cycle = needs_.search;
  if (!needs_.edges && !needs_.search) return submit();
  services().reader.after(needs_.lsn, [this](bool can_read) {
    if (!can_read) return refuse(status_of(catalog::Reason::shutting_down));
    look_up();
  });
}

// Leaves out what is there already.
void AddLineageCall::look_up() {
  catalog::LineageEdges known;
  const Status status = visit_edges(services().reader, command_.child, Direction::upstream, 0,
                                    [&](ledger::LineageRow row) {
                                      known.push_back(std::move(row.edge));
                                      return true;
                                    });
  if (!status.ok()) return refuse(read_failed(status));
  catalog::LineageEdges added;
  for (const catalog::LineageEdge& edge : given_) {
    if (!contains(known, edge)) added.push_back(edge);
  }
  command_.edges = std::make_shared<const catalog::LineageEdges>(std::move(added));
  if (!needs_.search || command_.edges->empty()) return submit();
  search_.emplace(services().reader, command_.child, *command_.edges);
  search();
}

void AddLineageCall::search() {
  if (!search_->advance()) {
    return services().reader.after(0, [this](bool can_read) {
      if (!can_read) return refuse(status_of(catalog::Reason::shutting_down));
      search();
    });
  }
  if (!search_->status().ok()) return refuse(read_failed(search_->status()));
  if (search_->found()) return refuse(status_of(catalog::Reason::lineage_cycle));
  submit();
}

void AddLineageCall::submit() { services().ledger.submit(command_); }

void AddLineageCall::end_turn() {
  if (std::exchange(has_turn_, false)) services().lineage_turns.pass();
}

void AddLineageCall::refuse(const Status& status) {
  end_turn();
  finish(status, {{"payload", to_text(command_.child)}});
}

void AddLineageCall::on_reply(const catalog::Reply& reply) {
  if (reply.reason == catalog::Reason::conflict && attempts_ < attempts_max) return attempt();
  end_turn();
  if (reply.reason == catalog::Reason::none) return finish(google::protobuf::Empty());
  const bool is_parent = reply.first_number != 0 && reply.first_number <= command_.edges->size();
  const catalog::Id& subject =
      is_parent ? (*command_.edges)[reply.first_number - 1].parent : command_.child;
  finish(status_of(reply), {{"payload", to_text(subject)}});
}

// Each edge once; false when one is wrong, which has been replied.
bool read_edges(const Invocation& invocation, const wire::AddLineageRequest& request,
                const catalog::Id& child, catalog::LineageEdges& edges) {
  for (const wire::LineageEdge& message : request.parents()) {
    catalog::LineageEdge edge;
    if (!read_payload_id(invocation, message.parent().value(), edge.parent)) return false;
    if (edge.parent == child) {
      reply_error(invocation, RequestFault::lineage_self_edge, to_text(child));
      return false;
    }
    if (!fits(invocation, "parents.operation", message.operation()) ||
        !fits(invocation, "parents.role", message.role()) ||
        !fits(invocation, "parents.parameters", message.parameters(), parameters_bytes_max)) {
      return false;
    }
    edge.fingerprint = fingerprint_of(message);
    if (contains(edges, edge)) continue;
    edge.operation = message.operation();
    edge.role = message.role();
    edge.parameters = message.parameters();
    edges.push_back(std::move(edge));
  }
  return true;
}

// ---- get ----

struct LineageAnswer {
  LineageAnswer(const Services& services, const Invocation& made, const catalog::Id& id,
                Direction direction, const LineageLimits& limits)
      : invocation(kept(made)),
        reader(services.reader),
        walk(services.reader, id, direction, limits) {}

  const Invocation invocation;
  RepositoryReader& reader;
  LineageWalk walk;
};

void reply_edges(const LineageAnswer& answer) {
  if (!answer.walk.status().ok()) {
    return reply_error(answer.invocation, read_failed(answer.walk.status()), {});
  }
  wire::GetLineageResponse response;
  for (const LineageWalk::Found& found : answer.walk.edges()) {
    const catalog::LineageEdge& edge = found.row.edge;
    wire::LineageEdge& message = *response.add_edges();
    message.mutable_parent()->set_value(edge.parent.bytes.data(), edge.parent.bytes.size());
    message.mutable_child()->set_value(found.row.child.bytes.data(), found.row.child.bytes.size());
    message.set_operation(edge.operation);
    message.set_role(edge.role);
    message.set_parameters(edge.parameters);
    message.set_depth(found.depth);
  }
  response.set_truncated(answer.walk.truncated());
  reply_message(answer.invocation, response);
}

void walk_on(const std::shared_ptr<LineageAnswer>& answer, std::uint64_t lsn) {
  answer->reader.after(lsn, [answer](bool can_read) {
    if (!can_read) return reply_error(answer->invocation, catalog::Reason::shutting_down);
    if (!answer->walk.advance()) return walk_on(answer, 0);
    reply_edges(*answer);
  });
}

std::uint32_t limit_of(std::uint32_t asked, std::uint32_t most) {
  return asked == 0 ? most : std::min(asked, most);
}

}  // namespace

void add_lineage(const Services& services, const Invocation& invocation) {
  wire::AddLineageRequest request;
  catalog::Id child;
  if (!parse(invocation, request) || !accepts_changes(services, invocation)) return;
  if (!read_payload_id(invocation, request.child().value(), child)) return;
  if (request.parents().empty()) return reply_error(invocation, RequestFault::no_items, "parents");
  if (static_cast<std::size_t>(request.parents_size()) > catalog::lineage_edges_max) {
    return reply_error(invocation, RequestFault::too_many_items,
                       "at most " + std::to_string(catalog::lineage_edges_max) + " parents");
  }
  catalog::LineageEdges edges;
  if (!read_edges(invocation, request, child, edges)) return;
  (new AddLineageCall(services, invocation, child, std::move(edges),
                      request_key(invocation, request.request_id())))
      ->attempt();
}

void get_lineage(const Services& services, const Invocation& invocation) {
  wire::GetLineageRequest request;
  catalog::Id id;
  if (!parse(invocation, request)) return;
  if (!read_payload_id(invocation, request.id().value(), id)) return;
  LineageLimits limits = server_limits;
  limits.depth_max = limit_of(request.max_depth(), server_limits.depth_max);
  limits.edges_max = limit_of(request.edges_max(), server_limits.edges_max);
  // What this payload is part of already is seen.
  const std::uint64_t lsn = services.ledger.read(
      [&](const Catalog& catalog, const Clocks& now) { return catalog.describe(id, now).lsn; });
  const Direction direction = request.upstream() ? Direction::upstream : Direction::downstream;
  walk_on(std::make_shared<LineageAnswer>(services, invocation, id, direction, limits), lsn);
}

}  // namespace pm::api
