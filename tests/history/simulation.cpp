#include <algorithm>
#include <optional>

#include "simulated_server.h"

// The clients of the simulated server, and their time: at each tick one thing happens.

namespace pm::history {

namespace {

constexpr std::int64_t lease_ticks = 1'000'000'000;

class Simulation {
 public:
  explicit Simulation(const SimulationOptions& options)
      : options_(options), random_(options.seed * 2 + 1), server_(options.bug, options.seed) {
    clients_.resize(options.clients);
  }

  History run() {
    while (history_.size() < options_.operations) tick();
    // Whoever still waits gets an answer, so that the end is looked at as well.
    write_journal();
    for (std::uint32_t client = 0; client < clients_.size(); ++client) settle(client);
    return std::move(history_);
  }

 private:
  enum class Stage { idle, called, moving, answered };
  struct Client {
    Stage stage = Stage::idle;
    std::size_t operation = 0;  // In the history.
    std::uint64_t lsn = 0;
    std::vector<Operation> to_repeat;
    std::vector<std::pair<std::string, std::string>> leases;  // And their payloads.
  };

  bool one_in(std::uint64_t times) { return random_() % times == 0; }

  void write_journal() {
    while (server_.write_journal()) {
    }
  }

  void tick() {
    ++now_;
    if (options_.crash_every != 0 && one_in(options_.crash_every * 4)) return crash();
    if (one_in(options_.journal_every)) write_journal();
    const auto number = static_cast<std::uint32_t>(random_() % clients_.size());
    Client& client = clients_[number];
    switch (client.stage) {
      case Stage::idle: return call(number);
      case Stage::called: return take(client, server_.execute(history_[client.operation]));
      case Stage::moving:
        if (one_in(2)) take(client, server_.finish(history_[client.operation]));
        return;
      case Stage::answered:
        if (client.lsn <= server_.durable_lsn()) answer(client);
    }
  }

  void take(Client& client, const SimulatedServer::Reply& reply) {
    client.stage = reply.waits ? Stage::moving : Stage::answered;
    client.lsn = reply.lsn;
  }

  void answer(Client& client) {
    Operation& operation = history_[client.operation];
    operation.returned_ns = now_;
    client.stage = Stage::idle;
    const bool ok = operation.outcome == Outcome::ok;
    if (ok && operation.kind == Kind::allocate) payloads_.push_back(operation.subject);
    if (ok && operation.kind == Kind::lease) {
      client.leases.emplace_back(operation.seen.lease, operation.subject);
    }
    if (ok && operation.kind == Kind::erase) {
      if (payloads_.size() > options_.payloads) std::erase(payloads_, operation.subject);
    }
    if (ok && !operation.request.empty() && one_in(4)) client.to_repeat.push_back(operation);
  }

  void settle(std::uint32_t number) {
    Client& client = clients_[number];
    for (int turns = 0; client.stage != Stage::idle && turns < 1'000; ++turns) {
      ++now_;
      if (client.stage == Stage::called) {
        take(client, server_.execute(history_[client.operation]));
      } else if (client.stage == Stage::moving) {
        take(client, server_.finish(history_[client.operation]));
      } else {
        write_journal();
        answer(client);
      }
    }
  }

  // What was not answered by then never is.
  void crash() {
    server_.crash();
    for (Client& client : clients_) {
      client.leases.clear();
      if (client.stage == Stage::idle) continue;
      Operation& operation = history_[client.operation];
      operation.outcome = Outcome::unknown;
      operation.seen = Seen{};
      if (operation.kind == Kind::allocate) operation.subject.clear();
      if (!operation.request.empty()) client.to_repeat.push_back(operation);
      client.stage = Stage::idle;
    }
    Operation& crash = history_.emplace_back();
    crash.kind = Kind::crash;
    crash.outcome = Outcome::ok;
    crash.life = life_++;
    crash.invoked_ns = ++now_;
    crash.returned_ns = ++now_;
    ++now_;
  }

  void call(std::uint32_t number) {
    Client& client = clients_[number];
    Operation operation;
    if (!client.to_repeat.empty() && one_in(2)) {
      operation = client.to_repeat.back();
      client.to_repeat.pop_back();
      operation.seen = Seen{};
      if (operation.kind == Kind::allocate) operation.subject.clear();
    } else {
      choose(client, operation);
    }
    operation.outcome = Outcome::unknown;
    operation.client = number;
    operation.life = life_;
    operation.invoked_ns = now_;
    operation.returned_ns = never_ns;
    if (operation.kind == Kind::read) {
      // No call: the bytes are looked at.
      operation.seen.content = server_.bytes_of(operation.asked.lease);
      operation.returned_ns = ++now_;
      operation.outcome = Outcome::ok;
      history_.push_back(std::move(operation));
      return;
    }
    client.operation = history_.size();
    client.stage = Stage::called;
    history_.push_back(std::move(operation));
  }

  std::string text() { return "v" + std::to_string(++counter_); }

  void choose(Client& client, Operation& operation) {
    if (one_in(12)) return choose_stream(operation);
    if (payloads_.size() < options_.payloads && one_in(2)) {
      operation.kind = Kind::allocate;
      operation.asked.place = one_in(3) ? Place::disk : Place::memory;
      return;
    }
    if (payloads_.empty()) {
      operation.kind = Kind::unpin;
      operation.subject = "p0";
      return;
    }
    // The newest ones are the most interesting; some that are gone are asked for, too.
    const std::size_t window = std::min<std::size_t>(payloads_.size(), options_.payloads + 2);
    operation.subject = payloads_[payloads_.size() - 1 - random_() % window];
    if (!client.leases.empty() && one_in(3)) return choose_lease(client, operation);
    choose_for_payload(operation);
    if (operation.kind != Kind::resolve && operation.kind != Kind::lease &&
        operation.kind != Kind::get_metadata && one_in(2)) {
      operation.request = "r" + std::to_string(++counter_);
    }
  }

  void choose_lease(Client& client, Operation& operation) {
    const std::size_t at = random_() % client.leases.size();
    operation.asked.lease = client.leases[at].first;
    operation.subject = client.leases[at].second;
    operation.asked.duration_ns = lease_ticks;
    const auto dice = random_() % 4;
    operation.kind = dice == 0 ? Kind::renew : dice < 3 ? Kind::read : Kind::release;
    if (operation.kind != Kind::release) return;
    client.leases.erase(client.leases.begin() + static_cast<std::ptrdiff_t>(at));
  }

  void choose_for_payload(Operation& operation) {
    Asked& asked = operation.asked;
    static constexpr Kind kinds[] = {
        Kind::commit,   Kind::commit,  Kind::commit,       Kind::commit,       Kind::resolve,
        Kind::resolve,  Kind::lease,   Kind::lease,        Kind::spill,        Kind::spill,
        Kind::promote,  Kind::promote, Kind::pin,          Kind::unpin,        Kind::unpin,
        Kind::labels,   Kind::labels,  Kind::erase,        Kind::abort,        Kind::resolve,
        Kind::erase,    Kind::labels,  Kind::set_metadata, Kind::set_metadata, Kind::get_metadata,
        Kind::add_event};
    operation.kind = kinds[random_() % std::size(kinds)];
    switch (operation.kind) {
      case Kind::commit: asked.content = "written by the owner of " + operation.subject; break;
      case Kind::erase: asked.force = one_in(4); break;
      case Kind::promote: asked.drop_source = one_in(2); break;
      case Kind::lease: asked.duration_ns = lease_ticks; break;
      case Kind::labels: {
        const std::string key(1, static_cast<char>('a' + random_() % 3));
        if (one_in(4)) {
          asked.remove.push_back(key);
        } else {
          asked.set[key] = text();
        }
        break;
      }
      case Kind::set_metadata:
        asked.merge = one_in(2);
        if (!one_in(3)) asked.data = text();
        if (!one_in(3)) asked.schema = text();
        break;
      default: break;
    }
  }

  void choose_stream(Operation& operation) {
    operation.subject = "s1";
    const auto dice = random_() % 8;
    operation.kind = dice == 0 ? Kind::create_stream : dice < 5 ? Kind::append : Kind::read_stream;
    if (operation.kind != Kind::append) return;
    operation.request = "r" + std::to_string(++counter_);
    for (std::uint64_t left = 1 + random_() % 3; left > 0; --left) {
      operation.asked.items.push_back(text());
    }
  }

  const SimulationOptions options_;
  std::minstd_rand random_;
  SimulatedServer server_;
  std::vector<Client> clients_;
  std::vector<std::string> payloads_;
  History history_;
  std::int64_t now_ = 0;
  std::uint32_t life_ = 0;
  std::uint64_t counter_ = 0;
};

}  // namespace

History simulate(const SimulationOptions& options) { return Simulation(options).run(); }

}  // namespace pm::history
