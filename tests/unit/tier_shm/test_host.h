#pragma once

#include <pm/tier.h>

#include <pm/cpp/plugin.hpp>
#include <string>

namespace pm::shm {

// A host with an identity, and a prefix that no one else uses. What stands under /dev/shm by that
// prefix is removed at the end.
class TestHost {
 public:
  TestHost();
  ~TestHost();
  TestHost(const TestHost&) = delete;
  TestHost& operator=(const TestHost&) = delete;

  sdk::Host host() const { return sdk::Host(&host_); }
  const std::string& prefix() const { return prefix_; }
  const std::string& logged() const { return logged_; }
  int entries() const;  // Under /dev/shm, by the prefix.
  void hide_identity() { identity_shown_ = false; }

  static constexpr char instance_id[] = "0123456789abcdef";
  static constexpr char boot_id[] = "11111111-2222-3333-4444-555555555555";

 private:
  static const void* get_extension(const pm_host_t* host, const char* id);
  static void set_error(const pm_host_t*, const char*) {}
  static void log(const pm_host_t* host, std::int32_t level, const char* message);

  std::string prefix_;
  std::string logged_;
  bool identity_shown_ = true;
  pm_host_identity_t identity_;
  pm_host_t host_;
};

pm_object_id_t object_number(std::uint64_t number, std::uint64_t generation = 1);

}  // namespace pm::shm
