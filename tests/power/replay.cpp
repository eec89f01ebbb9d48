#include "replay.h"

#include <sys/stat.h>

#include <algorithm>
#include <stdexcept>

namespace pm::power {

namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t sector_bytes = 512;

// True in `share` of the cases.
bool is_drawn(std::mt19937& random, double share) {
  return std::uniform_real_distribution<double>()(random) < share;
}

}  // namespace

const char* keep_name(Keep keep) {
  switch (keep) {
    case Keep::synced: return "synced";
    case Keep::named: return "named";
    case Keep::issued: return "issued";
    default: return "some";
  }
}

std::string Cut::to_text() const {
  return "cut at " + std::to_string(sequence) + ", store " + keep_name(store) + ", payloads " +
         keep_name(apart) + ", seed " + std::to_string(seed);
}

Replay::Replay(const Recording& recording, std::string apart, const Tree& base,
               const std::map<std::string, std::uint64_t>& inodes)
    : apart_(std::move(apart)),
      records_(recording.records()),
      moments_(Recording::moments(records_)) {
  // The directory that holds the root comes first.
  nodes_.push_back(std::make_unique<Node>());
  nodes_.front()->is_directory = true;
  struct stat found {};
  if (::stat(recording.root().parent_path().c_str(), &found) != 0)
    throw std::runtime_error("there is no " + recording.root().parent_path().string());
  node_of_inode_[found.st_ino] = 0;
  add_base(base, inodes);
  for (const Recorded& recorded : records_) {
    const Record& record = *recorded.record;
    const bool done = record.ended != 0 && (record.flags & record_failed) == 0;
    if (record.kind != RecordKind::sync || !done) continue;
    ++syncs_;
    boundaries_.push_back(record.begun - 1);
    boundaries_.push_back(record.ended);
  }
  std::sort(boundaries_.begin(), boundaries_.end());
}

void Replay::add_base(const Tree& base, const std::map<std::string, std::uint64_t>& inodes) {
  std::map<std::string, std::uint64_t> nodes;
  const auto add = [&](const std::string& path) -> Node& {
    const std::size_t slash = path.rfind('/');
    Node& parent = *nodes_[slash == std::string::npos ? 0 : nodes.at(path.substr(0, slash))];
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    const std::uint64_t number = nodes_.size();
    nodes_.push_back(std::make_unique<Node>());
    parent.names[name] = parent.current_names[name] = nodes[path] = number;
    node_of_inode_[inodes.at(path)] = number;
    return *nodes_.back();
  };
  for (const std::string& path : base.directories) add(path).is_directory = true;
  for (const auto& [path, bytes] : base.files) add(path).bytes = bytes;
}

Replay::Node* Replay::node_at(std::uint64_t inode) {
  const auto found = node_of_inode_.find(inode);
  return found == node_of_inode_.end() ? nullptr : nodes_[found->second].get();
}

void Replay::apply(const Change& change, std::string& bytes) {
  if (change.kind == RecordKind::truncate) {
    bytes.resize(change.length);
  } else if (bytes.size() < change.offset + change.length) {
    bytes.resize(change.offset + change.length);
  }
  if (change.kind == RecordKind::write) {
    std::copy_n(change.data.data(), change.length,
                bytes.begin() + static_cast<std::ptrdiff_t>(change.offset));
  }
}

void Replay::apply(const NameChange& change, std::map<std::string, std::uint64_t>& names) {
  const auto old = names.find(change.removed);
  if (old != names.end() && old->second == change.node) names.erase(old);
  if (!change.added.empty()) names[change.added] = change.node;
}

void Replay::change_names(std::uint64_t directory, NameChange change) {
  Node* const node = node_at(directory);
  if (node == nullptr) throw std::runtime_error("a name in a directory that nobody made");
  apply(change, node->current_names);
  node->name_changes.push_back(std::move(change));
}

void Replay::make(const Recorded& recorded, bool is_directory) {
  const Record& record = *recorded.record;
  const Node* const parent = node_at(record.directory);
  if (parent == nullptr) throw std::runtime_error("a file in a directory that nobody made");
  const std::string name(recorded.name);
  const auto known = node_of_inode_.find(record.inode);
  const auto named = parent->current_names.find(name);
  const bool was_there = known != node_of_inode_.end() && named != parent->current_names.end() &&
                         named->second == known->second;
  if (was_there) {
    if ((record.flags & record_truncates) == 0) return;
    nodes_[known->second]->changes.push_back(
        {RecordKind::truncate, 0, 0, {}, record.begun, record.ended, 0});
    return;
  }
  node_of_inode_[record.inode] = nodes_.size();
  nodes_.push_back(std::make_unique<Node>());
  nodes_.back()->is_directory = is_directory;
  change_names(record.directory, {record.begun, {}, name, nodes_.size() - 1});
}

void Replay::add_change(const Recorded& recorded, std::size_t at) {
  const Record& record = *recorded.record;
  const auto number = node_of_inode_.find(record.inode);
  if (number == node_of_inode_.end() || (record.flags & record_failed) != 0) return;
  node_of_record_[at] = number->second;
  nodes_[number->second]->changes.push_back(
      {record.kind, record.offset, record.length, recorded.data, record.begun, 0, at});
}

// Who else wrote did so before now; nobody knows when, so it counts as written just now.
void Replay::compare_content(Node& node, const Recorded& recorded) {
  std::string current = node.bytes;
  for (const Change& change : node.changes) apply(change, current);
  const std::string_view found = recorded.data;
  const std::uint64_t now = recorded.record->begun;
  if (current.size() > found.size()) {
    node.changes.push_back({RecordKind::truncate, 0, found.size(), {}, now, now, 0});
  }
  for (std::size_t at = 0; at < found.size(); at += page_bytes) {
    const std::string_view page = found.substr(at, page_bytes);
    if (at < current.size() && std::string_view(current).substr(at, page_bytes) == page) continue;
    node.changes.push_back({RecordKind::write, at, page.size(), page, now, now, 0});
  }
}

// Their process is gone: what they did shows in the file's content, which is recorded next.
void Replay::forget_unended() {
  for (const auto& node : nodes_) {
    std::erase_if(node->changes, [](const Change& change) { return change.ended == 0; });
  }
  node_of_record_.clear();
}

void Replay::sync(Node& node, std::uint64_t begun) const {
  std::vector<Change> later;
  for (const Change& change : node.changes) {
    if (change.ended != 0 && change.ended < begun) {
      apply(change, node.bytes);
    } else {
      later.push_back(change);
    }
  }
  node.changes = std::move(later);
  std::vector<NameChange> later_names;
  for (NameChange& change : node.name_changes) {
    if (change.sequence < begun) {
      apply(change, node.names);
    } else {
      later_names.push_back(std::move(change));
    }
  }
  node.name_changes = std::move(later_names);
}

void Replay::begin(std::size_t at) {
  const Recorded& recorded = records_[at];
  const Record& record = *recorded.record;
  switch (record.kind) {
    case RecordKind::create: return make(recorded, false);
    case RecordKind::make_directory: return make(recorded, true);
    case RecordKind::link:
      return change_names(
          record.other_directory,
          {record.begun, {}, std::string(recorded.other_name), node_of_inode_.at(record.inode)});
    case RecordKind::rename:
      if (record.directory != record.other_directory)
        throw std::runtime_error("a rename from one directory to another");
      return change_names(record.directory,
                          {record.begun, std::string(recorded.name),
                           std::string(recorded.other_name), node_of_inode_.at(record.inode)});
    case RecordKind::remove: {
      const Node& parent = *nodes_[node_of_inode_.at(record.directory)];
      return change_names(record.directory, {record.begun,
                                             std::string(recorded.name),
                                             {},
                                             parent.current_names.at(std::string(recorded.name))});
    }
    case RecordKind::write:
    case RecordKind::truncate:
    case RecordKind::extend: return add_change(recorded, at);
    case RecordKind::content:
      if (Node* node = node_at(record.inode)) compare_content(*node, recorded);
      return;
    case RecordKind::begin: return forget_unended();
    default: return;
  }
}

void Replay::end(std::size_t at) {
  const Record& record = *records_[at].record;
  if (record.kind == RecordKind::sync) {
    Node* const node = node_at(record.inode);
    if (node != nullptr && (record.flags & record_failed) == 0) sync(*node, record.begun);
    return;
  }
  const auto waiting = node_of_record_.find(at);
  if (waiting == node_of_record_.end()) return;
  for (Change& change : nodes_[waiting->second]->changes) {
    if (change.record == at && change.ended == 0) change.ended = record.ended;
  }
  node_of_record_.erase(waiting);
}

void Replay::keep_some(const Change& change, double share, std::mt19937& random,
                       std::string& bytes) {
  if (!is_drawn(random, share)) return;
  const bool is_torn = change.kind == RecordKind::write && is_drawn(random, 0.25);
  if (!is_torn) return apply(change, bytes);
  const std::uint64_t part_bytes = is_drawn(random, 0.5) ? sector_bytes : page_bytes;
  const std::uint64_t end = change.offset + change.length;
  for (std::uint64_t at = change.offset; at < end;) {
    const std::uint64_t next = std::min(end, (at / part_bytes + 1) * part_bytes);
    Change part = change;
    part.offset = at;
    part.length = next - at;
    part.data = change.data.substr(at - change.offset, next - at);
    if (is_drawn(random, 0.5)) apply(part, bytes);
    at = next;
  }
}

Keep Replay::keep_of(const std::string& path, const Cut& cut) const {
  const bool is_apart = path == apart_ || path.starts_with(apart_ + "/");
  return is_apart ? cut.apart : cut.store;
}

std::string Replay::bytes_of(const Node& node, Keep keep, double share,
                             std::mt19937& random) const {
  std::string bytes = node.bytes;
  for (const Change& change : node.changes) {
    if (keep == Keep::some) {
      keep_some(change, share, random, bytes);
    } else if (keep == Keep::issued || (keep == Keep::named && change.kind != RecordKind::write)) {
      apply(change, bytes);
    }
  }
  return bytes;
}

void Replay::collect(const Node& node, const std::string& path, const Cut& cut, double share,
                     std::mt19937& random, Tree& tree) const {
  const Keep keep = keep_of(path, cut);
  auto names = node.names;
  for (const NameChange& change : node.name_changes) {
    const bool kept = keep == Keep::some ? is_drawn(random, share) : keep != Keep::synced;
    if (kept) apply(change, names);
  }
  for (const auto& [name, number] : names) {
    const std::string below = path.empty() ? name : path + "/" + name;
    const Node& child = *nodes_[number];
    if (child.is_directory) {
      tree.directories.insert(below);
      collect(child, below, cut, share, random, tree);
    } else if (!name.ends_with("-shm")) {
      tree.files[below] = bytes_of(child, keep_of(below, cut), share, random);
    }
  }
}

Tree Replay::cut(const Cut& cut) {
  for (; next_ < moments_.size() && moments_[next_].sequence <= cut.sequence; ++next_) {
    if (moments_[next_].is_end) {
      end(moments_[next_].record);
    } else {
      begin(moments_[next_].record);
    }
  }
  std::mt19937 random(cut.seed);
  constexpr double shares[] = {0.1, 0.5, 0.9};
  const double share = shares[random() % std::size(shares)];
  Tree tree;
  collect(*nodes_.front(), {}, cut, share, random, tree);
  return tree;
}

}  // namespace pm::power
