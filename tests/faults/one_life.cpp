#include "one_life.h"

namespace pm::faults {

using namespace integration;

void OneLife::violate(const std::string& what) { violations_.push_back(what); }

void OneLife::note(const std::string& step, const Status& status) {
  answers_.push_back({step, status});
}

void OneLife::see_version(std::uint64_t version) {
  if (version < version_) {
    violate("the revision went back from " + std::to_string(version_) + " to " +
            std::to_string(version));
  }
  version_ = version;
}

void OneLife::commit() {
  const std::string request = "commit " + id_.to_string();
  const auto committed = made_->commit(request);
  note("commit", committed.status());
  if (!committed) return;
  is_committed_ = true;
  see_version(committed->version);
  const auto again = client_.commit(id_, request);
  note("commit again", again.status());
  if (again.ok() && again->version != committed->version) violate("a repeat has another answer");
}

void OneLife::read(const std::string& step) {
  if (!is_committed_) return;
  const auto found = digest_of(client_, id_);
  note(step, found.status());
  if (found.ok() && *found != digest_) violate("other bytes at " + step);
}

void OneLife::move_down() {
  const auto spilled = client_.spill(std::span(&id_, 1), {.to = client::Tier::disk});
  const Status status = spilled.ok() ? spilled->front().status : spilled.status();
  note("spill", status);
  if (status.ok() && spilled->front().descriptor) {
    see_version(spilled->front().descriptor->version);
  }
}

void OneLife::move_up() {
  const auto promoted = client_.promote(
      id_, client::Tier::ram, {.drop_source = options_.drop_source, .layout = options_.layout});
  note("promote", promoted.status());
  if (promoted.ok()) see_version(promoted->version);
}

void OneLife::run() {
  auto made =
      client_.create(options_.size_bytes, {.tier = options_.tier, .layout = options_.layout});
  note("allocate", made.status());
  if (!made) return;
  id_ = made->id();
  version_ = made->descriptor().version;
  fill(made->bytes(), options_.seed);
  digest_ = sha256(made->bytes());
  made_.emplace(*std::move(made));
  commit();
  if (!is_committed_) return;
  read("read");
  move_down();
  if (options_.reads_below) read("read below");
  move_up();
  const auto lease = client_.open(id_);
  note("lease", lease.status());
  if (lease.ok()) {
    if (sha256(lease->bytes()) != digest_) violate("other bytes under a lease");
    if (client_.erase(id_).code() != Code::aborted) violate("deleted under a lease");
    if (sha256(lease->bytes()) != digest_) violate("the lease did not hold the bytes");
  }
}

void OneLife::settle(bool may_be_lost) {
  if (!made_) return;
  if (!is_committed_) {
    commit();
    if (!is_committed_) violate("cannot be committed: " + answers_.back().status.to_string());
  }
  if (!is_committed_) return;
  // A move compares the bytes with their checksum where a lease cannot.
  for (void (OneLife::*move)() : {&OneLife::move_down, &OneLife::move_up}) {
    (this->*move)();
    const Answer& moved = answers_.back();
    const bool is_lost = may_be_lost && moved.status.code() == Code::data_loss;
    if (!moved.status.ok() && !is_lost) {
      violate(moved.step + " in the end: " + moved.status.to_string());
    }
  }
  const auto found = digest_of(client_, id_);
  if (found.ok()) {
    if (*found != digest_) violate("other bytes in the end");
  } else if (may_be_lost && found.status().code() == Code::data_loss) {
    is_lost_ = true;
  } else {
    violate("cannot be read in the end: " + found.status().to_string());
  }
  if (const Status erased = client_.erase(id_); !erased.ok()) {
    violate("cannot be deleted: " + erased.to_string());
  }
  if (client_.resolve(id_).status().code() != Code::not_found) violate("is there when deleted");
}

}  // namespace pm::faults
