#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ids.h"

// What clients say about payloads. It lives in the repository alone and only passes through here,
// shared and never changed, so that a megabyte of it costs no more than a pointer.

namespace pm::catalog {

struct Metadata {
  std::string data;
  std::string schema;
  std::string actor;
  std::string reason;
};

struct MetadataEvent {
  std::string data;
  std::string schema;
  std::string source;
  std::string version;
};

// How a payload was made from another.
struct LineageEdge {
  Id parent;
  Id fingerprint;  // Of operation, role and parameters: two edges that agree in it are one.
  std::string operation;
  std::string role;
  std::string parameters;
};
using LineageEdges = std::vector<LineageEdge>;

// What one command may ask for: nothing here takes time that grows.
inline constexpr std::size_t lineage_edges_max = 256;

struct MetadataRecord {
  Id id;
  std::int64_t updated_at_ns = 0;
  std::shared_ptr<const Metadata> metadata;
};

struct MetadataEventRecord {
  Id id;
  std::uint64_t number = 0;
  std::int64_t at_ns = 0;
  std::shared_ptr<const MetadataEvent> event;
};

struct LineageRecord {
  Id child;
  std::shared_ptr<const LineageEdges> edges;
};

}  // namespace pm::catalog
