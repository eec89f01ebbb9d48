#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "check.h"

// What holds over time, whatever the order within it. `history` is sorted by invocation.

namespace pm::history {

namespace {

using Operations = std::vector<const Operation*>;
using Subjects = std::unordered_map<std::string, Operations>;

void find(std::vector<Finding>& findings, const char* rule, const Operation& before,
          const Operation& after) {
  findings.push_back({rule, after.subject, "\n    " + to_text(before) + "\n  * " + to_text(after)});
}

// What nobody can be told of a payload that is gone, unless it was told before.
bool shows_life(const Operation& operation) {
  if (operation.outcome != Outcome::ok || !operation.request.empty()) return false;
  switch (operation.kind) {
    case Kind::release:
    case Kind::read:
    case Kind::unpin: return false;
    default: return true;
  }
}

void check_deleted(const Operations& operations, std::vector<Finding>& findings) {
  const Operation* gone = nullptr;
  for (const Operation* operation : operations) {
    const bool ends = operation->kind == Kind::erase || operation->kind == Kind::abort;
    if (!ends || operation->outcome != Outcome::ok) continue;
    if (gone == nullptr || operation->returned_ns < gone->returned_ns) gone = operation;
  }
  if (gone == nullptr) return;
  for (const Operation* operation : operations) {
    if (operation->invoked_ns <= gone->returned_ns || !shows_life(*operation)) continue;
    return find(findings, "deleted_stays_deleted", *gone, *operation);
  }
}

// The writer's own word is what counts: a commit says what was written, whatever became of it.
void check_leased(const Operations& operations, std::vector<Finding>& findings) {
  const Operation* written = nullptr;
  std::map<std::string, const Operation*> leases;
  std::map<std::string, std::int64_t> until_ns;
  std::map<std::string, std::int64_t> released_ns;
  for (const Operation* operation : operations) {
    const Asked& asked = operation->asked;
    if (operation->kind == Kind::commit) written = operation;
    if (operation->kind == Kind::lease && operation->outcome == Outcome::ok) {
      leases[operation->seen.lease] = operation;
      until_ns[operation->seen.lease] = operation->invoked_ns + asked.duration_ns;
    }
    if (operation->kind == Kind::renew && operation->outcome == Outcome::ok) {
      std::int64_t& until = until_ns[asked.lease];
      until = std::max(until, operation->invoked_ns + asked.duration_ns);
    }
    if (operation->kind == Kind::release) {
      released_ns.try_emplace(asked.lease, operation->invoked_ns);
    }
  }
  for (const Operation* operation : operations) {
    if (operation->kind != Kind::lease && operation->kind != Kind::read) continue;
    if (operation->outcome != Outcome::ok || operation->seen.content.empty()) continue;
    const bool is_read = operation->kind == Kind::read;
    const std::string& lease = is_read ? operation->asked.lease : operation->seen.lease;
    const auto end = until_ns.find(lease);
    if (end == until_ns.end() || operation->returned_ns >= end->second) continue;
    const auto released = released_ns.find(lease);
    if (released != released_ns.end() && operation->returned_ns > released->second) continue;
    if (written != nullptr && written->asked.content == operation->seen.content) continue;
    return find(findings, "leased_bytes_stay", written != nullptr ? *written : *leases.at(lease),
                *operation);
  }
}

bool shows_revision(const Operation& operation) {
  // A repeat is answered with what was true the first time.
  return operation.outcome == Outcome::ok && operation.seen.revision != 0 &&
         operation.request.empty();
}

void check_revisions(const Operations& operations, std::vector<Finding>& findings) {
  Operations by_return;
  for (const Operation* operation : operations) {
    if (shows_revision(*operation)) by_return.push_back(operation);
  }
  std::sort(by_return.begin(), by_return.end(),
            [](const Operation* a, const Operation* b) { return a->returned_ns < b->returned_ns; });
  const Operation* highest = nullptr;
  auto returned = by_return.begin();
  std::map<std::uint64_t, const Operation*> places;
  for (const Operation* operation : operations) {
    if (!shows_revision(*operation)) continue;
    while (returned != by_return.end() && (*returned)->returned_ns < operation->invoked_ns) {
      if (highest == nullptr || (*returned)->seen.revision > highest->seen.revision) {
        highest = *returned;
      }
      ++returned;
    }
    if (highest != nullptr && operation->seen.revision < highest->seen.revision) {
      return find(findings, "revision_grows", *highest, *operation);
    }
    if (operation->seen.place == Place::nowhere) continue;
    const auto [first, is_new] = places.try_emplace(operation->seen.revision, operation);
    if (!is_new && first->second->seen.place != operation->seen.place) {
      return find(findings, "revision_grows", *first->second, *operation);
    }
  }
}

// What is remembered beyond the host's end: what a request changed that is durable.
bool is_remembered(const Operation& first, const Operation& second) {
  if (first.life == second.life) return true;
  switch (first.kind) {
    case Kind::commit:
    case Kind::add_event:
    case Kind::append: return true;
    default: return false;
  }
}

bool is_same_answer(const Operation& a, const Operation& b) {
  if (a.kind == Kind::allocate) return a.subject == b.subject;
  if (a.kind == Kind::set_metadata && a.asked.merge) return true;  // META-8
  return a.seen.revision == b.seen.revision && a.seen.place == b.seen.place &&
         a.seen.number == b.seen.number && a.seen.labels == b.seen.labels &&
         a.seen.data == b.seen.data && a.seen.schema == b.seen.schema;
}

void check_repeats(const History& history, std::vector<Finding>& findings) {
  std::unordered_map<std::string, const Operation*> answered;
  for (const Operation& operation : history) {
    if (operation.request.empty() || operation.outcome != Outcome::ok) continue;
    const auto [first, is_new] = answered.try_emplace(operation.request, &operation);
    if (is_new) continue;
    if (is_remembered(*first->second, operation) && !is_same_answer(*first->second, operation)) {
      find(findings, "repeats_are_answered_alike", *first->second, operation);
    }
  }
}

}  // namespace

void check_invariants(const History& history, std::vector<Finding>& findings) {
  Subjects subjects;
  for (const Operation& operation : history) {
    if (operation.kind != Kind::crash) subjects[operation.subject].push_back(&operation);
  }
  for (const auto& [name, operations] : subjects) {
    check_deleted(operations, findings);
    check_leased(operations, findings);
    check_revisions(operations, findings);
  }
  check_repeats(history, findings);
}

// ---- streams ----

namespace {

// What lies at the offsets of one stream, as far as anybody was told.
class Entries {
 public:
  explicit Entries(std::vector<Finding>& findings) : findings_(findings) {}

  void take(const Operation& operation) {
    const bool appends = operation.kind == Kind::append;
    if (operation.outcome != Outcome::ok) return;
    // The repeat of an append is told of the same entries.
    const bool is_repeat =
        appends && !operation.request.empty() && !requests_.insert(operation.request).second;
    std::uint64_t offset = operation.seen.number;
    for (const std::string& item : appends ? operation.asked.items : operation.seen.items) {
      const auto [known, is_new] = known_.try_emplace(offset, Known{item, &operation, appends});
      if (!is_new && known->second.item != item) {
        return find(findings_, "entries_stay", *known->second.told_by, operation);
      }
      if (!is_new && appends && !is_repeat && known->second.appended) {
        return find(findings_, "offsets_are_used_once", *known->second.told_by, operation);
      }
      known->second.appended = known->second.appended || appends;
      ++offset;
    }
  }

 private:
  struct Known {
    std::string item;
    const Operation* told_by = nullptr;
    bool appended = false;
  };
  std::vector<Finding>& findings_;
  std::map<std::uint64_t, Known> known_;
  std::set<std::string> requests_;
};

// Each item has a value of its own, so that one that lies at two offsets was appended twice.
void check_unique(const Operations& operations, std::vector<Finding>& findings) {
  std::unordered_map<std::string, std::pair<std::uint64_t, const Operation*>> offsets;
  for (const Operation* operation : operations) {
    if (operation->kind != Kind::read_stream || operation->outcome != Outcome::ok) continue;
    std::uint64_t offset = operation->seen.number;
    for (const std::string& item : operation->seen.items) {
      const auto [known, is_new] = offsets.try_emplace(item, offset, operation);
      if (!is_new && known->second.first != offset) {
        return find(findings, "offsets_are_used_once", *known->second.second, *operation);
      }
      ++offset;
    }
  }
}

// An append is there whole or not at all, also when nobody answered.
void check_whole(const Operations& operations, std::vector<Finding>& findings) {
  std::unordered_map<std::string, std::pair<std::size_t, const Operation*>> appended;
  for (const Operation* operation : operations) {
    if (operation->kind != Kind::append) continue;
    for (std::size_t at = 0; at < operation->asked.items.size(); ++at) {
      appended.try_emplace(operation->asked.items[at], at, operation);
    }
  }
  for (const Operation* operation : operations) {
    if (operation->kind != Kind::read_stream || operation->outcome != Outcome::ok) continue;
    const std::vector<std::string>& items = operation->seen.items;
    for (std::size_t at = 0; at < items.size(); ++at) {
      const auto found = appended.find(items[at]);
      if (found == appended.end()) {
        return find(findings, "entries_stay", *operation, *operation);
      }
      const auto& [place, append] = found->second;
      const std::vector<std::string>& batch = append->asked.items;
      const std::uint64_t last = operation->seen.number + at + batch.size() - place;
      const bool more_is_shown = place + 1 < batch.size();
      const bool ends_early = last > operation->seen.next_offset;
      const bool goes_on =
          at + 1 == items.size() || !more_is_shown || items[at + 1] == batch[place + 1];
      if (ends_early || !goes_on) return find(findings, "entries_stay", *append, *operation);
    }
  }
}

}  // namespace

void check_streams(const History& history, std::vector<Finding>& findings) {
  std::map<std::string, Operations> streams;
  for (const Operation& operation : history) {
    if (operation.kind == Kind::append || operation.kind == Kind::read_stream) {
      streams[operation.subject].push_back(&operation);
    }
  }
  for (const auto& [name, operations] : streams) {
    Entries entries(findings);
    for (const Operation* operation : operations) entries.take(*operation);
    check_unique(operations, findings);
    check_whole(operations, findings);
  }
}

}  // namespace pm::history
