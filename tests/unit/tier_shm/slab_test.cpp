#include "slab.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <random>

#include "test_host.h"

namespace pm::shm {
namespace {

constexpr std::uint64_t granule = SlabAllocator::granule_bytes;
constexpr std::uint32_t granules = 48;

class SlabTest : public testing::Test {
 protected:
  SlabTest() {
    options_.name = "/" + host_.prefix() + "-slab-1";
    options_.instance_id = TestHost::instance_id;
    options_.boot_id = TestHost::boot_id;
    options_.bytes = granules * granule;
  }

  std::unique_ptr<Slab> open() {
    auto slab = Slab::open(host_.host(), options_);
    EXPECT_TRUE(slab.ok()) << slab.status().to_string();
    return slab.ok() ? std::move(*slab) : nullptr;
  }

  // Makes and seals a block that is filled with `mark`.
  std::uint32_t put(Slab& slab, std::uint64_t number, std::uint64_t length, char mark) {
    const auto first = slab.allocate(object_number(number), length, 1000);
    EXPECT_TRUE(first.ok()) << first.status().to_string();
    const std::vector<char> bytes(length, mark);
    EXPECT_TRUE(slab.write(object_number(number), *first, 0, bytes.data(), length).ok());
    EXPECT_TRUE(slab.seal(object_number(number), *first, length).ok());
    return *first;
  }

  // As a client of the same user may.
  ShmFile client() {
    auto file = ShmFile::open(options_.name, O_RDWR);
    EXPECT_TRUE(file.ok());
    return std::move(*file);
  }

  TestHost host_;
  SlabOptions options_;
};

TEST_F(SlabTest, is_taken_over_with_its_blocks_by_the_next_life) {
  auto slab = open();
  const auto first = put(*slab, 1, 5000, 'a');
  const auto unsealed = slab->allocate(object_number(2), 100, 1000);
  slab = open();
  EXPECT_EQ(slab->objects(), 2u);
  EXPECT_EQ(slab->bytes_used(), 3 * granule);
  EXPECT_TRUE(slab->adopt(object_number(1), first, 5000).ok());
  EXPECT_EQ(slab->adopt(object_number(1), first, 5001).code(), Code::data_loss);
  EXPECT_EQ(slab->adopt(object_number(1), first + 1, 5000).code(), Code::not_found);
  EXPECT_EQ(slab->adopt(object_number(2), *unsealed, 100).code(), Code::data_loss);
  char bytes[5000];
  EXPECT_EQ(*slab->read(object_number(1), first, 0, bytes, sizeof bytes), 5000u);
  EXPECT_EQ(std::string(bytes, sizeof bytes), std::string(5000, 'a'));
  EXPECT_EQ(slab->allocate(object_number(1), 1, 1000).status().code(), Code::already_exists);
}

TEST_F(SlabTest, of_another_boot_instance_or_size_is_made_anew) {
  std::uint32_t first = 0;
  const auto expect_lost = [&](const char* what) {
    auto slab = open();
    EXPECT_EQ(slab->objects(), 0u) << what;
    EXPECT_EQ(slab->adopt(object_number(1), first, 5000).code(), Code::not_found) << what;
    first = put(*slab, 1, 5000, 'a');
  };
  expect_lost("new");
  options_.boot_id = "99999999-2222-3333-4444-555555555555";
  expect_lost("another boot");
  options_.instance_id = "fedcba9876543210";
  expect_lost("another instance");
  options_.bytes += granule;
  expect_lost("another size");
  EXPECT_EQ(::ftruncate(client().get(), 4096), 0);
  expect_lost("shortened");
  EXPECT_NE(host_.logged().find("its objects are lost"), std::string::npos);
}

TEST_F(SlabTest, a_change_of_mode_keeps_the_blocks) {
  auto slab = open();
  const auto first = put(*slab, 1, 5000, 'a');
  options_.mode = 0660;
  slab = open();
  EXPECT_TRUE(slab->adopt(object_number(1), first, 5000).ok());
  EXPECT_EQ(client().stat()->st_mode & 0777, 0660u);
}

TEST_F(SlabTest, all_its_room_is_taken_at_once) {
  const auto slab = open();
  const auto status = client().stat();
  EXPECT_EQ(static_cast<std::uint64_t>(status->st_blocks) * 512, slab->mapping_bytes());
}

TEST_F(SlabTest, a_slab_that_was_shortened_serves_no_more_blocks) {
  auto slab = open();
  const auto first = put(*slab, 1, 5000, 'a');
  EXPECT_EQ(::ftruncate(client().get(), 100), 0);
  char bytes[5000];
  EXPECT_EQ(slab->read(object_number(1), first, 0, bytes, sizeof bytes).status().code(),
            Code::data_loss);
  EXPECT_EQ(slab->allocate(object_number(2), 1, 1000).status().code(), Code::resource_exhausted);
  EXPECT_TRUE(slab->remove(object_number(1), first).ok());
  // Growing it again does not bring its bytes back, nor their room.
  EXPECT_EQ(::ftruncate(client().get(), static_cast<off_t>(slab->mapping_bytes())), 0);
  EXPECT_EQ(slab->allocate(object_number(2), 1, 1000).status().code(), Code::resource_exhausted);
  EXPECT_NE(host_.logged().find("was resized by a client"), std::string::npos);
}

TEST_F(SlabTest, a_client_that_wipes_the_table_cannot_confuse_the_living_slab) {
  auto slab = open();
  const auto first = put(*slab, 1, 5000, 'a');
  const std::vector<char> wiped(granules * sizeof(BlockRecord), '\xFF');
  EXPECT_TRUE(client().write(slab_table_offset_bytes, wiped.data(), wiped.size()).ok());
  char byte = 0;
  EXPECT_EQ(*slab->read(object_number(1), first, 4999, &byte, 10), 1u);
  EXPECT_EQ(byte, 'a');
  EXPECT_TRUE(slab->enumerate([](const auto&, const auto&) { return true; }).ok());
  EXPECT_TRUE(slab->remove(object_number(1), first).ok());
  EXPECT_EQ(slab->bytes_used(), 0u);
}

// One random thing that a client may do to the slab of a host that is down.
void corrupt(const ShmFile& file, std::mt19937_64& random) {
  const auto granule_at = [&] { return static_cast<std::uint32_t>(random() % granules); };
  switch (random() % 6) {
    case 0: {  // A record that is right in itself.
      const std::uint64_t lengths[] = {0, 1, random() % (granules * granule * 2), random(),
                                       UINT64_MAX};
      const auto record = make_block_record(object_number(random() % 8), lengths[random() % 5], 0,
                                            static_cast<BlockRecord::State>(random() % 4));
      ASSERT_TRUE(file.write(slab_record_offset_bytes(granule_at()), &record, sizeof record).ok());
      break;
    }
    case 1: {  // One record copied over another.
      BlockRecord record;
      ASSERT_TRUE(file.read(slab_record_offset_bytes(granule_at()), &record, sizeof record).ok());
      ASSERT_TRUE(file.write(slab_record_offset_bytes(granule_at()), &record, sizeof record).ok());
      break;
    }
    case 2: {  // A byte anywhere in header and table.
      const auto byte = static_cast<char>(random());
      const std::uint64_t offset = random() % slab_data_offset_bytes(granules);
      ASSERT_TRUE(file.write(offset, &byte, 1).ok());
      break;
    }
    case 3: {  // Noise over a part of the table.
      std::vector<std::uint64_t> noise(1 + random() % 100);
      for (auto& word : noise) word = random();
      ASSERT_TRUE(file.write(slab_record_offset_bytes(granule_at()), noise.data(),
                             noise.size() * sizeof noise[0])
                      .ok());
      break;
    }
    case 4: {  // Another length, rarely: it makes the next life start afresh.
      if (random() % 8 != 0) break;
      ASSERT_EQ(::ftruncate(file.get(), static_cast<off_t>(random() % (1 << 20))), 0);
      break;
    }
    default: {  // Only the state of a record.
      BlockRecord record;
      ASSERT_TRUE(file.read(slab_record_offset_bytes(granule_at()), &record, sizeof record).ok());
      record = make_block_record(object_of(record), record.length, 0,
                                 static_cast<BlockRecord::State>(1 + random() % 2));
      ASSERT_TRUE(file.write(slab_record_offset_bytes(granule_at()), &record, sizeof record).ok());
    }
  }
}

using Listed = std::vector<std::pair<pm_object_id_t, SlabAllocator::Entry>>;

Listed list(const Slab& slab) {
  Listed found;
  EXPECT_TRUE(slab.enumerate([&](const pm_object_id_t& object, const SlabAllocator::Entry& entry) {
                    found.emplace_back(object, entry);
                    return true;
                  })
                  .ok());
  return found;
}

TEST_F(SlabTest, two_thousand_random_corruptions_of_a_slab_are_survived) {
  std::mt19937_64 random(42);
  std::uint64_t kept = 0;
  for (int round = 0; round < 2000; ++round) {
    {
      const auto slab = open();
      ASSERT_NE(slab, nullptr);
      for (int i = 0; i < 6; ++i) {
        const auto object = object_number(random() % 8);
        const std::uint64_t length = 1 + random() % (12 * granule);
        const auto first = slab->allocate(object, length, 1000);
        if (first.ok() && random() % 2 == 0) {
          ASSERT_TRUE(slab->seal(object, *first, length).ok());
        }
      }
      const ShmFile file = client();
      const auto times = 1 + random() % 6;
      for (std::uint64_t i = 0; i < times; ++i) ASSERT_NO_FATAL_FAILURE(corrupt(file, random));
    }
    const auto slab = open();
    ASSERT_NE(slab, nullptr);
    // Whatever was found stands apart, inside the slab, and can be read and removed.
    const Listed found = list(*slab);
    ASSERT_EQ(found.size(), slab->objects());
    kept += found.size();
    std::uint64_t end = 0;
    std::vector<char> bytes(granules * granule);
    for (const auto& [object, entry] : found) {
      ASSERT_GE(entry.first, end);
      end = std::uint64_t{entry.first} + entry.granules;
      ASSERT_LE(end, granules);
      ASSERT_EQ(*slab->read(object, entry.first, 0, bytes.data(), bytes.size()), entry.length);
      if (round % 4 == 0) continue;
      ASSERT_TRUE(slab->remove(object, entry.first).ok());
    }
    if (round % 4 == 0) continue;
    ASSERT_EQ(slab->objects(), 0u);
    const auto whole = slab->allocate(object_number(99), granules * granule, 1000);
    ASSERT_TRUE(whole.ok()) << whole.status().to_string();
    ASSERT_TRUE(slab->remove(object_number(99), *whole).ok());
  }
  EXPECT_GT(kept, 2000u) << "the corruptions left nothing to look at";
}

}  // namespace
}  // namespace pm::shm
