#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "answers.h"
#include "content.h"

// Checksums that clients choose, and payloads that they upload from outside.

namespace pm::integration {
namespace {

using Catalog = wire_services::PayloadCatalogService::Stub;

wire_core::Checksum checksum(wire_core::ChecksumAlgorithm algorithm,
                             const std::string& value = {}) {
  wire_core::Checksum checksum;
  checksum.set_algorithm(algorithm);
  checksum.set_value(value);
  return checksum;
}

std::string sha256_of(const std::string& bytes) {
  return sha256(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

class Checksums : public testing::TestWithParam<const char*> {
 protected:
  Checksums() : host_(host_options()) {}

  void SetUp() override { connect(); }
  void connect() {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    wire_ = std::make_unique<Wire>(host_);
  }
  static HostOptions host_options() {
    HostOptions options;
    options.repository = GetParam();
    options.more =
        "[[tier]]\nname = \"object\"\nplugin = \"org.payload-manager.tier-disk\"\nnumber = 4\n"
        "rank = 40\n[tier.config]\nroot = \"${state_directory}/objects\"\n"
        "capacity_bytes = 65536\n";
    return options;
  }

  // Allocates on a tier; `path` is where the bytes are written.
  wire_core::PayloadID allocate(wire_core::Tier tier, std::uint64_t size_bytes, std::string& path) {
    wire_catalog::AllocatePayloadRequest request;
    request.set_size_bytes(size_bytes);
    request.set_preferred_tier(tier);
    wire_catalog::AllocatePayloadResponse response;
    const grpc::Status status =
        wire_->call(wire_->catalog, &Catalog::AllocatePayload, request, &response);
    EXPECT_EQ(answer_of(status), "OK");
    const wire_core::PayloadDescriptor& descriptor = response.payload_descriptor();
    if (tier == wire_core::TIER_OBJECT) {
      EXPECT_FALSE(descriptor.has_disk()) << "old clients expect an upload path alone";
      path = response.object_upload_path();
    } else {
      EXPECT_EQ(response.object_upload_path(), "");
      path = descriptor.has_disk() ? descriptor.disk().path()
                                   : "/dev/shm" + descriptor.ram().shm_name();
    }
    return descriptor.payload_id();
  }

  // As a client that uploads: over what is there, and no longer than that.
  static void write(const std::string& path, const std::string& bytes) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    ASSERT_TRUE(file.is_open()) << path;
    file << bytes;
    file.close();
    std::filesystem::resize_file(path, bytes.size());
  }
  // As a broken medium.
  static void damage(const std::string& path) {
    ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(17);
    file << '!';
    file.close();
    ASSERT_EQ(::chmod(path.c_str(), 0400), 0);
  }

  grpc::Status commit(const wire_core::PayloadID& id, const wire_core::Checksum& wanted,
                      wire_core::PayloadDescriptor* descriptor = nullptr) {
    wire_catalog::CommitPayloadRequest request;
    *request.mutable_id() = id;
    *request.mutable_checksum() = wanted;
    wire_catalog::CommitPayloadResponse response;
    grpc::Status status = wire_->call(wire_->catalog, &Catalog::CommitPayload, request, &response);
    if (descriptor != nullptr) *descriptor = response.payload_descriptor();
    return status;
  }
  grpc::Status import(const wire_core::PayloadID& id, std::uint64_t size_bytes = 0,
                      const wire_core::Checksum& wanted = {},
                      wire_core::PayloadDescriptor* descriptor = nullptr,
                      const std::string& request_id = {}) {
    wire_catalog::ImportPayloadRequest request;
    *request.mutable_id() = id;
    request.set_size_bytes(size_bytes);
    request.set_request_id(request_id);
    *request.mutable_checksum() = wanted;
    wire_catalog::ImportPayloadResponse response;
    grpc::Status status = wire_->call(wire_->catalog, &Catalog::ImportPayload, request, &response);
    if (descriptor != nullptr) *descriptor = response.payload_descriptor();
    return status;
  }
  grpc::Status promote(const wire_core::PayloadID& id, wire_core::Tier tier,
                       wire_core::PayloadDescriptor* descriptor = nullptr) {
    wire_catalog::PromoteRequest request;
    *request.mutable_id() = id;
    request.set_target_tier(tier);
    return wire_->promote(request, descriptor);
  }
  wire_core::PayloadDescriptor resolve(const wire_core::PayloadID& id) {
    wire_core::PayloadDescriptor descriptor;
    EXPECT_EQ(answer_of(wire_->resolve(id, &descriptor)), "OK");
    return descriptor;
  }

  HostProcess host_;
  std::unique_ptr<Wire> wire_;
};

// CHECKSUM-1
TEST_P(Checksums, a_commit_needs_the_bytes_to_have_the_value_given) {
  const std::string bytes(100'000, 'p');
  for (const auto tier : {wire_core::TIER_RAM, wire_core::TIER_DISK}) {
    std::string path;
    const auto id = allocate(tier, bytes.size(), path);
    const auto wanted = checksum(wire_core::CHECKSUM_ALGORITHM_SHA256, sha256_of(bytes));
    EXPECT_EQ(answer_of(commit(id, wanted)), "DATA_LOSS COMMIT_CHECKSUM_MISMATCH");
    EXPECT_EQ(resolve(id).state(), wire_core::PAYLOAD_STATE_ALLOCATED);
    write(path, bytes);
    wire_core::PayloadDescriptor descriptor;
    ASSERT_EQ(answer_of(commit(id, wanted, &descriptor)), "OK");
    EXPECT_EQ(descriptor.checksum().SerializeAsString(), wanted.SerializeAsString());
    EXPECT_EQ(resolve(id).checksum().SerializeAsString(), wanted.SerializeAsString());
  }
}

// CHECKSUM-2
TEST_P(Checksums, a_commit_without_a_value_computes_it) {
  // Of these 32 bytes: RFC 3720, appendix B.4.
  const std::string zeros(32, '\0');
  const std::pair<wire_core::ChecksumAlgorithm, std::string> expected[] = {
      {wire_core::CHECKSUM_ALGORITHM_CRC32C, std::string("\x8a\x91\x36\xaa")},
      {wire_core::CHECKSUM_ALGORITHM_SHA256, sha256_of(zeros)},
  };
  for (const auto& [algorithm, value] : expected) {
    std::string path;
    const auto id = allocate(wire_core::TIER_RAM, zeros.size(), path);
    wire_core::PayloadDescriptor descriptor;
    ASSERT_EQ(answer_of(commit(id, checksum(algorithm), &descriptor)), "OK");
    EXPECT_EQ(descriptor.checksum().algorithm(), algorithm);
    EXPECT_EQ(descriptor.checksum().value(), value);
  }
  std::string path;
  const auto id = allocate(wire_core::TIER_RAM, zeros.size(), path);
  wire_core::PayloadDescriptor descriptor;
  ASSERT_EQ(answer_of(commit(id, checksum(wire_core::CHECKSUM_ALGORITHM_XXH3_128), &descriptor)),
            "OK");
  const std::string computed = descriptor.checksum().value();
  EXPECT_EQ(computed.size(), 16u);
  const auto again = allocate(wire_core::TIER_DISK, zeros.size(), path);
  EXPECT_EQ(answer_of(commit(again, checksum(wire_core::CHECKSUM_ALGORITHM_XXH3_128, computed))),
            "OK");
}

// CHECKSUM-2
TEST_P(Checksums, that_are_none_are_refused) {
  std::string path;
  const auto id = allocate(wire_core::TIER_RAM, 100, path);
  const wire_core::Checksum bad[] = {
      checksum(static_cast<wire_core::ChecksumAlgorithm>(4)),
      checksum(wire_core::CHECKSUM_ALGORITHM_UNSPECIFIED, "1234"),
      checksum(wire_core::CHECKSUM_ALGORITHM_CRC32C, "12345"),
      checksum(wire_core::CHECKSUM_ALGORITHM_SHA256, std::string(31, 'x')),
      checksum(wire_core::CHECKSUM_ALGORITHM_XXH3_128, std::string(32, 'x'))};
  for (const wire_core::Checksum& wanted : bad) {
    EXPECT_EQ(answer_of(commit(id, wanted)), "INVALID_ARGUMENT CHECKSUM_INVALID");
    EXPECT_EQ(answer_of(import(id, 0, wanted)), "INVALID_ARGUMENT CHECKSUM_INVALID");
  }
  EXPECT_EQ(answer_of(commit(id, {})), "OK");
  EXPECT_FALSE(resolve(id).has_checksum());
}

// CHECKSUM-3
TEST_P(Checksums, bytes_that_move_are_checked_against_what_the_client_chose) {
  const std::string bytes(50'000, 'q');
  for (const auto algorithm :
       {wire_core::CHECKSUM_ALGORITHM_SHA256, wire_core::CHECKSUM_ALGORITHM_CRC32C,
        wire_core::CHECKSUM_ALGORITHM_XXH3_128}) {
    std::string path;
    const auto id = allocate(wire_core::TIER_DISK, bytes.size(), path);
    write(path, bytes);
    ASSERT_EQ(answer_of(commit(id, checksum(algorithm))), "OK");
    const auto kept = resolve(id).checksum();
    ASSERT_EQ(answer_of(promote(id, wire_core::TIER_RAM)), "OK");
    EXPECT_EQ(resolve(id).checksum().SerializeAsString(), kept.SerializeAsString());
    wire_catalog::SpillRequest down;
    *down.add_ids() = id;
    down.set_target_tier(wire_core::TIER_DISK);
    ASSERT_EQ(answer_of(wire_->spill(down)), "OK");
    damage(resolve(id).disk().path());
    EXPECT_EQ(answer_of(promote(id, wire_core::TIER_RAM)), "DATA_LOSS CHECKSUM_MISMATCH");
    EXPECT_EQ(answer_of(wire_->resolve(id)), "DATA_LOSS PAYLOAD_LOST");
  }
}

// CHECKSUM-3
TEST_P(Checksums, are_kept_over_a_restart_also_the_one_that_a_move_computed) {
  if (host_.options().repository == "memory") GTEST_SKIP() << "ends with the host";
  std::string path;
  const auto chosen = allocate(wire_core::TIER_DISK, 4'000, path);
  ASSERT_EQ(answer_of(commit(chosen, checksum(wire_core::CHECKSUM_ALGORITHM_SHA256))), "OK");
  const auto moved = wire_->make(wire_core::TIER_DISK);
  EXPECT_FALSE(resolve(moved).has_checksum());
  ASSERT_EQ(answer_of(promote(moved, wire_core::TIER_RAM)), "OK");
  const auto of_chosen = resolve(chosen).checksum();
  const auto of_moved = resolve(moved).checksum();
  EXPECT_EQ(of_moved.algorithm(), wire_core::CHECKSUM_ALGORITHM_XXH3_128);
  host_.kill();
  connect();
  EXPECT_EQ(resolve(chosen).checksum().SerializeAsString(), of_chosen.SerializeAsString());
  EXPECT_EQ(resolve(moved).checksum().SerializeAsString(), of_moved.SerializeAsString());
}

// IMPORT-1
TEST_P(Checksums, an_import_publishes_what_was_uploaded) {
  const std::string bytes(10'000, 'u');
  std::string path;
  const auto id = allocate(wire_core::TIER_OBJECT, bytes.size(), path);
  write(path, bytes.substr(0, 9'999));
  EXPECT_EQ(answer_of(import(id)), "FAILED_PRECONDITION IMPORT_LENGTH_MISMATCH");
  EXPECT_EQ(answer_of(import(id, 9'998)), "FAILED_PRECONDITION IMPORT_LENGTH_MISMATCH");
  EXPECT_EQ(resolve(id).state(), wire_core::PAYLOAD_STATE_ALLOCATED);
  write(path, bytes);
  const auto wanted = checksum(wire_core::CHECKSUM_ALGORITHM_SHA256, sha256_of(bytes));
  const auto wrong = checksum(wire_core::CHECKSUM_ALGORITHM_SHA256, sha256_of("others"));
  EXPECT_EQ(answer_of(import(id, 0, wrong)), "DATA_LOSS COMMIT_CHECKSUM_MISMATCH");
  wire_core::PayloadDescriptor descriptor;
  ASSERT_EQ(answer_of(import(id, bytes.size(), wanted, &descriptor, "once")), "OK");
  EXPECT_EQ(descriptor.state(), wire_core::PAYLOAD_STATE_DURABLE);
  EXPECT_EQ(descriptor.tier(), wire_core::TIER_OBJECT);
  EXPECT_EQ(descriptor.checksum().SerializeAsString(), wanted.SerializeAsString());
  EXPECT_EQ(answer_of(import(id, bytes.size(), wanted, nullptr, "once")), "OK") << "a repeat";
  EXPECT_EQ(answer_of(import(id)), "FAILED_PRECONDITION PAYLOAD_ALREADY_COMMITTED");
  EXPECT_EQ(answer_of(promote(id, wire_core::TIER_RAM)), "OK");

  const auto removed = allocate(wire_core::TIER_OBJECT, 100, path);
  std::filesystem::remove(path);
  EXPECT_EQ(answer_of(import(removed)), "FAILED_PRECONDITION IMPORT_LENGTH_MISMATCH");
}

// IMPORT-2
TEST_P(Checksums, an_import_of_fewer_bytes_gives_the_room_back) {
  std::string path;
  const auto id = allocate(wire_core::TIER_OBJECT, 60'000, path);
  wire_catalog::AllocatePayloadRequest request;
  request.set_size_bytes(32'768);
  request.set_preferred_tier(wire_core::TIER_OBJECT);
  EXPECT_EQ(answer_of(wire_->allocate(request)), "RESOURCE_EXHAUSTED TIER_FULL");
  EXPECT_EQ(answer_of(import(id, 60'001)), "FAILED_PRECONDITION IMPORT_LENGTH_MISMATCH");
  write(path, "twelve bytes");
  wire_core::PayloadDescriptor descriptor;
  const auto wanted = checksum(wire_core::CHECKSUM_ALGORITHM_CRC32C);
  ASSERT_EQ(answer_of(import(id, 12, wanted, &descriptor)), "OK");
  EXPECT_EQ(descriptor.size_bytes(), 12u);
  EXPECT_EQ(descriptor.disk().length_bytes(), 12u);
  EXPECT_EQ(answer_of(wire_->allocate(request)), "OK");
  EXPECT_EQ(host_.client().stats()->tiers.back().bytes_charged, 4'096u + 32'768u);

  // What was cut is whole: it moves, and outlives the host.
  ASSERT_EQ(answer_of(promote(id, wire_core::TIER_DISK)), "OK");
  EXPECT_EQ(resolve(id).size_bytes(), 12u);
  if (host_.options().repository == "memory") return;
  host_.kill();
  connect();
  EXPECT_EQ(resolve(id).size_bytes(), 12u);
}

// IMPORT-3
TEST_P(Checksums, an_import_is_for_tiers_that_clients_upload_to) {
  for (const auto tier : {wire_core::TIER_RAM, wire_core::TIER_DISK}) {
    std::string path;
    const auto id = allocate(tier, 100, path);
    EXPECT_EQ(answer_of(import(id)), "FAILED_PRECONDITION IMPORT_NOT_UPLOADABLE");
    EXPECT_EQ(answer_of(commit(id, {})), "OK");
  }
  std::string path;
  const auto id = allocate(wire_core::TIER_OBJECT, 100, path);
  EXPECT_EQ(answer_of(commit(id, {})), "OK") << "as any other";
  EXPECT_EQ(answer_of(import(id_of(std::string(16, '\x22')))), "NOT_FOUND PAYLOAD_NOT_FOUND");
  EXPECT_EQ(answer_of(import(id_of("short"))), "INVALID_ARGUMENT PAYLOAD_ID_MALFORMED");
}

INSTANTIATE_TEST_SUITE_P(repositories, Checksums, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
