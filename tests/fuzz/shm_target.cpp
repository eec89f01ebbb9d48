// Shared memory between a host and clients that scribble on it: headers and records of the slab,
// lengths, modes and names; and lives of the host that start from what stands there.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "input.h"
#include "quiet_host.h"
#include "shm_tier.h"
#include "slab_table.h"

namespace pm::fuzz {
namespace {

constexpr std::uint64_t granule = shm::SlabAllocator::granule_bytes;
constexpr std::uint32_t granules = 8;
constexpr std::uint64_t capacity_bytes = 32 * granule;

class World {
 public:
  World() : prefix_("pm-fuzz-" + std::to_string(::getpid())), names_(prefix_, instance_id) {
    start();
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() {
    tier_.reset();
    ::shm_unlink(names_.slab(1).c_str());
    for (int number = 0; number < 32; ++number) {
      ::shm_unlink(names_.segment(object_number(static_cast<std::uint8_t>(number))).c_str());
    }
  }

  bool lives() const { return tier_ != nullptr; }

  void step(Input& input) {
    const std::uint8_t what = input.byte();
    const pm_object_id_t object = object_number(input.byte());
    switch (what % 12) {
      case 0: allocate(object, input); break;
      case 1: use(object, input); break;
      case 2: use_any_cookie(object, input); break;
      case 3: scribble(names_.slab(1), input); break;
      case 4: scribble(names_.segment(object), input); break;
      case 5: forge_record(object, input); break;
      case 6: forge_header(input); break;
      case 7: resize(names_.slab(1), input); break;
      case 8: resize(names_.segment(object), input); break;
      case 9:
        replace(input.byte() % 2 == 0 ? names_.slab(1) : names_.segment(object), input);
        break;
      case 10: look(); break;
      default: restart(); break;
    }
  }

  // Every object that is listed lies in the slab, or in a segment.
  void look() const {
    const auto on_object = [](void* data, const pm_tier_object_t* found) {
      const auto& tier = *static_cast<const shm::ShmTier*>(data);
      std::vector<char> bytes(64);
      const auto read = tier.read(found->object, found->cookie, 0, bytes.data(), bytes.size());
      expect(!read.ok() || *read <= bytes.size(), "a read fills its buffer at most");
      char text[256];
      pm_location_t location{};
      location.size = sizeof location;
      location.text = text;
      location.text_capacity = sizeof text;
      const Status status = tier.locate(found->object, found->cookie, found->length, location);
      expect(!status.ok() || location.slab == 0 ||
                 location.offset_bytes + found->length <= location.mapping_bytes,
             "a block lies in its slab");
      return true;
    };
    static_cast<void>(tier_->enumerate(on_object, tier_.get()));
  }

 private:
  void start() {
    const std::string config = "{\"capacity_bytes\":" + std::to_string(capacity_bytes) +
                               ",\"slab_bytes\":" + std::to_string(granules * granule) +
                               ",\"mode\":\"0600\",\"prefix\":\"" + prefix_ + "\"}";
    auto opened = shm::ShmTier::open(sdk::Host(quiet_host()), sdk::Config(config.c_str()));
    if (opened.ok()) tier_ = std::move(*opened);
    expect(opened.ok() || !opened.status().message().empty(), "a tier that does not open says why");
    if (tier_) look();
  }

  void restart() {
    tier_.reset();
    start();
  }

  void allocate(const pm_object_id_t& object, Input& input) {
    pm_allocate_options_t options{sizeof options, input.byte(), input.byte() % 3u, 0};
    pm_allocation_t allocation{};
    allocation.size = sizeof allocation;
    const std::uint64_t length = input.number() * 37;
    if (tier_->allocate(nullptr, object, length, options, allocation).ok()) {
      cookies_[object.payload[0] % 8] = allocation.cookie;
    }
  }

  void use(const pm_object_id_t& object, Input& input) {
    call(object, cookies_[object.payload[0] % 8], input);
  }

  void use_any_cookie(const pm_object_id_t& object, Input& input) {
    pm_cookie_t cookie{};
    const std::string_view bytes = input.text();
    cookie.length = static_cast<std::uint8_t>(std::min<std::size_t>(bytes.size(), 32));
    std::memcpy(cookie.bytes, bytes.data(), cookie.length);
    call(object, cookie, input);
  }

  void call(const pm_object_id_t& object, const pm_cookie_t& cookie, Input& input) {
    const std::uint8_t what = input.byte();
    const std::uint64_t offset = input.number();
    const std::uint64_t length = input.number();
    char bytes[128] = {};
    std::uint64_t charged = 0;
    switch (what % 6) {
      case 0: static_cast<void>(tier_->adopt(object, cookie, length, charged)); break;
      case 1: {
        const auto read = tier_->read(object, cookie, offset, bytes, sizeof bytes);
        expect(!read.ok() || *read <= sizeof bytes, "a read fills its buffer at most");
        break;
      }
      case 2: static_cast<void>(tier_->write(object, cookie, offset, bytes, length % 129)); break;
      case 3: static_cast<void>(tier_->seal(object, cookie, length * 37)); break;
      case 4: static_cast<void>(tier_->remove(object, cookie, length)); break;
      default: {
        pm_location_t location{};
        location.text = bytes;
        location.text_capacity = static_cast<std::uint32_t>(length % (sizeof bytes + 1));
        static_cast<void>(tier_->locate(object, cookie, offset, location));
      }
    }
  }

  // ---- what clients do ----

  static void write_at(const std::string& name, std::uint64_t offset, const void* bytes,
                       std::size_t length) {
    const int file = ::shm_open(name.c_str(), O_RDWR | O_NONBLOCK, 0);
    if (file < 0) return;
    static_cast<void>(::pwrite(file, bytes, length, static_cast<off_t>(offset)) >= 0);
    ::close(file);
  }

  static void scribble(const std::string& name, Input& input) {
    const std::uint64_t offset = input.integer<std::uint16_t>();
    const std::string_view bytes = input.text();
    write_at(name, offset, bytes.data(), bytes.size());
  }

  // A record whose check holds: of any object, length and place.
  void forge_record(const pm_object_id_t& object, Input& input) const {
    const std::uint32_t at = input.byte() % granules;
    const auto state = static_cast<shm::BlockRecord::State>(input.byte() % 4);
    const shm::BlockRecord record =
        shm::make_block_record(object, input.number() * 37, input.byte(), state);
    write_at(names_.slab(1), shm::slab_record_offset_bytes(at), &record, sizeof record);
  }

  void forge_header(Input& input) const {
    const std::uint64_t count = input.number();
    const shm::SlabHeader header =
        shm::make_slab_header(static_cast<std::uint32_t>(count), instance_id, boot_id);
    write_at(names_.slab(1), 0, &header, sizeof header);
  }

  static void resize(const std::string& name, Input& input) {
    const std::uint64_t length = input.number() * 512;
    const int file = ::shm_open(name.c_str(), O_RDWR | O_NONBLOCK, 0);
    if (file < 0) return;
    static_cast<void>(::ftruncate(file, static_cast<off_t>(length % (1ULL << 40))));
    ::close(file);
  }

  // With something else of that name.
  static void replace(const std::string& name, Input& input) {
    const std::string path = "/dev/shm" + name;
    ::shm_unlink(name.c_str());
    switch (input.byte() % 4) {
      case 0: break;
      case 1: static_cast<void>(::mkfifo(path.c_str(), 0600)); break;
      case 2: static_cast<void>(::symlink("/dev/null", path.c_str()) == 0); break;
      default: {
        const int file = ::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
        if (file >= 0) ::close(file);
        scribble(name, input);
      }
    }
  }

  const std::string prefix_;
  const shm::Names names_;
  std::unique_ptr<shm::ShmTier> tier_;
  pm_cookie_t cookies_[8] = {};
};

void check_name(std::string_view text) {
  const shm::Names names("pm", instance_id);
  const auto object = names.parse_segment(text);
  if (object) expect(names.segment(*object).substr(1) == text, "a name has one form");
}

}  // namespace
}  // namespace pm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  pm::fuzz::Input input(data, size);
  pm::fuzz::check_name({reinterpret_cast<const char*>(data), size});
  pm::fuzz::World world;
  for (int steps = 0; steps < 64 && world.lives() && !input.empty(); ++steps) world.step(input);
  if (world.lives()) world.look();
  return 0;
}
