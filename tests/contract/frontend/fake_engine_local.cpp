#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstring>

#include "fake_engine.h"

// What the fake engine knows of sessions, and the descriptors that it shares.

namespace pm::frontend_contract {
namespace {

FakeEngine& of(const pm_engine_t* face) { return *static_cast<FakeEngine*>(face->engine_data); }

// A descriptor of a new file with these bytes, at its begin.
int file_that_says(const std::string& text) {
  const int fd = ::memfd_create("fake", MFD_CLOEXEC);
  if (::pwrite(fd, text.data(), text.size(), 0) < 0) return -1;
  return fd;
}

}  // namespace

std::uint64_t FakeEngine::open_session(const pm_principal_t& principal) {
  const std::lock_guard lock(mutex_);
  ++counts_.opened;
  sessions_[++last_session_].is_trusted = principal.is_trusted != 0;
  changed_.notify_all();
  return last_session_;
}

void FakeEngine::close_session(std::uint64_t session) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(session);
  ++counts_.closed;
  if (found == sessions_.end() || found->second.calls > 0) ++counts_.closed_wrongly;
  sessions_.erase(session);
  changed_.notify_all();
}

// Under mutex_, before a done is delivered: from then on the session may close.
void FakeEngine::said_done(std::uint64_t session) {
  const auto found = sessions_.find(session);
  if (found != sessions_.end()) --found->second.calls;
}

const pm_engine_local_t* FakeEngine::local_face() {
  static const pm_engine_local_t face = [] {
    pm_engine_local_t local{};
    local.open_handle = [](const pm_engine_t* engine, std::uint64_t session, std::uint32_t what,
                           const std::uint8_t* id, std::uint32_t number, int* descriptor) {
      const std::string name(reinterpret_cast<const char*>(id), what == PM_HANDLE_SLAB ? 0 : 16);
      if (name.starts_with("n")) return static_cast<pm_status_t>(PM_NOT_FOUND);
      if (name.starts_with("s")) std::this_thread::sleep_for(std::chrono::milliseconds(200));
      if (name.starts_with("H")) {
        auto& self = of(engine);
        std::unique_lock lock(self.mutex_);
        self.changed_.wait(lock, [&self] { return self.stuck_released_; });
      }
      *descriptor = file_that_says(std::to_string(what) + " " + name + " " +
                                   std::to_string(number) + " of " + std::to_string(session));
      return static_cast<pm_status_t>(PM_OK);
    };
    local.attach = [](const pm_engine_t* engine, std::uint64_t session, int* directory, int* page) {
      auto& self = of(engine);
      const std::lock_guard lock(self.mutex_);
      if (!self.sessions_.at(session).is_trusted) {
        return static_cast<pm_status_t>(PM_PERMISSION_DENIED);
      }
      *directory = file_that_says("directory");
      *page = file_that_says("page");
      return static_cast<pm_status_t>(PM_OK);
    };
    local.released = [](const pm_engine_t* engine, std::uint64_t) {
      auto& self = of(engine);
      const std::lock_guard lock(self.mutex_);
      ++self.counts_.released;
      self.changed_.notify_all();
    };
    return local;
  }();
  return &face;
}

}  // namespace pm::frontend_contract
