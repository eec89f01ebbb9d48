#pragma once

#include <pm/ext/draft/tier_facts.h>

#include <atomic>
#include <memory>
#include <pm/cpp/config.hpp>

#include "sealed.h"
#include "segments.h"
#include "slab.h"

// A tier in shared memory, in three layouts that share one capacity: `slab_bytes` of it are a slab
// for clients that ask for one, all else is room for segments and sealed objects. They never take
// slab room; an object for which the slab has no room becomes a segment.

namespace pm::shm {

class ShmTier {
 public:
  static Result<std::unique_ptr<ShmTier>> open(const sdk::Host& host, const sdk::Config& config);
  ~ShmTier();

  void info(pm_tier_info_t& info) const;
  void usage(pm_tier_usage_t& usage) const;
  Status allocate(const pm_call_context_t* context, const pm_object_id_t& object,
                  std::uint64_t length, const pm_allocate_options_t& options,
                  pm_allocation_t& allocation);
  Status adopt(const pm_object_id_t& object, const pm_cookie_t& cookie, std::uint64_t length,
               std::uint64_t& bytes_charged) const;
  Status locate(const pm_object_id_t& object, const pm_cookie_t& cookie, std::uint64_t length,
                pm_location_t& location) const;
  Result<std::uint64_t> read(const pm_object_id_t& object, const pm_cookie_t& cookie,
                             std::uint64_t offset, void* target, std::uint64_t length) const;
  Status write(const pm_object_id_t& object, const pm_cookie_t& cookie, std::uint64_t offset,
               const void* source, std::uint64_t length) const;
  Status seal(const pm_object_id_t& object, const pm_cookie_t& cookie, std::uint64_t length);
  Status remove(const pm_object_id_t& object, const pm_cookie_t& cookie, std::uint64_t length);
  Status enumerate(pm_on_tier_object_t on_object, void* data) const;
  void visit_facts(pm_on_tier_fact_t on_fact, void* data) const;
  Result<int> open_object(const pm_object_id_t& object, const pm_cookie_t& cookie,
                          std::uint64_t length, bool writable) const;
  Result<int> open_slab(std::uint32_t slab, bool writable) const;

  const sdk::Host& host() const { return host_; }

 private:
  struct Options {
    std::uint64_t capacity_bytes;
    std::uint64_t slab_bytes;
    std::uint64_t sealed_max;
    mode_t mode;
    std::string boot_id;
    std::shared_ptr<const NumaNode> node;  // NULL: anywhere.
  };
  ShmTier(const sdk::Host& host, const Options& options, Names names)
      : host_(host),
        options_(options),
        segments_(names, options.mode, options.node),
        sealed_(std::move(names), options.sealed_max, options.node) {}

  // What a cookie says.
  struct Place {
    enum Layout : std::uint8_t { segment = 1, block = 2, sealed = 3 } layout = segment;
    std::uint32_t first = 0;  // Of a block: its first granule.
  };

  Status start(const std::string& instance_id);
  Status start_slab(const std::string& instance_id);
  void warn_when_there_is_less_than_configured() const;
  Status allocate_elsewhere(const pm_call_context_t* context, const pm_object_id_t& object,
                            std::uint64_t length, std::uint32_t flags);
  bool holds(const pm_object_id_t& object, Place::Layout layout) const;
  // NOT_FOUND: not one of this tier's.
  Result<Place> place_of(const pm_cookie_t& cookie) const;

  const sdk::Host host_;
  const Options options_;
  const Segments segments_;
  SealedObjects sealed_;
  std::unique_ptr<Slab> slab_;  // NULL when slab_bytes is 0.
  std::string claimed_;         // The stem of names that this instance holds in this process.
  std::atomic<std::uint64_t> segment_bytes_ = 0;  // With those of sealed objects.
  std::atomic<std::uint64_t> segment_count_ = 0;
};

}  // namespace pm::shm
