#include "directory.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

// Entries: how they come and go. The order of loads and stores is that of sdk/local/pages.h.

namespace pm::directory {

namespace {

constexpr std::uint32_t none = UINT32_MAX;

std::uint64_t first_half(const catalog::Id& id) {
  std::uint64_t half = 0;
  std::memcpy(&half, id.bytes.data(), sizeof half);
  return half;
}

std::uint64_t second_half(const catalog::Id& id) {
  std::uint64_t half = 0;
  std::memcpy(&half, id.bytes.data() + sizeof half, sizeof half);
  return half;
}

constexpr std::size_t page_up(std::size_t bytes) { return (bytes + 4095) / 4096 * 4096; }

}  // namespace

Directory::Directory(const Options& options, std::function<void(const catalog::Command&)> submit)
    : options_(options), submit_(std::move(submit)), thread_([this] { run(); }) {}

Directory::~Directory() { stop(); }

void Directory::stop() {
  {
    const std::lock_guard lock(mutex_);
    stops_ = true;
    has_room_.store(false);
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

// ---- sessions ----

Status Directory::make_memory() {
  const std::uint32_t buckets = std::bit_ceil(std::max(options_.entries_max, 2u));
  const std::size_t buckets_offset = page_up(sizeof(local::DirectoryHeader));
  const std::size_t entries_offset = buckets_offset + page_up(buckets * sizeof(std::uint32_t));
  const std::size_t bytes =
      entries_offset + page_up(std::size_t{options_.entries_max} * sizeof(local::Entry));
  auto memory = SharedMemory::make("payload-manager-directory", bytes, true);
  if (!memory) return memory.status();
  memory_ = std::move(*memory);
  auto* const base = static_cast<std::byte*>(memory_.base());
  buckets_ = reinterpret_cast<std::atomic<std::uint32_t>*>(base + buckets_offset);
  entries_ = reinterpret_cast<local::Entry*>(base + entries_offset);
  local::DirectoryHeader& header = this->header();
  header.magic = local::directory_magic;
  header.version = local::pages_version;
  header.entries = options_.entries_max;
  header.buckets = buckets;
  header.buckets_offset = buckets_offset;
  header.entries_offset = entries_offset;
  header.bytes = bytes;
  free_.reserve(options_.entries_max);
  for (std::uint32_t entry = options_.entries_max; entry > 0; --entry) free_.push_back(entry - 1);
  return {};
}

Result<Directory::Attached> Directory::attach(std::uint64_t session) {
  const std::lock_guard lock(mutex_);
  if (stops_) return Status(Code::unavailable, "the host stops");
  if (memory_.base() == nullptr) PM_TRY(make_memory());
  auto found = std::find_if(sessions_.begin(), sessions_.end(),
                            [&](const auto& known) { return known->id == session; });
  if (found == sessions_.end()) {
    if (sessions_.size() >= options_.sessions_max) {
      return Status(Code::resource_exhausted,
                    std::to_string(options_.sessions_max) +
                        " sessions have a page already; this one asks by calls");
    }
    auto added = std::make_shared<Session>();
    added->id = session;
    auto memory = SharedMemory::make("payload-manager-session", sizeof(local::SessionPage), false);
    if (!memory) return memory.status();
    added->memory = std::move(*memory);
    sessions_.push_back(std::move(added));
    found = sessions_.end() - 1;
  }
  Attached attached;
  auto directory = memory_.share(false);
  if (!directory) return directory.status();
  attached.directory = *directory;
  auto page = (*found)->memory.share(true);
  if (!page) {
    ::close(attached.directory);
    return page.status();
  }
  attached.page = *page;
  has_room_.store(!free_.empty());
  wake_.notify_all();
  return attached;
}

void Directory::detach(std::uint64_t session) {
  std::shared_ptr<Session> gone;
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(sessions_.begin(), sessions_.end(),
                                  [&](const auto& known) { return known->id == session; });
  if (found == sessions_.end()) return;
  gone = std::move(*found);
  gone->page()->ended.store(1, std::memory_order_release);
  sessions_.erase(found);
  if (sessions_.empty()) has_room_.store(false);
  is_nudged_ = true;
  wake_.notify_all();
}

void Directory::released() {
  const std::lock_guard lock(mutex_);
  is_nudged_ = true;
  wake_.notify_all();
}

// ---- entries ----

std::optional<std::string> Directory::slab_name(std::uint32_t place) const {
  const std::lock_guard lock(mutex_);
  if (place >= slabs_.size()) return std::nullopt;
  return slabs_[place];
}

std::optional<std::uint32_t> Directory::place_of_slab(const catalog::HeldPlace& place) {
  const auto found = std::find(slabs_.begin(), slabs_.end(), place.slab);
  if (found != slabs_.end()) return static_cast<std::uint32_t>(found - slabs_.begin());
  local::SlabPlace fresh{};
  if (slabs_.size() == local::slabs_max || place.slab.size() >= sizeof fresh.name) {
    return std::nullopt;
  }
  std::memcpy(fresh.name, place.slab.data(), place.slab.size());
  fresh.number = place.slab_number;
  fresh.mapping_bytes = place.mapping_bytes;
  header().slabs[slabs_.size()] = fresh;
  slabs_.push_back(place.slab);
  return static_cast<std::uint32_t>(slabs_.size() - 1);
}

bool Directory::publish(const catalog::HeldPlace& place) {
  const std::lock_guard lock(mutex_);
  if (free_.empty() || sessions_.empty() || by_generation_.contains(place.generation)) {
    return false;
  }
  const auto slab = place_of_slab(place);
  if (!slab) return false;
  const std::uint32_t entry = free_.back();
  free_.pop_back();
  if (free_.empty()) has_room_.store(false);
  by_generation_.emplace(place.generation, entry);
  local::Entry& shown = at(entry);
  shown.id[0].store(first_half(place.payload), std::memory_order_relaxed);
  shown.id[1].store(second_half(place.payload), std::memory_order_relaxed);
  shown.offset.store(place.offset_bytes, std::memory_order_relaxed);
  shown.length.store(place.length, std::memory_order_relaxed);
  shown.revision.store(place.revision, std::memory_order_relaxed);
  shown.slab.store(*slab, std::memory_order_relaxed);
  shown.tier.store(place.tier, std::memory_order_relaxed);
  shown.generation.store(place.generation, std::memory_order_relaxed);
  link(entry);
  shown.word.store(local::entry_is_open, std::memory_order_release);
  return true;
}

void Directory::link(std::uint32_t entry) {
  const std::uint64_t half = at(entry).id[0].load(std::memory_order_relaxed);
  std::atomic<std::uint32_t>& head = buckets_[local::bucket_of(half, header().buckets)];
  at(entry).next.store(head.load(std::memory_order_relaxed), std::memory_order_relaxed);
  head.store(entry + 1, std::memory_order_release);
}

// Who is on the way through the chain may be led astray by it, and asks by a call then.
void Directory::unlink(std::uint32_t entry) {
  const std::uint64_t half = at(entry).id[0].load(std::memory_order_relaxed);
  std::atomic<std::uint32_t>* link = &buckets_[local::bucket_of(half, header().buckets)];
  while (const std::uint32_t next = link->load(std::memory_order_relaxed)) {
    if (next == entry + 1) {
      link->store(at(entry).next.load(std::memory_order_relaxed), std::memory_order_relaxed);
      return;
    }
    link = &at(next - 1).next;
  }
}

std::uint32_t Directory::entry_of(std::uint64_t generation) const {
  const auto found = by_generation_.find(generation);
  return found == by_generation_.end() ? none : found->second;
}

void Directory::free_entry(std::uint32_t entry, std::uint64_t generation) {
  unlink(entry);
  by_generation_.erase(generation);
  free_.push_back(entry);
  has_room_.store(!sessions_.empty() && !stops_);
}

void Directory::revise(std::uint64_t generation, std::uint64_t revision) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t entry = entry_of(generation);
  if (entry != none) at(entry).revision.store(revision, std::memory_order_relaxed);
}

bool Directory::withdraw(std::uint64_t generation) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t entry = entry_of(generation);
  if (entry == none) return true;
  std::atomic<std::uint32_t>& word = at(entry).word;
  const std::uint32_t before = word.load(std::memory_order_relaxed);
  word.store(before & ~std::uint32_t{local::entry_is_open}, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (is_held(entry)) {
    word.store(before, std::memory_order_release);
    return false;
  }
  std::erase_if(watched_, [&](const Watched& one) { return one.entry == entry; });
  free_entry(entry, generation);
  return true;
}

void Directory::watch(std::uint64_t generation) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t entry = entry_of(generation);
  if (entry == none) return;
  std::atomic<std::uint32_t>& word = at(entry).word;
  word.fetch_or(local::entry_is_wanted, std::memory_order_relaxed);
  const auto same = [&](const Watched& one) { return one.entry == entry; };
  if (std::any_of(watched_.begin(), watched_.end(), same)) return;
  watched_.push_back({entry, generation});
  wake_.notify_all();
}

void Directory::close(std::uint64_t generation) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t entry = entry_of(generation);
  if (entry == none) return;
  at(entry).word.store(local::entry_is_wanted, std::memory_order_relaxed);
  const auto same = [&](const Watched& one) { return one.entry == entry; };
  if (std::any_of(watched_.begin(), watched_.end(), same)) return;
  watched_.push_back({entry, generation});
  wake_.notify_all();
}

}  // namespace pm::directory
