#pragma once

#include <pm/ext/draft/engine_local.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/catalog/command.h"
#include "core/directory/directory.h"
#include "core/ledger/ledger.h"
#include "tier_table.h"
#include "writer_watch.h"

namespace pm::api {

// What clients of this machine get besides calls: sessions whose end gives back what they hold,
// descriptors of what they may see, and the directory (pm.engine.local/1). [thread-safe]
class LocalEngine {
 public:
  // All outlive it.
  LocalEngine(ledger::Ledger& ledger, const TierTable& tiers, directory::Directory& directory);
  LocalEngine(const LocalEngine&) = delete;
  LocalEngine& operator=(const LocalEngine&) = delete;

  const pm_engine_local_t* abi() const { return &face_.local; }

  std::uint64_t open_session(const pm_principal_t* principal);
  // Every call of the session has been answered, or its frontend stops. What it allocated is given
  // back at once when its process is dead, and else kept for a while from being used again.
  void close_session(std::uint64_t session);

  // Carries the effect out: where the copy lies is told to the ledger, if it lies in a slab.
  void publish(const catalog::PublishEffect& effect);

  // Nothing is submitted any more.
  void stop() { writers_.stop(); }

 private:
  // What frontends hold; their pointer to `local` leads back here.
  struct Face {
    pm_engine_local_t local{};
    LocalEngine* self = nullptr;
  };
  struct Slab {
    catalog::TierIndex tier = catalog::no_tier;
    std::uint32_t number = 0;  // The tier's.
  };

  struct Session {
    bool is_trusted = false;
    pid_t pid = 0;
  };

  static LocalEngine& self(const pm_engine_t* engine);
  Status open_handle(std::uint64_t session, std::uint32_t what, const std::uint8_t* id,
                     std::uint32_t number, int& descriptor);
  Status open_object(const catalog::Object& object, bool writable, bool is_trusted,
                     int& descriptor) const;
  Status open_slab(std::uint32_t place, int& descriptor);
  Status attach(std::uint64_t session, int& directory, int& page);
  bool is_trusted(std::uint64_t session) const;

  ledger::Ledger& ledger_;
  const TierTable& tiers_;
  directory::Directory& directory_;
  Face face_;

  mutable std::mutex mutex_;  // Round what follows.
  std::uint64_t sessions_opened_ = 0;
  std::unordered_map<std::uint64_t, Session> sessions_;
  std::map<std::string, Slab> slabs_;  // By the names of their memory.
  WriterWatch writers_;
};

// What a client gets that asked for a MemoryLayout. A slab is shared by all who have mapped it, so
// who is not trusted gets a segment. None: what it wants can only be reached by a session.
std::optional<catalog::Layout> layout_for(const pm_call_info_t& info, int wanted);

}  // namespace pm::api
