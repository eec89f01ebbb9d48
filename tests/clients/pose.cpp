#include "pose.h"

#include <stdexcept>

namespace pm::clients {

namespace {

constexpr const char* names[] = {"leases", "allocates", "writes", "waits",
                                 "works",  "late",      "later"};
static_assert(std::size(names) == static_cast<std::size_t>(Pose::count));

}  // namespace

const char* name_of(Pose pose) { return names[static_cast<std::size_t>(pose)]; }

std::vector<std::string> command_of(const std::filesystem::path& program, const Part& part) {
  std::vector<std::string> command = {program.string(),
                                      part.address,
                                      part.story.string(),
                                      part.go.string(),
                                      std::to_string(part.seed),
                                      std::to_string(static_cast<int>(part.pose))};
  for (const client::PayloadId& id : part.readable) command.push_back(id.to_string());
  return command;
}

Part part_of(int count, char** arguments) {
  if (count < 6) throw std::runtime_error("usage: ADDRESS STORY GO SEED POSE PAYLOAD...");
  Part part{arguments[1], arguments[2], arguments[3],
            static_cast<std::uint32_t>(std::stoul(arguments[4])),
            static_cast<Pose>(std::stoi(arguments[5])), {}};
  for (int at = 6; at < count; ++at) {
    const auto id = client::PayloadId::parse(arguments[at]);
    if (!id.ok()) throw std::runtime_error(id.status().to_string());
    part.readable.push_back(*id);
  }
  return part;
}

}  // namespace pm::clients
