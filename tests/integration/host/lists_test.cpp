#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <thread>

#include "answers.h"

// Labels, and lists by filter and order.

namespace pm::integration {
namespace {

using Catalog = wire_services::PayloadCatalogService::Stub;
using LabelMap = std::map<std::string, std::string>;
using Sizes = std::vector<std::uint64_t>;

class Lists : public testing::TestWithParam<const char*> {
 protected:
  Lists() : host_(host_options()) {}

  void SetUp() override { connect(); }
  void connect() {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    wire_ = std::make_unique<Wire>(host_);
  }
  static HostOptions host_options() {
    HostOptions options;
    options.repository = GetParam();
    return options;
  }

  // Answers, or the id of what was made in `made`.
  std::string make(std::uint64_t size, const LabelMap& labels, bool committed = true,
                   wire_core::Tier tier = wire_core::TIER_RAM) {
    wire_catalog::AllocatePayloadRequest request;
    request.set_size_bytes(size);
    request.set_preferred_tier(tier);
    request.mutable_labels()->insert(labels.begin(), labels.end());
    wire_core::PayloadDescriptor descriptor;
    const grpc::Status status = wire_->allocate(request, &descriptor);
    made_ = descriptor.payload_id();
    if (!status.ok() || !committed) return answer_of(status);
    return answer_of(wire_->commit(made_));
  }

  struct Change {
    LabelMap set;
    std::vector<std::string> remove;
    std::string request_id;
  };
  std::string update(const wire_core::PayloadID& id, const Change& change) {
    wire_catalog::UpdateLabelsRequest request;
    *request.mutable_id() = id;
    request.mutable_set()->insert(change.set.begin(), change.set.end());
    for (const std::string& key : change.remove) request.add_remove(key);
    request.set_request_id(change.request_id);
    return answer_of(wire_->call(wire_->catalog, &Catalog::UpdateLabels, request, &updated_));
  }
  LabelMap updated() const { return {updated_.labels().begin(), updated_.labels().end()}; }

  wire_catalog::PayloadSummary summary_of(const wire_core::PayloadID& id) {
    wire_catalog::ListPayloadsRequest request;
    request.set_page_size(500);
    wire_catalog::ListPayloadsResponse page;
    EXPECT_EQ(answer_of(wire_->list(request, &page)), "OK");
    for (const auto& summary : page.payloads()) {
      if (summary.id().value() == id.value()) return summary;
    }
    ADD_FAILURE() << "not in the list";
    return {};
  }
  LabelMap labels_of(const wire_core::PayloadID& id) {
    const auto summary = summary_of(id);
    return {summary.labels().begin(), summary.labels().end()};
  }

  // The sizes of all pages of a list.
  Sizes sizes(const std::string& filter, const std::string& order_by = {}, int page_size = 3,
              wire_core::Tier tier = wire_core::TIER_UNSPECIFIED) {
    wire_catalog::ListPayloadsRequest request;
    request.set_filter(filter);
    request.set_order_by(order_by);
    request.set_page_size(page_size);
    request.set_tier_filter(tier);
    Sizes found;
    do {
      wire_catalog::ListPayloadsResponse page;
      EXPECT_EQ(answer_of(wire_->list(request, &page)), "OK") << filter;
      for (const auto& summary : page.payloads()) found.push_back(summary.size_bytes());
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return found;
  }
  std::string list(const std::string& filter, const std::string& order_by = {},
                   const std::string& token = {}) {
    wire_catalog::ListPayloadsRequest request;
    request.set_filter(filter);
    request.set_order_by(order_by);
    request.set_page_token(token);
    return answer_of(wire_->list(request));
  }

  HostProcess host_;
  std::unique_ptr<Wire> wire_;
  wire_core::PayloadID made_;
  wire_catalog::UpdateLabelsResponse updated_;
};

LabelMap many(int count) {
  LabelMap labels;
  for (int number = 0; number < count; ++number) labels["k" + std::to_string(number)] = "v";
  return labels;
}

// LABEL-1
TEST_P(Lists, labels_are_shown_found_and_changed) {
  ASSERT_EQ(make(10, {{"team", "vision"}, {"run", "7"}}, false), "OK");
  const auto id = made_;
  EXPECT_EQ(labels_of(id), (LabelMap{{"team", "vision"}, {"run", "7"}}));
  ASSERT_EQ(update(id, {{{"run", "8"}, {"uncommitted", ""}}, {"never-there"}, {}}), "OK");
  EXPECT_EQ(updated(), (LabelMap{{"team", "vision"}, {"run", "8"}, {"uncommitted", ""}}));
  EXPECT_EQ(sizes("labels.uncommitted:*"), Sizes{10});
  ASSERT_EQ(answer_of(wire_->commit(id)), "OK");
  const std::uint64_t version = summary_of(id).version();
  ASSERT_EQ(update(id, {{{"a.b/c-d", "ä \"=\" ö"}}, {"uncommitted", "team"}, {}}), "OK");
  EXPECT_EQ(updated(), (LabelMap{{"run", "8"}, {"a.b/c-d", "ä \"=\" ö"}}));
  EXPECT_EQ(labels_of(id), updated());
  EXPECT_EQ(updated_.version(), version) << "labels are no change of place or state";
  EXPECT_EQ(sizes("labels.\"a.b/c-d\" = 'ä \"=\" ö'"), Sizes{10});
  EXPECT_EQ(sizes("labels.team:*"), Sizes{});
  EXPECT_EQ(sizes("labels.uncommitted:*"), Sizes{});
  EXPECT_EQ(answer_of(wire_->erase(id)), "OK");
  EXPECT_EQ(sizes("labels.run = 8"), Sizes{});
}

// LABEL-2
TEST_P(Lists, labels_survive_a_restart) {
  if (std::string(GetParam()) != "sqlite") GTEST_SKIP() << "its records end with the host";
  ASSERT_EQ(make(10, {{"kept", "from allocate"}, {"gone", "x"}}), "OK");
  const auto id = made_;
  ASSERT_EQ(update(id, {{{"later", "from update"}}, {"gone"}, "once"}), "OK");
  host_.kill();
  connect();
  const LabelMap wanted{{"kept", "from allocate"}, {"later", "from update"}};
  EXPECT_EQ(labels_of(id), wanted);
  EXPECT_EQ(sizes("labels.later = \"from update\" AND labels.kept:*"), Sizes{10});
  ASSERT_EQ(update(id, {{}, {"later"}, {}}), "OK");
  ASSERT_EQ(update(id, {{{"later", "from update"}}, {"gone"}, "once"}), "OK");
  EXPECT_EQ(updated(), wanted) << "the answer of the first time";
  EXPECT_EQ(labels_of(id), (LabelMap{{"kept", "from allocate"}})) << "and done once";
}

// LABEL-3
TEST_P(Lists, labels_are_refused_for_what_is_wrong_with_them) {
  const std::string invalid = "INVALID_ARGUMENT LABEL_INVALID";
  const std::string full = "FAILED_PRECONDITION LABELS_FULL";
  for (const std::string& key : {std::string("Team"), std::string("a b"), std::string(),
                                 std::string(64, 'k'), std::string("a-")}) {
    EXPECT_EQ(make(1, {{key, "v"}}), invalid) << key;
  }
  EXPECT_EQ(make(1, {{"k", "a\nb"}}), invalid);
  EXPECT_EQ(make(1, {{"k", std::string(256, 'v')}}), invalid);
  EXPECT_EQ(make(1, many(65)), full);
  EXPECT_EQ(make(1, many(64)), "OK");
  const auto id = made_;
  EXPECT_EQ(update(id, {{{"one-more", ""}}, {}, {}}), full);
  EXPECT_EQ(update(id, {{{"one-more", ""}}, {"k0"}, {}}), "OK");
  EXPECT_EQ(update(id, {many(65), {}, {}}), full);
  EXPECT_EQ(update(id, {{{"K", "v"}}, {}, {}}), invalid);
  EXPECT_EQ(update(id, {{{"k", "\x7f"}}, {}, {}}), invalid);
  EXPECT_EQ(update(id, {{}, {"K"}, {}}), invalid);
  EXPECT_EQ(update(id, {{{"k1", "v"}}, {"k1"}, {}}), invalid) << "set and removed at once";
  EXPECT_EQ(update(id, {{}, std::vector<std::string>(257, "k"), {}}),
            "INVALID_ARGUMENT TOO_MANY_ITEMS");
  EXPECT_EQ(update(id, {{{"k1", "w"}}, {}, "again"}), "OK");
  EXPECT_EQ(update(id, {{{"k1", "x"}}, {}, "again"}), "INVALID_ARGUMENT REQUEST_ID_REUSED");
  EXPECT_EQ(update(id_of("short"), {}), "INVALID_ARGUMENT PAYLOAD_ID_MALFORMED");
  EXPECT_EQ(update(id_of(std::string(16, 'x')), {}), "NOT_FOUND PAYLOAD_NOT_FOUND");
}

TEST_P(Lists, labels_of_what_is_lost_stay_as_they_are) {
  if (std::string(GetParam()) != "sqlite") GTEST_SKIP() << "its records end with the host";
  ASSERT_EQ(make(10, {{"a", "b"}}), "OK");
  const auto id = made_;
  host_.kill();
  for (const std::string& name : host_.segments()) {
    std::filesystem::remove("/dev/shm/" + name);
  }
  connect();
  ASSERT_TRUE(eventually([&] { return sizes("state = lost") == Sizes{10}; }));
  EXPECT_EQ(update(id, {{{"a", "c"}}, {}, {}}), "DATA_LOSS PAYLOAD_LOST");
  EXPECT_EQ(sizes("labels.a = b AND state = lost AND tier != ram"), Sizes{10});
}

// LIST-4
TEST_P(Lists, a_filter_finds_what_it_says) {
  for (std::uint64_t size = 1; size <= 12; ++size) {
    const LabelMap labels = size % 4 == 0 ? LabelMap{{"rare", std::to_string(size)}} : LabelMap{};
    ASSERT_EQ(make(size, labels, size != 5, size <= 6 ? wire_core::TIER_RAM : wire_core::TIER_DISK),
              "OK");
  }
  wire_catalog::PinRequest pin;
  *pin.mutable_id() = made_;
  google::protobuf::Empty empty;
  ASSERT_EQ(answer_of(wire_->call(wire_->catalog, &Catalog::Pin, pin, &empty)), "OK");
  EXPECT_TRUE(summary_of(made_).pinned());
  wire_runtime::AcquireReadLeaseRequest lease;
  *lease.mutable_id() = made_;
  ASSERT_EQ(answer_of(wire_->lease(lease)), "OK");
  EXPECT_EQ(sizes(""), (Sizes{12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}));
  EXPECT_EQ(sizes("tier = ram"), (Sizes{6, 5, 4, 3, 2, 1}));
  EXPECT_EQ(sizes("tier = \"shm\" AND state = active"), (Sizes{6, 4, 3, 2, 1}));
  EXPECT_EQ(sizes("state = allocated"), Sizes{5});
  EXPECT_EQ(sizes("tier = 3 AND state = durable AND size_bytes >= 10"), (Sizes{12, 11, 10}));
  EXPECT_EQ(sizes("labels.rare:*"), (Sizes{12, 8, 4}));
  EXPECT_EQ(sizes("labels.rare:* AND tier = disk"), (Sizes{12, 8}));
  EXPECT_EQ(sizes("labels.rare = 8 OR size_bytes < 3"), (Sizes{8, 2, 1}));
  EXPECT_EQ(sizes("NOT (size_bytes > 2 OR labels.rare:*)"), (Sizes{2, 1}));
  EXPECT_EQ(sizes("pinned = true"), Sizes{12});
  EXPECT_EQ(sizes("leases > 0"), Sizes{12});
  EXPECT_EQ(sizes("priority = normal -size_bytes > 1"), Sizes{1});
  EXPECT_EQ(sizes("age < 1h").size(), 12u);
  EXPECT_EQ(sizes("age > 1h"), Sizes{});
  EXPECT_EQ(sizes("labels.rare:*", {}, 3, wire_core::TIER_RAM), Sizes{4}) << "and tier_filter";
  EXPECT_EQ(sizes("tier = disk", {}, 3, wire_core::TIER_RAM), Sizes{}) << "both cannot be";
  EXPECT_EQ(sizes("", {}, 3, wire_core::TIER_GPU), Sizes{}) << "a tier that is not here";
}

// LIST-3
TEST_P(Lists, are_ordered_by_age_or_size) {
  for (const std::uint64_t size : {30, 10, 20, 10, 40}) ASSERT_EQ(make(size, {}), "OK");
  EXPECT_EQ(sizes("", "age", 2), (Sizes{40, 10, 20, 10, 30}));
  EXPECT_EQ(sizes("", "age desc", 2), (Sizes{30, 10, 20, 10, 40}));
  EXPECT_EQ(sizes("", "size_bytes", 2), (Sizes{10, 10, 20, 30, 40}));
  EXPECT_EQ(sizes("", " size_bytes  desc ", 2), (Sizes{40, 30, 20, 10, 10}));
  EXPECT_EQ(sizes("size_bytes > 15", "size_bytes", 2), (Sizes{20, 30, 40}));
  for (const std::uint64_t size : {15, 5, 45}) ASSERT_EQ(make(size, {}), "OK");
  EXPECT_EQ(sizes("", "size_bytes", 3), (Sizes{5, 10, 10, 15, 20, 30, 40, 45}));
  ASSERT_EQ(answer_of(wire_->erase(made_)), "OK");
  EXPECT_EQ(sizes("", "size_bytes desc", 100), (Sizes{40, 30, 20, 15, 10, 10, 5}));
  for (const char* order : {"size", "age asc", "age, size_bytes", "desc", "size_bytes desc desc"}) {
    EXPECT_EQ(list("", order), "INVALID_ARGUMENT ORDER_BY_INVALID") << order;
  }
}

// LIST-1 LIST-2: while others come, go and move, each that stays is shown once.
TEST_P(Lists, show_each_payload_once_in_every_order_while_others_write) {
  std::map<std::string, int> stay;
  for (std::uint64_t number = 0; number < 120; ++number) {
    ASSERT_EQ(make(1 + number * 7 % 40, {{"stays", "yes"}}), "OK");
    stay[made_.value()] = 0;
  }
  std::atomic<bool> stop{false};
  std::thread others([&] {
    Wire other(host_);
    std::vector<wire_core::PayloadID> ids;
    for (std::size_t number = 0; !stop; ++number) {
      ids.push_back(other.make(number % 2 == 0 ? wire_core::TIER_RAM : wire_core::TIER_DISK));
      wire_catalog::SpillRequest spill;
      spill.add_ids()->set_value(std::next(stay.begin(), static_cast<long>(number % 120))->first);
      other.spill(spill);
      if (number % 3 != 0) continue;
      other.erase(ids.back());
      ids.pop_back();
    }
  });
  const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                       {"", "age desc"},
                                                       {"", "size_bytes"},
                                                       {"", "size_bytes desc"},
                                                       {"labels.stays = yes", ""},
                                                       {"labels.stays:*", "age desc"}};
  for (const auto& [filter, order] : cases) {
    for (auto& [id, count] : stay) count = 0;
    wire_catalog::ListPayloadsRequest request;
    request.set_page_size(7);
    request.set_filter(filter);
    request.set_order_by(order);
    do {
      wire_catalog::ListPayloadsResponse page;
      EXPECT_EQ(answer_of(wire_->list(request, &page)), "OK");
      for (const auto& summary : page.payloads()) {
        const auto found = stay.find(summary.id().value());
        if (found != stay.end()) ++found->second;
      }
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    EXPECT_TRUE(
        std::all_of(stay.begin(), stay.end(), [](const auto& entry) { return entry.second == 1; }))
        << filter << " by " << order;
  }
  stop = true;
  others.join();
}

// LIST-5: a page that finds little ends early and says where to go on.
TEST_P(Lists, a_page_looks_at_a_bounded_number_of_payloads) {
  wire_catalog::BatchAllocateRequest many_payloads;
  for (int number = 0; number < 1000; ++number) {
    auto& item = *many_payloads.add_items();
    item.set_size_bytes(1);
    item.set_preferred_tier(wire_core::TIER_DISK);
    if (number == 0) (*item.mutable_labels())["first"] = "yes";
  }
  wire_catalog::BatchAllocateResponse made;
  ASSERT_EQ(answer_of(wire_->call(wire_->catalog, &Catalog::BatchAllocate, many_payloads, &made)),
            "OK");
  // Of so many tests that a page looks at a few hundred payloads only.
  wire_catalog::ListPayloadsRequest request;
  std::string filter = "size_bytes > 5";
  for (int number = 0; number < 400; ++number) filter += " leases=0";
  request.set_filter(filter);
  int pages = 0;
  do {
    wire_catalog::ListPayloadsResponse page;
    ASSERT_EQ(answer_of(wire_->list(request, &page)), "OK");
    EXPECT_EQ(page.payloads_size(), 0);
    EXPECT_EQ(page.total_count(), 1000) << "the filter is left aside";
    request.set_page_token(page.next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_GE(pages, 2);
  EXPECT_LE(pages, 4);
  request.set_filter("labels.first = yes" + filter.substr(std::string("size_bytes > 5").size()));
  wire_catalog::ListPayloadsResponse page;
  ASSERT_EQ(answer_of(wire_->list(request, &page)), "OK");
  EXPECT_EQ(page.payloads_size(), 1) << "a label leads to it at once";
  EXPECT_EQ(page.next_page_token(), "");
}

// LIST-6 LIST-7
TEST_P(Lists, filters_and_tokens_that_make_no_sense_are_refused) {
  const std::string invalid = "INVALID_ARGUMENT FILTER_INVALID";
  for (const std::string& filter :
       {std::string("tire = ram"), std::string("tier = tape"), std::string("size_bytes > x"),
        std::string("(tier = ram"), std::string("labels.A = b"), std::string(4097, ' '),
        std::string(33, '(')}) {
    EXPECT_EQ(list(filter), invalid) << filter.substr(0, 40);
  }
  wire_catalog::ListPayloadsRequest request;
  request.set_filter("tier = ram AND size_bytes ~ 5");
  EXPECT_NE(wire_->list(request).error_message().find("at byte 27: expected one of ="),
            std::string::npos);
  for (int number = 0; number < 3; ++number) ASSERT_EQ(make(1, {}), "OK");
  request.set_filter("age < 1h");
  request.set_page_size(1);
  wire_catalog::ListPayloadsResponse page;
  ASSERT_EQ(answer_of(wire_->list(request, &page)), "OK");
  const std::string token = page.next_page_token();
  const std::string refused = "INVALID_ARGUMENT PAGE_TOKEN_INVALID";
  EXPECT_EQ(list("age < 1h", "", token), "OK");
  EXPECT_EQ(list("age < 2h", "", token), refused) << "another filter";
  EXPECT_EQ(list("", "", token), refused) << "no filter";
  EXPECT_EQ(list("age < 1h", "age desc", token), refused) << "another order";
  EXPECT_EQ(list("age < 1h", "", token + "0x"), refused);
  EXPECT_EQ(list("age < 1h", "", "2.1.2.3.4"), refused);
}

// LIST-6: ages are counted to the time of the first page.
TEST_P(Lists, an_age_means_the_same_on_every_page) {
  for (int number = 0; number < 4; ++number) ASSERT_EQ(make(1, {}), "OK");
  wire_catalog::ListPayloadsRequest request;
  request.set_filter("age < 1500ms");
  request.set_page_size(1);
  std::size_t found = 0;
  do {
    wire_catalog::ListPayloadsResponse page;
    ASSERT_EQ(answer_of(wire_->list(request, &page)), "OK");
    found += static_cast<std::size_t>(page.payloads_size());
    request.set_page_token(page.next_page_token());
    sleep_ms(600);
  } while (!request.page_token().empty());
  EXPECT_EQ(found, 4u);
  EXPECT_EQ(sizes("age < 1500ms"), Sizes{}) << "by now they are older";
}

INSTANTIATE_TEST_SUITE_P(repositories, Lists, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
