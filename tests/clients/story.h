#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "oracle.h"

// What a client process writes down of itself, line by line, so that it is known after its death.

namespace pm::clients {

// CLOCK_MONOTONIC, the same in every process.
std::uint64_t monotonic_ns();

// In the client process. Each line is one write(2): whole after SIGKILL, or not there.
class StoryWriter {
 public:
  explicit StoryWriter(const std::filesystem::path& file);
  ~StoryWriter();
  StoryWriter(const StoryWriter&) = delete;
  StoryWriter& operator=(const StoryWriter&) = delete;

  void line(const std::string& words) const;
  void allocated(const client::Descriptor& descriptor) const;
  // Its bytes are these, and its commit is about to be sent.
  void commits(const client::PayloadId& id, const integration::Digest& digest) const;
  void committed(const client::Descriptor& descriptor) const;
  void erases(const client::PayloadId& id) const;
  void gone(const client::PayloadId& id) const;
  void leased(const client::Lease& lease) const;
  // An answer that the test asks for by `name`.
  void answered(const std::string& name, const Status& status) const;
  // In the state that it was started for.
  void posed() const;

 private:
  int file_;
};

// The same, as the test reads it.
struct Story {
  std::vector<integration::Known> payloads;
  std::uint64_t leases = 0;
  std::uint64_t leases_end_ns = 0;    // Monotonic, of the last one; 0: none.
  std::uint64_t allocated_at_ns = 0;  // Monotonic, of the last one; 0: none.
  std::map<std::string, std::string> answers;  // "OK", or "NOT_FOUND PAYLOAD_NOT_FOUND".
  bool posed = false;
  std::string last;  // Its last line.
  std::vector<std::string> complaints;
};
Story read_story(const std::filesystem::path& file);

}  // namespace pm::clients
