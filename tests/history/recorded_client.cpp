#include "recorded_client.h"

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "content.h"
#include "wire_calls.h"

namespace pm::history {

namespace {

constexpr std::uint64_t lease_ms = 3'000;
constexpr std::size_t payloads_max = 10;
constexpr std::size_t leases_max = 3;
constexpr char stream_name[] = "log";

Place place_of(client::Tier tier) {
  if (tier == client::Tier::ram) return Place::memory;
  return tier == client::Tier::disk ? Place::disk : Place::nowhere;
}

client::Tier tier_of(Place place) {
  return place == Place::disk ? client::Tier::disk : client::Tier::ram;
}

// Of answers that a good host may give.
std::optional<Refusal> refusal_of(const std::string& reason) {
  static const std::map<std::string, Refusal> refusals = {
      {"PAYLOAD_NOT_FOUND", Refusal::not_found},
      {"STREAM_NOT_FOUND", Refusal::not_found},
      {"PAYLOAD_NOT_COMMITTED", Refusal::not_committed},
      {"PAYLOAD_ALREADY_COMMITTED", Refusal::already_committed},
      {"PAYLOAD_LEASED", Refusal::leased},
      {"PAYLOAD_PINNED", Refusal::pinned},
      {"PAYLOAD_BUSY", Refusal::busy},
      {"LEASE_NOT_FOUND", Refusal::lease_not_found},
      {"CONFLICT", Refusal::other},
      {"TIER_FULL", Refusal::other},
      {"STREAM_EXISTS", Refusal::other},
  };
  const auto found = refusals.find(reason);
  if (found == refusals.end()) return std::nullopt;
  return found->second;
}

void show(const client::Descriptor& descriptor, Seen& seen) {
  seen.revision = descriptor.version;
  seen.place = place_of(descriptor.tier);
}

}  // namespace

// ---- what all know ----

void SharedPayloads::add(Known known) {
  const std::lock_guard lock(mutex_);
  known_.push_back(std::move(known));
}

std::optional<SharedPayloads::Known> SharedPayloads::take_any(std::uint64_t random) {
  const std::lock_guard lock(mutex_);
  if (known_.empty()) return std::nullopt;
  // The newest two are what everybody wants.
  const std::size_t hot = std::min<std::size_t>(known_.size(), 2);
  if (random % 2 == 0) return known_[known_.size() - 1 - random / 2 % hot];
  return known_[random / 2 % known_.size()];
}

void SharedPayloads::remove(const client::PayloadId& id) {
  const std::lock_guard lock(mutex_);
  std::erase_if(known_, [&](const Known& known) { return known.id == id; });
}

std::size_t SharedPayloads::size() {
  const std::lock_guard lock(mutex_);
  return known_.size();
}

std::vector<SharedPayloads::Known> SharedPayloads::all() {
  const std::lock_guard lock(mutex_);
  return known_;
}

// ---- one life ----

RecordedClient::RecordedClient(std::uint32_t number, std::uint32_t seed, SharedPayloads& shared)
    : number_(number), random_(seed), shared_(shared), recorder_(number) {}

void RecordedClient::begin_life(client::Client client, std::uint32_t life) {
  client_ = std::move(client);
  recorder_.set_life(life);
  gone_ = false;
  look_at_old_leases();
}

void RecordedClient::live(client::Client client, std::uint32_t life,
                          const std::atomic<bool>& stop) {
  begin_life(std::move(client), life);
  repeat_some();
  while (!gone_ && !stop) {
    const auto dice = random_() % 100;
    if (shared_.size() < payloads_max && dice < 30) {
      put();
    } else if (dice < 40 && !leases_.empty()) {
      use_lease();
    } else if (dice < 46) {
      use_stream();
    } else if (const auto known = shared_.take_any(random_())) {
      perform(choose(*known));
    }
  }
}

void RecordedClient::look_round(client::Client client, std::uint32_t life) {
  begin_life(std::move(client), life);
  for (const SharedPayloads::Known& known : shared_.all()) {
    Operation wish;
    wish.subject = known.id.to_string();
    for (const Kind kind : {Kind::resolve, Kind::get_metadata, Kind::labels, Kind::lease}) {
      wish.kind = kind;
      wish.asked.duration_ns = static_cast<std::int64_t>(lease_ms) * 1'000'000;
      perform(wish);
    }
  }
  Operation wish;
  wish.kind = Kind::read_stream;
  wish.subject = stream_name;
  perform(wish);
}

// Leases outlive the host that gave them: their bytes stay until they end.
void RecordedClient::look_at_old_leases() {
  for (Held& held : leases_) {
    Operation& read = recorder_.invoke(Kind::read, held.payload);
    read.asked.lease = held.id;
    read.seen.content = integration::sha256(held.lease.bytes());
    Recorder::ok(read);
  }
  leases_.clear();
}

void RecordedClient::repeat_some() {
  std::vector<Operation> wishes = std::move(to_repeat_);
  to_repeat_.clear();
  for (const Operation& wish : wishes) {
    if (random_() % 3 != 0 && !gone_) perform(wish);
  }
}

std::string RecordedClient::new_text(const char* prefix) {
  return prefix + std::to_string(number_) + "-" + std::to_string(++counter_);
}

// ---- what to do ----

Operation RecordedClient::choose(const SharedPayloads::Known& known) {
  static constexpr Kind kinds[] = {
      Kind::commit,       Kind::resolve,   Kind::resolve, Kind::resolve,      Kind::lease,
      Kind::lease,        Kind::lease,     Kind::promote, Kind::promote,      Kind::spill,
      Kind::spill,        Kind::spill,     Kind::pin,     Kind::unpin,        Kind::unpin,
      Kind::labels,       Kind::labels,    Kind::labels,  Kind::set_metadata, Kind::set_metadata,
      Kind::get_metadata, Kind::add_event, Kind::erase,   Kind::abort};
  Operation wish;
  wish.kind = kinds[random_() % std::size(kinds)];
  wish.subject = known.id.to_string();
  if (wish.kind == Kind::lease && leases_.size() >= leases_max) wish.kind = Kind::resolve;
  wish.asked.duration_ns = static_cast<std::int64_t>(lease_ms) * 1'000'000;
  if (wish.kind == Kind::commit) wish.asked.content = known.content;
  choose_changes(wish);
  const bool looks =
      wish.kind == Kind::resolve || wish.kind == Kind::lease || wish.kind == Kind::get_metadata;
  if (!looks && random_() % 2 == 0) wish.request = new_text("r");
  return wish;
}

void RecordedClient::choose_changes(Operation& wish) {
  Asked& asked = wish.asked;
  switch (wish.kind) {
    case Kind::erase: asked.force = random_() % 3 == 0; break;
    case Kind::promote:
      asked.place = Place::memory;
      asked.drop_source = random_() % 2 == 0;
      break;
    case Kind::spill: asked.place = Place::disk; break;
    case Kind::labels: {
      const std::string key(1, static_cast<char>('a' + random_() % 3));
      const auto dice = random_() % 4;
      if (dice == 0) asked.remove.push_back(key);
      if (dice > 1) asked.set[key] = new_text("v");
      break;
    }
    case Kind::set_metadata:
      asked.merge = random_() % 2 == 0;
      if (random_() % 3 != 0) asked.data = new_text("d");
      if (random_() % 3 != 0) asked.schema = new_text("s");
      break;
    default: break;
  }
}

// Others learn of it before it is committed, and may be faster.
void RecordedClient::put() {
  client::CreateOptions options;
  options.tier = random_() % 4 == 0 ? client::Tier::disk : client::Tier::ram;
  options.layout = random_() % 2 == 0 ? client::Layout::slab : client::Layout::segment;
  Operation& allocated = recorder_.invoke(Kind::allocate, {});
  allocated.asked.place = place_of(options.tier);
  auto payload = client_->create(1 + random_() % 32'768, options);
  if (!settle(allocated, payload.status()) || !payload) return;
  show(payload->descriptor(), allocated.seen);
  allocated.subject = payload->id().to_string();
  integration::fill(payload->bytes(), random_());
  const std::string content = integration::sha256(payload->bytes());
  shared_.add({payload->id(), content});
  Operation& committed =
      recorder_.invoke(Kind::commit, allocated.subject, random_() % 2 == 0 ? new_text("r") : "");
  committed.asked.content = content;
  const auto descriptor = payload->commit(committed.request);
  if (descriptor) show(*descriptor, committed.seen);
  const bool known = settle(committed, descriptor.status());
  if (!known && !committed.request.empty()) to_repeat_.push_back(committed);
  if (!descriptor) give_up(*payload);
}

// A handle that was not committed deletes its payload when it goes; so does this, but recorded.
void RecordedClient::give_up(client::WritablePayload& payload) {
  Operation& erased = recorder_.invoke(Kind::erase, payload.id().to_string());
  const Status status = payload.discard();
  settle(erased, status);
  // Then its destructor tries once more, and nobody hears how that ended.
  if (!status.ok()) recorder_.invoke(Kind::erase, payload.id().to_string());
}

void RecordedClient::use_lease() {
  const std::size_t at = random_() % leases_.size();
  Held& held = leases_[at];
  const auto dice = random_() % 4;
  if (dice < 2) {
    Operation& read = recorder_.invoke(Kind::read, held.payload);
    read.asked.lease = held.id;
    read.seen.content = integration::sha256(held.lease.bytes());
    return Recorder::ok(read);
  }
  Operation& operation = recorder_.invoke(dice == 2 ? Kind::renew : Kind::release, held.payload);
  operation.asked.lease = held.id;
  operation.asked.duration_ns = static_cast<std::int64_t>(lease_ms) * 1'000'000;
  if (operation.kind == Kind::renew) {
    settle(operation, call_renew(*client_, operation));
    return;
  }
  settle(operation, held.lease.release());
  leases_.erase(leases_.begin() + static_cast<std::ptrdiff_t>(at));
}

void RecordedClient::use_stream() {
  Operation wish;
  wish.subject = stream_name;
  const auto dice = random_() % 6;
  wish.kind = dice == 0 && counter_ < 5 ? Kind::create_stream
              : dice < 4                ? Kind::append
                                        : Kind::read_stream;
  if (wish.kind == Kind::read_stream) {
    constexpr std::uint64_t entries = 20;
    wish.asked.offset = stream_end_ - std::min(stream_end_, entries);
  }
  if (wish.kind == Kind::append) {
    const auto named = shared_.take_any(random_());
    if (!named) return;
    wish.asked.payload = named->id.to_string();
    wish.request = new_text("r");
    for (auto left = 1 + random_() % 3; left > 0; --left) {
      wish.asked.items.push_back(new_text("e"));
    }
  }
  perform(wish);
}

// ---- doing it ----

void RecordedClient::perform(const Operation& wish) {
  Operation& operation = recorder_.invoke(wish.kind, wish.subject, wish.request);
  operation.asked = wish.asked;
  const Status status = call(operation);
  const bool known = settle(operation, status);
  if (!known && !operation.request.empty()) to_repeat_.push_back(wish);
  if (operation.kind == Kind::read_stream && status.ok()) {
    stream_end_ = operation.seen.next_offset;
  }
  // What is gone is asked for some more times.
  if (status.reason() == "PAYLOAD_NOT_FOUND" && random_() % 8 == 0) {
    const auto id = client::PayloadId::parse(operation.subject);
    if (id) shared_.remove(*id);
  }
}

Status RecordedClient::call(Operation& operation) {
  switch (operation.kind) {
    case Kind::create_stream:
    case Kind::append:
    case Kind::read_stream: return call_stream(*client_, operation);
    default: break;
  }
  const auto id = client::PayloadId::parse(operation.subject);
  if (!id) return id.status();
  switch (operation.kind) {
    case Kind::commit: {
      const auto descriptor = client_->commit(*id, operation.request);
      if (descriptor) show(*descriptor, operation.seen);
      return descriptor.status();
    }
    case Kind::resolve: {
      const auto descriptor = client_->resolve(*id);
      if (descriptor) show(*descriptor, operation.seen);
      return descriptor.status();
    }
    case Kind::erase: return client_->erase(*id, operation.asked.force, operation.request);
    case Kind::abort: return call_abort(*client_, operation, *id);
    case Kind::lease: return open(operation, *id);
    case Kind::promote:
    case Kind::spill: return move(operation, *id);
    case Kind::pin:
    case Kind::unpin: return call_pin(*client_, operation, *id);
    case Kind::labels: return call_labels(*client_, operation, *id);
    default: return call_metadata(*client_, operation, *id);
  }
}

Status RecordedClient::open(Operation& operation, const client::PayloadId& id) {
  client::LeaseOptions options;
  options.duration_ms = lease_ms;
  options.holder = "client " + std::to_string(number_);
  auto lease = client_->open(id, options);
  if (!lease) return lease.status();
  show(lease->descriptor(), operation.seen);
  operation.seen.lease = lease->lease().id.to_string();
  operation.seen.content = integration::sha256(lease->bytes());
  leases_.push_back({*std::move(lease), operation.seen.lease, operation.subject});
  return {};
}

Status RecordedClient::move(Operation& operation, const client::PayloadId& id) {
  if (operation.kind == Kind::promote) {
    client::PromoteOptions options;
    options.drop_source = operation.asked.drop_source;
    options.request_id = operation.request;
    const auto descriptor = client_->promote(id, tier_of(operation.asked.place), options);
    if (descriptor) show(*descriptor, operation.seen);
    return descriptor.status();
  }
  client::SpillOptions options;
  options.to = tier_of(operation.asked.place);
  options.request_id = operation.request;
  const auto outcomes = client_->spill(std::span(&id, 1), options);
  if (!outcomes) return outcomes.status();
  const client::SpillOutcome& outcome = outcomes->front();
  if (outcome.descriptor) show(*outcome.descriptor, operation.seen);
  return outcome.status;
}

bool RecordedClient::settle(Operation& operation, const Status& status) {
  if (status.ok()) {
    Recorder::ok(operation);
    return true;
  }
  const auto refusal = refusal_of(status.reason());
  if (refusal) {
    // An append may be refused for what it names; that says nothing about the stream.
    const bool named = operation.kind == Kind::append && status.reason() != "STREAM_NOT_FOUND";
    Recorder::refused(operation, named ? Refusal::other : *refusal);
    return true;
  }
  gone_ = true;
  if (status.code() != Code::unavailable && status.code() != Code::cancelled) {
    strange_.push_back(to_text(operation) + ": " + status.to_string());
  }
  return false;
}

}  // namespace pm::history
