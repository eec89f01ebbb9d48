#pragma once

#include <pm/frontend.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace pm::frontend_contract {

// What goes wrong between a frontend and its engine. Each function changes what passes; an empty
// one passes it unchanged.
struct Fault {
  std::function<void(std::string& request)> request;
  std::function<void(pm_call_info_t& info, pm_principal_t& principal)> info;
  std::function<void(pm_reply_t& reply)> reply;
  int cancels = 1;            // How often the engine hears of one cancel.
  std::uint32_t credits = 1;  // What the engine gets for each reply that was written.
  int closes = 1;             // How often the engine hears of the end of one session.
};

// An engine that passes everything on to another one, with a fault: to the rules, a frontend
// before it looks like a frontend that has the fault itself.
class MutantEngine {
 public:
  explicit MutantEngine(Fault fault);
  const pm_engine_t* wrap(const pm_engine_t* inner);

 private:
  struct Call {
    MutantEngine* engine;
    pm_on_reply_t on_reply;
    void* data;
  };
  static std::uint64_t call(const pm_engine_t* face, const char* method,
                            const std::uint8_t* request, std::uint64_t length,
                            const pm_call_info_t* info, pm_on_reply_t on_reply, void* data);
  static void on_reply(void* data, const pm_reply_t* reply);

  const Fault fault_;
  pm_engine_t face_{};
  const pm_engine_t* inner_ = nullptr;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Call>> calls_;
};

}  // namespace pm::frontend_contract
