#include "directory_reader.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "guarded.h"

namespace pm::client::detail {
namespace {

using local::DirectoryHeader;
using local::Entry;
using local::SessionPage;

Status bad_directory(const std::string& what) {
  return {Code::internal, "the host's directory is refused: " + what, "BAD_DIRECTORY"};
}

// The whole of a regular file of at least `bytes_min`.
Result<std::unique_ptr<Mapping>> map_whole(const FileDescriptor& file, std::uint64_t bytes_min,
                                           int protection, const std::string& what) {
  struct stat info {};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return bad_directory(what + " is no regular file");
  }
  const auto bytes = static_cast<std::uint64_t>(info.st_size);
  if (bytes == 0 || bytes < bytes_min) {
    return bad_directory(what + " has " + std::to_string(bytes) + " bytes where " +
                         std::to_string(bytes_min) + " are needed");
  }
  // The host has taken the room already: populating makes no pages, it saves a fault for each.
  void* base = ::mmap(nullptr, bytes, protection, MAP_SHARED | MAP_POPULATE, file.get(), 0);
  if (base == MAP_FAILED) return Status(Code::resource_exhausted, "cannot map " + what);
  return std::make_unique<Mapping>(base, bytes, info.st_dev, info.st_ino);
}

// Whether `count` things of `size` bytes, aligned so, lie in `bytes` from `offset` on.
bool fits(std::uint64_t offset, std::uint64_t count, std::uint64_t size, std::uint64_t bytes) {
  return offset % size == 0 && offset >= sizeof(DirectoryHeader) && offset <= bytes &&
         count <= (bytes - offset) / size;
}

Status check(const DirectoryHeader& header, std::uint64_t bytes) {
  if (header.magic != local::directory_magic) return bad_directory("its magic is another one");
  if (header.version != local::pages_version) {
    return bad_directory("its version is " + std::to_string(header.version) + ", this client's " +
                         std::to_string(local::pages_version));
  }
  if (!std::has_single_bit(header.buckets)) {
    return bad_directory(std::to_string(header.buckets) + " buckets are no power of two");
  }
  if (header.bytes > bytes) {
    return bad_directory("it says " + std::to_string(header.bytes) + " bytes and has " +
                         std::to_string(bytes));
  }
  if (header.entries == 0 || header.entries == UINT32_MAX ||
      !fits(header.buckets_offset, header.buckets, sizeof(std::uint32_t), header.bytes) ||
      !fits(header.entries_offset, header.entries, sizeof(Entry), header.bytes)) {
    return bad_directory("its tables do not lie in it");
  }
  return {};
}

constexpr std::chrono::milliseconds pause_min(1'000);
constexpr std::chrono::milliseconds pause_max(64'000);
using Clock = std::chrono::steady_clock;

constexpr auto relaxed = std::memory_order_relaxed;

bool is_wanted(const Entry& entry) {
  return (entry.word.load(relaxed) & local::entry_is_wanted) != 0;
}

}  // namespace

bool is_lasting(const Status& status) noexcept {
  switch (status.code()) {
    case Code::invalid_argument:
    case Code::not_found:
    case Code::permission_denied:
    case Code::failed_precondition:
    case Code::unimplemented: return true;
    default: return status.reason() == "BAD_DIRECTORY";
  }
}

Status DirectoryReader::begin(const FileDescriptor& directory, const FileDescriptor& page,
                              std::shared_ptr<HoldSession> session) {
  auto mapped = map_whole(directory, sizeof(DirectoryHeader), PROT_READ, "the directory");
  if (!mapped) return mapped.status();
  auto mapped_page =
      map_whole(page, sizeof(SessionPage), PROT_READ | PROT_WRITE, "the session's page");
  if (!mapped_page) return mapped_page.status();
  // A copy: what was checked must be what is used.
  DirectoryHeader header;
  std::memcpy(&header, (*mapped)->base(), sizeof header);
  PM_TRY(check(header, (*mapped)->length_bytes()));
  directory_ = *std::move(mapped);
  page_mapping_ = *std::move(mapped_page);
  page_ = reinterpret_cast<SessionPage*>(page_mapping_->base());
  const std::byte* base = directory_->base();
  buckets_ = reinterpret_cast<const std::atomic<std::uint32_t>*>(base + header.buckets_offset);
  entries_ = reinterpret_cast<const Entry*>(base + header.entries_offset);
  buckets_count_ = header.buckets;
  entries_count_ = header.entries;
  session_ = std::move(session);
  state_.fetch_add(1);
  return {};
}

bool DirectoryReader::hold(const PayloadId& id, Hold* hold) noexcept {
  const std::uint32_t slot = slots_.take();
  if (slot == SlotPool::none) return false;
  std::uint64_t words[2];
  std::memcpy(words, id.bytes.data(), sizeof words);
  // In this order: whoever retires it sees the slot taken, or is seen here.
  if (phase_of(state_.load()) != Phase::live || session_->is_over() ||
      !look(words[0], words[1], slot, hold)) {
    unpin(slot);
    return false;
  }
  hold->reader = this;
  hold->id = id;
  hold->slot = slot;
  return true;
}

bool DirectoryReader::look(std::uint64_t first, std::uint64_t second, std::uint32_t slot,
                           Hold* hold) noexcept {
  const auto is_it = [&](const Entry& entry) {
    return entry.id[0].load(relaxed) == first && entry.id[1].load(relaxed) == second;
  };
  std::uint32_t next =
      buckets_[local::bucket_of(first, buckets_count_)].load(std::memory_order_acquire);
  for (std::uint32_t seen = 0; next != 0 && seen < local::chain_max; ++seen) {
    if (next > entries_count_) return false;
    const Entry& entry = entries_[next - 1];
    if (is_it(entry)) {
      if ((entry.word.load(relaxed) & local::entry_is_open) == 0) return false;
      mark_used(slot);
      page_->slots[slot].store(next, relaxed);
      std::atomic_thread_fence(std::memory_order_seq_cst);
      const bool is_open = (entry.word.load(std::memory_order_acquire) & local::entry_is_open) != 0;
      hold->entry = next - 1;
      if (is_open && is_it(entry) && page_->ended.load(relaxed) == 0 && fill(entry, hold)) {
        note_read(next);
        return true;
      }
      clear(slot);
      if (is_wanted(entry)) session_->released();
      return false;
    }
    next = entry.next.load(std::memory_order_acquire);
  }
  return false;
}

// Only what changes, so that a payload that is read again and again costs no write.
void DirectoryReader::note_read(std::uint32_t next) noexcept {
  std::atomic<std::uint32_t>& read = page_->reads[next % local::reads_max];
  if (read.load(relaxed) == next) return;
  read.store(next, relaxed);
  if (page_->has_reads.load(relaxed) == 0) page_->has_reads.store(1, std::memory_order_release);
}

// What the held entry says, once it has been checked.
bool DirectoryReader::fill(const Entry& entry, Hold* hold) noexcept {
  const std::uint64_t offset = entry.offset.load(relaxed);
  const std::uint64_t length = entry.length.load(relaxed);
  const std::uint32_t slab = entry.slab.load(relaxed);
  if (slab >= local::slabs_max || length == 0) return false;
  const std::byte* base = slab_base(slab);
  if (base == nullptr) return false;
  const SlabInfo* info = slabs_[slab].info;
  const std::uint64_t bytes = info->bytes;
  if (offset > bytes || length > bytes - offset) return false;
  hold->bytes = base + offset;
  hold->offset_bytes = offset;
  hold->length_bytes = length;
  hold->version = entry.revision.load(relaxed);
  hold->tier = entry.tier.load(relaxed);
  hold->slab = info;
  return true;
}

const std::byte* DirectoryReader::slab_base(std::uint32_t slab) noexcept {
  Slab& place = slabs_[slab];
  const std::byte* base = place.base.load(std::memory_order_acquire);
  if (base != nullptr) return base;
  const std::lock_guard lock(slabs_mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (place.mapping || now < place.next_try) return place.base.load(relaxed);
  const Status status = guarded([&] { return map_slab(slab); });
  if (status.ok()) {
    place.base.store(place.mapping->base(), std::memory_order_release);
    return place.mapping->base();
  }
  // Each try may take its time, and all that open something wait for it: so less and less often.
  place.pause = std::clamp<std::chrono::milliseconds>(2 * place.pause, pause_min, pause_max);
  place.next_try = is_lasting(status) ? Clock::time_point::max() : Clock::now() + place.pause;
  return nullptr;
}

Status DirectoryReader::map_slab(std::uint32_t slab) {
  const auto* header = reinterpret_cast<const DirectoryHeader*>(directory_->base());
  local::SlabPlace said;
  std::memcpy(&said, &header->slabs[slab], sizeof said);
  if (said.name[sizeof said.name - 1] != '\0') return bad_directory("a slab's name has no end");
  if (said.mapping_bytes == 0) return bad_directory("an entry names a slab that is not there");
  FileDescriptor file;
  if (said.name[0] != '\0') file = FileDescriptor(::shm_open(said.name, O_RDONLY, 0));
  if (file.get() < 0) {
    // Who has no more descriptors could not take one from the host either, and would lose the
    // session with it.
    if (said.name[0] != '\0' && errno != ENOENT && errno != EACCES && errno != EPERM) {
      return {Code::resource_exhausted, "cannot open a slab"};
    }
    auto given = session_->open_slab(slab);
    if (!given) return given.status();
    file = *std::move(given);
  }
  auto mapped = map_whole(file, said.mapping_bytes, PROT_READ, "a slab");
  if (!mapped) return mapped.status();
  SlabInfo info;
  std::memcpy(info.name.data(), said.name, sizeof said.name);
  info.number = said.number;
  info.bytes = (*mapped)->length_bytes();
  slabs_[slab].info = known(info);
  slabs_[slab].mapping = *std::move(mapped);
  return {};
}

const SlabInfo* DirectoryReader::known(const SlabInfo& info) {
  const auto found = std::find(infos_.begin(), infos_.end(), info);
  return found != infos_.end() ? &*found : &infos_.emplace_front(info);
}

void DirectoryReader::mark_used(std::uint32_t slot) noexcept {
  std::uint32_t seen = page_->used.load(relaxed);
  while (seen <= slot && !page_->used.compare_exchange_weak(seen, slot + 1)) {
  }
}

// The caller still has the slot: others store only into theirs.
void DirectoryReader::clear(std::uint32_t slot) noexcept {
  page_->slots[slot].store(0, std::memory_order_release);
  // Otherwise the word could be older than the look of a host that finds the slot taken: it would
  // wait for a word that does not come.
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void DirectoryReader::let_go(const Hold& hold) noexcept {
  clear(hold.slot);
  if (is_wanted(entries_[hold.entry])) session_->released();
  unpin(hold.slot);
}

void DirectoryReader::retire() noexcept {
  state_.fetch_add(1);
  end_if_unused();
}

void DirectoryReader::unpin(std::uint32_t slot) noexcept {
  slots_.give_back(slot);
  end_if_unused();
}

// Once it is retired nobody begins to look: all that take a slot see it and give it back. Of those
// who see that nothing is held one ends it; who saw an earlier life's end finds another state.
void DirectoryReader::end_if_unused() noexcept {
  std::uint64_t state = state_.load();
  if (phase_of(state) != Phase::retired || !slots_.is_unused()) return;
  if (!state_.compare_exchange_strong(state, state + 1)) return;
  directory_.reset();
  page_mapping_.reset();
  for (Slab& slab : slabs_) {
    slab.base.store(nullptr);
    slab.info = nullptr;
    slab.mapping.reset();
    slab.next_try = {};
    slab.pause = {};
  }
  session_.reset();
  state_.fetch_add(1);
}

}  // namespace pm::client::detail
