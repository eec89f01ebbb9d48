#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "answers.h"
#include "content.h"
#include "host_process.h"
#include "leftovers.h"
#include "payload/manager/admin/v1/inspect.pb.h"
#include "payload/manager/admin/v1/scrub.pb.h"

// Bit rot under a real host: what a client sees, and what becomes of the bytes.

namespace pm::integration {
namespace {

namespace fs = std::filesystem;
namespace wire_admin = payload::manager::admin::v1;
using Admin = wire_services::PayloadAdminService::Stub;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t payload_bytes = 300'000;
const client::Checksum with_sha256{client::ChecksumAlgorithm::sha256, {}};

void flip_byte(const fs::path& file) {
  std::fstream io(file, std::ios::in | std::ios::out | std::ios::binary);
  constexpr std::streamoff at = payload_bytes / 2;
  io.seekg(at);
  const char byte = static_cast<char>(io.get() ^ 0x10);
  io.seekp(at);
  io.put(byte);
  ASSERT_TRUE(io.flush().good()) << file;
}

class Scrub : public testing::Test {
 protected:
  explicit Scrub(HostOptions options = {}) : host_(std::move(options)), client_(connected()) {}

  client::Client connected() {
    if (!host_.start_ready()) throw std::runtime_error(host_.log());
    wire_ = std::make_unique<Wire>(host_);
    return host_.client();
  }
  void restart() {
    ASSERT_TRUE(host_.terminate().has_value());
    client_ = connected();
  }
  void TearDown() override {
    if (HasFailure()) std::fprintf(stderr, "%s\n", host_.log().c_str());
  }

  wire_admin::ScrubResult scrub(const client::PayloadId& id) {
    wire_admin::ScrubRequest request;
    request.add_ids()->set_value(id.bytes.data(), id.bytes.size());
    const auto response = wire_->ask(wire_->admin, &Admin::Scrub, request);
    EXPECT_EQ(response.results_size(), 1);
    return response.results_size() == 1 ? response.results(0) : wire_admin::ScrubResult();
  }
  // Begins a pass and waits for its end.
  wire_admin::ScrubPass pass(const std::string& tier = {}, std::uint64_t bytes_per_second = 0) {
    wire_admin::ScrubRequest request;
    request.set_tier(tier);
    request.set_bytes_per_second(bytes_per_second);
    const std::uint64_t number = wire_->ask(wire_->admin, &Admin::Scrub, request).pass().number();
    return ended(number);
  }
  wire_admin::ScrubPass ended(std::uint64_t number) {
    wire_admin::ScrubPass found;
    EXPECT_TRUE(eventually(
        [&] {
          const auto answer = wire_->ask(wire_->admin, &Admin::GetScrub);
          for (const wire_admin::ScrubPass& each : answer.passes()) {
            if (each.number() == number) found = each;
          }
          return found.has_ended_at();
        },
        milliseconds(60'000)));
    return found;
  }
  Finished ctl(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {(build_directory() / "bin/payloadctl").string(),
                                         "--address", host_.address()});
    return run_program(arguments, host_.directory());
  }

  Stored stored_on_disk(std::uint64_t seed, const client::Checksum& checksum = with_sha256) {
    const auto allocated = client_.allocate(payload_bytes, {.tier = client::Tier::disk});
    EXPECT_TRUE(allocated.ok());
    std::vector<std::byte> bytes(payload_bytes);
    fill(bytes, seed);
    std::fstream(allocated->location.name, std::ios::in | std::ios::out | std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), payload_bytes);
    const auto descriptor = client_.commit(allocated->id, {}, checksum);
    EXPECT_TRUE(descriptor.ok()) << descriptor.status().to_string();
    return {*descriptor, sha256(bytes)};
  }
  fs::path only_file() const {
    const auto files = host_.files();
    EXPECT_EQ(files.size(), 1u);
    return files.empty() ? fs::path() : host_.disk_root() / *files.begin();
  }
  static std::string said(const Status& status) {
    return std::string(code_name(status.code())) + " " + status.reason();
  }

  HostProcess host_;
  std::unique_ptr<Wire> wire_;
  client::Client client_;
};

// SCRUB-1, SCRUB-2
TEST_F(Scrub, a_bad_copy_is_replaced_by_the_other_ones_bytes) {
  const Stored stored = stored_on_disk(1);
  const client::PayloadId& id = stored.descriptor.id;
  ASSERT_TRUE(client_.promote(id, client::Tier::ram).ok());
  const fs::path spoilt = only_file();
  flip_byte(spoilt);
  const auto result = scrub(id);
  EXPECT_EQ(result.error().code(), 0) << result.error().message();
  EXPECT_EQ(result.counts().copies(), 2u);
  EXPECT_EQ(result.counts().bad(), 1u);
  EXPECT_EQ(result.counts().repaired(), 1u);
  EXPECT_EQ(*digest_of(client_, id), stored.digest);
  EXPECT_TRUE(eventually([&] { return !fs::exists(spoilt) && host_.files().size() == 1; }));
  // What stands on disk now is good: the copy in memory is dropped without copying.
  ASSERT_TRUE(client_.spill(std::span(&id, 1), {.to = client::Tier::disk}).ok());
  EXPECT_EQ(client_.resolve(id)->tier, client::Tier::disk);
  EXPECT_EQ(*digest_of(client_, id), stored.digest);
  EXPECT_EQ(scrub(id).counts().bad(), 0u);
  EXPECT_TRUE(client_.erase(id).ok());
  EXPECT_EQ(leftovers(host_, client_), "");
}

// SCRUB-1, LEASE-1
TEST_F(Scrub, a_bad_copy_is_never_leased_again_and_who_leases_it_keeps_it) {
  const Stored stored = stored_on_disk(2);
  const client::PayloadId& id = stored.descriptor.id;
  ASSERT_TRUE(client_.promote(id, client::Tier::ram).ok());
  auto held = client_.open(id);
  ASSERT_TRUE(held.ok());
  ASSERT_EQ(host_.segments().size(), 1u);
  flip_byte(fs::path("/dev/shm") / *host_.segments().begin());
  const Digest seen = sha256(held->bytes());
  EXPECT_NE(seen, stored.digest);
  EXPECT_EQ(scrub(id).counts().repaired(), 1u);
  EXPECT_EQ(client_.resolve(id)->tier, client::Tier::ram);
  EXPECT_EQ(*digest_of(client_, id), stored.digest);
  EXPECT_EQ(sha256(held->bytes()), seen) << "the memory of a lease was taken away";
  const auto tiers = wire_->ask(wire_->admin, &Admin::ListTiers);
  EXPECT_EQ(tiers.tiers(0).copies_found_bad(), 1u);
}

// SCRUB-6
TEST_F(Scrub, a_reader_that_verifies_gets_the_other_copys_bytes) {
  const Stored stored = stored_on_disk(2);
  const client::PayloadId& id = stored.descriptor.id;
  ASSERT_TRUE(client_.promote(id, client::Tier::ram).ok());
  EXPECT_EQ(sha256(client_.open(id, {.verify = true})->bytes()), stored.digest);
  flip_byte(fs::path("/dev/shm") / *host_.segments().begin());
  EXPECT_NE(sha256(client_.open(id)->bytes()), stored.digest);
  const auto held = client_.open(id, {.verify = true});
  ASSERT_TRUE(held.ok()) << held.status().to_string();
  EXPECT_EQ(sha256(held->bytes()), stored.digest);
  EXPECT_EQ(sha256(client_.open(id)->bytes()), stored.digest) << "the bad copy was not replaced";
}

// SCRUB-6
TEST_F(Scrub, a_reader_that_verifies_hears_of_loss_and_a_file_is_not_written) {
  const Stored stored = stored_on_disk(2);
  const client::PayloadId& id = stored.descriptor.id;
  const fs::path target = host_.directory() / "copy";
  flip_byte(only_file());
  EXPECT_EQ(ctl({"get", "--no-verify", id.to_string(), target.string()}).exit.code, 0);
  EXPECT_TRUE(fs::remove(target));
  const Finished got = ctl({"get", id.to_string(), target.string()});
  EXPECT_NE(got.exit.code, 0);
  EXPECT_NE(got.output.find("PAYLOAD_LOST"), std::string::npos) << got.output;
  EXPECT_FALSE(fs::exists(target));
  EXPECT_EQ(said(client_.open(id, {.verify = true}).status()), "DATA_LOSS PAYLOAD_LOST");
}

// SCRUB-3
TEST_F(Scrub, a_payload_without_a_good_copy_is_lost_by_name_and_its_bytes_stay) {
  const Stored stored = stored_on_disk(3);
  const client::PayloadId& id = stored.descriptor.id;
  const fs::path file = only_file();
  flip_byte(file);
  const auto result = scrub(id);
  EXPECT_EQ(answer_of(result.error()), "DATA_LOSS PAYLOAD_LOST");
  EXPECT_EQ(result.counts().lost(), 1u);
  wire_runtime::AcquireReadLeaseRequest request;
  request.mutable_id()->set_value(id.bytes.data(), id.bytes.size());
  grpc::ClientContext context;
  wire_runtime::AcquireReadLeaseResponse response;
  const grpc::Status refused = wire_->data->AcquireReadLease(&context, request, &response);
  EXPECT_EQ(answer_of(refused), "DATA_LOSS PAYLOAD_LOST");
  EXPECT_NE(refused.error_details().find(id.to_string()), std::string::npos);
  EXPECT_NE(refused.error_details().find("disk"), std::string::npos) << "the tier is not named";
  EXPECT_EQ(said(client_.resolve(id).status()), "DATA_LOSS PAYLOAD_LOST");
  restart();
  EXPECT_EQ(said(client_.resolve(id).status()), "DATA_LOSS PAYLOAD_LOST");
  EXPECT_TRUE(fs::exists(file)) << "an operator cannot look at it any more";
  // Whoever puts the right bytes back has the payload back.
  flip_byte(file);
  EXPECT_EQ(scrub(id).error().code(), 0);
  EXPECT_EQ(*digest_of(client_, id), stored.digest);
  flip_byte(file);
  EXPECT_EQ(answer_of(scrub(id).error()), "DATA_LOSS PAYLOAD_LOST");
  EXPECT_TRUE(client_.erase(id).ok());
  EXPECT_EQ(leftovers(host_, client_), "");
}

// SCRUB-3
TEST_F(Scrub, a_file_that_was_cut_stays_over_restarts_until_its_payload_is_deleted) {
  const Stored stored = stored_on_disk(8);
  const client::PayloadId& id = stored.descriptor.id;
  const fs::path file = only_file();
  fs::resize_file(file, 1'000);
  for (int life = 0; life < 2; ++life) {
    restart();
    EXPECT_EQ(said(client_.open(id).status()), "DATA_LOSS PAYLOAD_LOST");
    sleep_ms(1'000);  // Longer than the quarantine and the grace of orphans.
    EXPECT_EQ(fs::file_size(file), 1'000u);
  }
  EXPECT_TRUE(client_.erase(id).ok());
  EXPECT_TRUE(eventually([&] { return !fs::exists(file); }));
  EXPECT_EQ(leftovers(host_, client_), "");
}

// SCRUB-6
TEST_F(Scrub, a_reader_that_verifies_gets_the_other_copy_of_a_file_that_is_gone) {
  const Stored stored = stored_on_disk(9);
  const client::PayloadId& id = stored.descriptor.id;
  ASSERT_TRUE(client_.promote(id, client::Tier::ram).ok());
  ASSERT_EQ(::truncate(("/dev/shm/" + *host_.segments().begin()).c_str(), 10), 0);
  EXPECT_EQ(said(client_.open(id).status()), "DATA_LOSS TRUNCATED");
  const auto held = client_.open(id, {.verify = true});
  ASSERT_TRUE(held.ok()) << held.status().to_string();
  EXPECT_EQ(sha256(held->bytes()), stored.digest);
}

// SCRUB-3
TEST_F(Scrub, a_lost_payload_is_back_with_the_first_copy_that_is_good_again) {
  const Stored stored = stored_on_disk(10);
  const client::PayloadId& id = stored.descriptor.id;
  ASSERT_TRUE(client_.promote(id, client::Tier::ram).ok());
  const fs::path above = fs::path("/dev/shm") / *host_.segments().begin();
  const fs::path below = only_file();
  flip_byte(above);
  flip_byte(below);
  EXPECT_EQ(answer_of(scrub(id).error()), "DATA_LOSS PAYLOAD_LOST");
  flip_byte(below);
  EXPECT_EQ(answer_of(scrub(id).error()), "OK");
  EXPECT_EQ(*digest_of(client_, id), stored.digest);
}

TEST_F(Scrub, a_payload_of_which_nothing_is_left_is_told_to_be_lost) {
  const auto stored = put(client_, payload_bytes, 1);
  ASSERT_TRUE(stored.ok());
  const client::PayloadId& id = stored->descriptor.id;
  ASSERT_TRUE(host_.terminate().has_value());
  for (const std::string& name : host_.segments()) fs::remove(fs::path("/dev/shm") / name);
  client_ = connected();
  EXPECT_EQ(answer_of(scrub(id).error()), "DATA_LOSS PAYLOAD_LOST");
}

// SCRUB-4
TEST_F(Scrub, a_payload_without_a_checksum_gets_one) {
  const Stored stored = stored_on_disk(4, {});
  const client::PayloadId& id = stored.descriptor.id;
  EXPECT_EQ(scrub(id).counts().checksums(), 1u);
  EXPECT_EQ(scrub(id).counts().checksums(), 0u);
  restart();
  flip_byte(only_file());
  EXPECT_EQ(answer_of(scrub(id).error()), "DATA_LOSS PAYLOAD_LOST");
}

// SCRUB-5
TEST_F(Scrub, a_pass_reads_no_faster_than_it_may_and_not_much_slower) {
  for (std::uint64_t n = 0; n < 20; ++n) stored_on_disk(n);
  const auto begin = steady_clock::now();
  const auto found = pass("disk", 3'000'000);
  const auto took = steady_clock::now() - begin;
  EXPECT_EQ(found.counts().copies(), 20u);
  EXPECT_EQ(found.counts().bytes(), 20u * payload_bytes);
  EXPECT_GE(took, milliseconds(1'700));  // All but the last read have been waited for.
  EXPECT_LE(took, milliseconds(8'000));
  wire_admin::ScrubRequest slow;
  slow.set_bytes_per_second(1'000);
  const std::uint64_t number = wire_->ask(wire_->admin, &Admin::Scrub, slow).pass().number();
  wire_admin::ScrubResponse refused;
  EXPECT_EQ(answer_of(wire_->call(wire_->admin, &Admin::Scrub, slow, &refused)),
            "ABORTED SCRUB_UNDER_WAY");
  // Payloads that are asked for by name do not wait for it, nor does the end of the host.
  const Stored stored = stored_on_disk(100);
  EXPECT_EQ(scrub(stored.descriptor.id).counts().copies(), 1u);
  EXPECT_GT(number, found.number());
  const auto stop = steady_clock::now();
  EXPECT_EQ(host_.terminate()->code, 0);
  EXPECT_LT(steady_clock::now() - stop, milliseconds(5'000));
}

TEST_F(Scrub, a_copy_that_is_being_read_gives_its_room_back_soon) {
  const auto stored = put(client_, 3 << 20, 1, {.tier = client::Tier::disk});
  ASSERT_TRUE(stored.ok());
  wire_admin::ScrubRequest slow;
  slow.set_bytes_per_second(1);
  const auto begun = wire_->ask(wire_->admin, &Admin::Scrub, slow);
  EXPECT_EQ(begun.pass().bytes_per_second(), 65'536u) << "it would never end";
  // The first of three parts has been read then; the next one's turn comes in 16 s.
  EXPECT_TRUE(eventually([&] {
    const auto answer = wire_->ask(wire_->admin, &Admin::GetScrub);
    return answer.passes_size() == 1;
  }));
  sleep_ms(500);
  EXPECT_TRUE(client_.erase(stored->descriptor.id).ok());
  EXPECT_TRUE(eventually([&] { return host_.files().empty(); }, milliseconds(3'000)));
}

TEST_F(Scrub, a_pass_goes_on_while_payloads_move_and_go) {
  std::vector<Stored> stored;
  for (std::uint64_t n = 0; n < 60; ++n) stored.push_back(stored_on_disk(n, {}));
  std::atomic<bool> stop{false};
  std::thread mover([&] {
    client::Client client = host_.client();
    for (std::size_t n = 0; !stop; n = (n + 1) % 40) {
      const client::PayloadId& id = stored[n].descriptor.id;
      static_cast<void>(client.promote(id, client::Tier::ram, {.drop_source = n % 2 == 0}));
      static_cast<void>(client.spill(std::span(&id, 1), {.to = client::Tier::disk}));
    }
  });
  for (std::size_t n = 40; n < 60; ++n) {
    const auto found = pass();
    EXPECT_EQ(found.counts().bad(), 0u);
    EXPECT_TRUE(client_.erase(stored[n].descriptor.id).ok());
  }
  stop = true;
  mover.join();
  const auto found = pass();
  EXPECT_EQ(found.counts().bad() + found.counts().unreadable() + found.counts().lost(), 0u);
  for (std::size_t n = 0; n < 40; ++n) {
    EXPECT_EQ(*digest_of(client_, stored[n].descriptor.id), stored[n].digest);
    EXPECT_TRUE(client_.erase(stored[n].descriptor.id).ok());
  }
  EXPECT_EQ(leftovers(host_, client_), "");
}

TEST_F(Scrub, payloadctl_scrubs_and_says_what_was_found) {
  const Stored good = stored_on_disk(1);
  const std::string id = good.descriptor.id.to_string();
  EXPECT_EQ(ctl({"scrub", id}).exit.code, 0);
  EXPECT_EQ(ctl({"scrub", "--tier", "disk", "--wait"}).exit.code, 0);
  flip_byte(only_file());
  const Finished lost = ctl({"scrub", "--tier", "disk", "--wait"});
  EXPECT_EQ(lost.exit.code, 6) << lost.output;
  EXPECT_NE(lost.output.find("ENDED"), std::string::npos) << lost.output;
  const Finished named = ctl({"scrub", id});
  EXPECT_EQ(named.exit.code, 6) << named.output;
  EXPECT_NE(named.output.find(id + ": "), std::string::npos) << named.output;
  const Finished status = ctl({"scrub", "status"});
  EXPECT_EQ(status.exit.code, 0) << status.output;
  EXPECT_EQ(std::count(status.output.begin(), status.output.end(), '\n'), 3) << status.output;
  const Finished explained = ctl({"explain", id});
  EXPECT_NE(explained.output.find("a scrub found that its last good copy is bad"),
            std::string::npos)
      << explained.output;
  EXPECT_EQ(ctl({"scrub", "--tier", "nosuch"}).exit.code, 4);
  EXPECT_EQ(ctl({"scrub", id, "--tier", "disk"}).exit.code, 2);
}

class ScrubByItself : public Scrub {
 protected:
  ScrubByItself() : Scrub(host_options()) {}
  static HostOptions host_options() {
    HostOptions options;
    options.more = "[scrub]\nfirst_after_ms = 0\ninterval_ms = 1000\nbytes_per_second = '8MiB'\n";
    return options;
  }
};

TEST_F(ScrubByItself, passes_find_bit_rot_unasked) {
  const Stored stored = stored_on_disk(1);
  const client::PayloadId& id = stored.descriptor.id;
  ASSERT_TRUE(client_.promote(id, client::Tier::ram).ok());
  const fs::path spoilt = only_file();
  flip_byte(spoilt);
  EXPECT_TRUE(eventually([&] { return !fs::exists(spoilt) && host_.files().size() == 1; },
                         milliseconds(20'000)));
  EXPECT_TRUE(host_.wait_log("a good copy has taken its place", milliseconds(5'000)));
  EXPECT_TRUE(client_.erase(id).ok());
  EXPECT_EQ(leftovers(host_, client_), "");
}

}  // namespace
}  // namespace pm::integration
