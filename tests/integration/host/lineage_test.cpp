#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "documents.h"

// Which payload was made from which: edges with both ends, each once, and no cycles.

namespace pm::integration {
namespace {

using Ids = std::vector<wire_core::PayloadID>;

const std::string opaque("p\0q\xff", 4);

// "PARENT>CHILD@DEPTH", by their place in `ids`, sorted.
std::multiset<std::string> shape_of(const wire_catalog::GetLineageResponse& response,
                                    const Ids& ids) {
  const auto place = [&](const wire_core::PayloadID& id) {
    for (std::size_t at = 0; at < ids.size(); ++at) {
      if (ids[at].value() == id.value()) return std::to_string(at);
    }
    return std::string("?");
  };
  std::multiset<std::string> shape;
  for (const auto& edge : response.edges()) {
    shape.insert(place(edge.parent()) + ">" + place(edge.child()) + "@" +
                 std::to_string(edge.depth()));
  }
  return shape;
}
using Shape = std::multiset<std::string>;

class LineageGraph : public DocumentsTest {
 protected:
  void make_payloads(int count) {
    for (int made = 0; made < count; ++made) ids_.push_back(make());
  }
  std::string link(int child, int parent, const std::string& operation = "made") {
    return answer_of(documents_->link(ids_[child], ids_[parent], operation));
  }
  Shape up(int id, std::uint32_t depth = 0) {
    return shape_of(documents_->lineage_of(ids_[id], true, depth), ids_);
  }
  Shape down(int id, std::uint32_t depth = 0) {
    return shape_of(documents_->lineage_of(ids_[id], false, depth), ids_);
  }

  Ids ids_;
};

// LINEAGE-1
TEST_P(LineageGraph, edges_come_back_whole_with_both_ends) {
  make_payloads(2);
  wire_catalog::AddLineageRequest request;
  *request.mutable_child() = ids_[1];
  auto& edge = *request.add_parents();
  *edge.mutable_parent() = ids_[0];
  edge.set_operation("resample");
  edge.set_role("input");
  edge.set_parameters(opaque);
  ASSERT_EQ(answer_of(documents_->link(request)), "OK");
  for (const bool upstream : {true, false}) {
    const auto found = documents_->lineage_of(ids_[upstream ? 1 : 0], upstream);
    ASSERT_EQ(found.edges_size(), 1);
    EXPECT_EQ(found.edges(0).parent().value(), ids_[0].value());
    EXPECT_EQ(found.edges(0).child().value(), ids_[1].value());
    EXPECT_EQ(found.edges(0).parent().value().size(), 16u);
    EXPECT_EQ(found.edges(0).operation(), "resample");
    EXPECT_EQ(found.edges(0).role(), "input");
    EXPECT_EQ(found.edges(0).parameters(), opaque);
    EXPECT_EQ(found.edges(0).depth(), 1u);
    EXPECT_FALSE(found.truncated());
  }
  EXPECT_TRUE(up(0).empty());
  EXPECT_TRUE(down(1).empty());
}

// LINEAGE-2
TEST_P(LineageGraph, an_edge_that_is_there_is_not_added_again) {
  make_payloads(3);
  EXPECT_EQ(link(1, 0), "OK");
  EXPECT_EQ(link(1, 0), "OK");
  EXPECT_EQ(up(1).size(), 1u);
  EXPECT_EQ(link(1, 0, "other"), "OK");
  EXPECT_EQ(up(1).size(), 2u) << "another operation is another edge";
  wire_catalog::AddLineageRequest request;
  *request.mutable_child() = ids_[2];
  for (int twice = 0; twice < 2; ++twice) *request.add_parents()->mutable_parent() = ids_[0];
  request.set_request_id("link once");
  EXPECT_EQ(answer_of(documents_->link(request)), "OK");
  EXPECT_EQ(answer_of(documents_->link(request)), "OK");
  EXPECT_EQ(up(2).size(), 1u);
  *request.mutable_parents(1)->mutable_parent() = ids_[1];
  EXPECT_EQ(answer_of(documents_->link(request)), "INVALID_ARGUMENT REQUEST_ID_REUSED");
}

// LINEAGE-3
TEST_P(LineageGraph, a_diamond_is_walked_once_and_depth_and_count_are_limited) {
  make_payloads(6);
  // 0 > 1, 2 > 3 > 4
  EXPECT_EQ(link(1, 0), "OK");
  EXPECT_EQ(link(2, 0), "OK");
  EXPECT_EQ(link(3, 1), "OK");
  EXPECT_EQ(link(3, 2), "OK");
  EXPECT_EQ(link(4, 3), "OK");
  EXPECT_EQ(up(4), (Shape{"3>4@1", "1>3@2", "2>3@2", "0>1@3", "0>2@3"}));
  EXPECT_EQ(down(0), (Shape{"0>1@1", "0>2@1", "1>3@2", "2>3@2", "3>4@3"}));
  EXPECT_EQ(up(4, 2), (Shape{"3>4@1", "1>3@2", "2>3@2"}));
  EXPECT_EQ(down(0, 1), (Shape{"0>1@1", "0>2@1"}));
  EXPECT_TRUE(documents_->lineage_of(ids_[0], false, 1).truncated());
  EXPECT_TRUE(documents_->lineage_of(ids_[0], false, 2).truncated());
  EXPECT_FALSE(documents_->lineage_of(ids_[0], false, 3).truncated());
  EXPECT_FALSE(documents_->lineage_of(ids_[0], false, 1'000).truncated());
  const auto few = documents_->lineage_of(ids_[0], false, 0, 3);
  EXPECT_EQ(few.edges_size(), 3);
  EXPECT_TRUE(few.truncated());
  EXPECT_FALSE(documents_->lineage_of(ids_[0], false, 0, 5).truncated());
  const auto none = documents_->lineage_of(unknown(), true);
  EXPECT_EQ(none.edges_size(), 0);
  EXPECT_FALSE(none.truncated());
}

// LINEAGE-3
TEST_P(LineageGraph, the_server_looks_64_deep_and_no_deeper) {
  make_payloads(67);
  for (int at = 1; at < 67; ++at) ASSERT_EQ(link(at, at - 1), "OK");
  for (const std::uint32_t asked : {0u, 1'000u}) {
    const auto found = documents_->lineage_of(ids_[66], true, asked);
    EXPECT_EQ(found.edges_size(), 64);
    EXPECT_TRUE(found.truncated());
  }
}

// LINEAGE-4
TEST_P(LineageGraph, no_payload_is_made_from_itself) {
  make_payloads(4);
  EXPECT_EQ(link(0, 0), "INVALID_ARGUMENT LINEAGE_SELF_EDGE");
  EXPECT_EQ(link(1, 0), "OK");
  EXPECT_EQ(link(2, 1), "OK");
  EXPECT_EQ(link(0, 1), "FAILED_PRECONDITION LINEAGE_CYCLE");
  EXPECT_EQ(link(0, 2), "FAILED_PRECONDITION LINEAGE_CYCLE");
  EXPECT_EQ(link(2, 0), "OK") << "a shorter way down is no cycle";
  EXPECT_EQ(link(3, 2), "OK");
  // One call is one: none of its edges is there.
  wire_catalog::AddLineageRequest request;
  *request.mutable_child() = ids_[1];
  const auto other = make();
  *request.add_parents()->mutable_parent() = other;
  *request.add_parents()->mutable_parent() = ids_[3];
  EXPECT_EQ(answer_of(documents_->link(request)), "FAILED_PRECONDITION LINEAGE_CYCLE");
  EXPECT_EQ(up(1), (Shape{"0>1@1"}));
  if (is_kept()) {
    kill_and_begin();
    EXPECT_EQ(link(0, 3), "FAILED_PRECONDITION LINEAGE_CYCLE") << "after a restart";
  }
  EXPECT_EQ(answer_of(wire_->erase(ids_[1])), "OK");
  EXPECT_EQ(link(0, 2), "FAILED_PRECONDITION LINEAGE_CYCLE") << "0 > 2 is still there";
}

// LINEAGE-4
TEST_P(LineageGraph, concurrent_calls_close_no_cycle) {
  constexpr int payloads = 12;
  constexpr int threads = 6;
  make_payloads(payloads);
  std::mutex mutex;
  std::map<int, std::set<int>> parents;
  std::map<std::string, int> answers;
  std::vector<std::thread> workers;
  for (int thread = 0; thread < threads; ++thread) {
    workers.emplace_back([&, thread] {
      Wire wire(host_);
      Documents documents(wire);
      std::mt19937 random(static_cast<unsigned>(thread));
      for (int round = 0; round < 60; ++round) {
        const int child = static_cast<int>(random() % payloads);
        const int parent = static_cast<int>(random() % payloads);
        if (child == parent) continue;
        const std::string answer = answer_of(documents.link(ids_[child], ids_[parent]));
        const std::lock_guard lock(mutex);
        ++answers[answer];
        if (answer == "OK") parents[child].insert(parent);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  for (const auto& [answer, count] : answers) {
    EXPECT_TRUE(answer == "OK" || answer == "FAILED_PRECONDITION LINEAGE_CYCLE" ||
                answer == "ABORTED CONFLICT")
        << answer << " " << count << " times";
  }
  EXPECT_GT(answers["OK"], payloads - 1);
  EXPECT_GT(answers["FAILED_PRECONDITION LINEAGE_CYCLE"], 10);
  EXPECT_LT(answers["ABORTED CONFLICT"], 20);
  // Takes away what has no parents left, again and again; a cycle would stay.
  std::size_t left = payloads + 1;
  std::set<int> gone;
  while (gone.size() != left) {
    left = gone.size();
    for (int id = 0; id < payloads; ++id) {
      bool free = true;
      for (const int parent : parents[id]) free = free && gone.contains(parent);
      if (free) gone.insert(id);
    }
  }
  EXPECT_EQ(gone.size(), static_cast<std::size_t>(payloads)) << "there is a cycle";
  for (int id = 0; id < payloads; ++id) {
    EXPECT_EQ(up(id, 1).size(), parents[id].size()) << "what was acknowledged is there, once";
  }
}

// LINEAGE-5
TEST_P(LineageGraph, unrelated_edges_do_not_hinder_each_other) {
  constexpr int threads = 8;
  constexpr int links = 40;
  std::atomic<int> good{0};
  std::vector<std::thread> workers;
  for (int thread = 0; thread < threads; ++thread) {
    workers.emplace_back([&] {
      Wire wire(host_);
      Documents documents(wire);
      // A chain that grows at its upper end: each child has children, each parent a parent.
      auto child = wire.make(wire_core::TIER_RAM);
      for (int made = 0; made < links; ++made) {
        const auto parent = wire.make(wire_core::TIER_RAM);
        const auto root = wire.make(wire_core::TIER_RAM);
        for (const std::string& answer :
             {answer_of(documents.link(parent, root)), answer_of(documents.link(child, parent)),
              answer_of(documents.link(child, wire.make(wire_core::TIER_RAM)))}) {
          EXPECT_EQ(answer, "OK");
          good += answer == "OK";
        }
        child = parent;
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(good, 3 * threads * links);
}

// LINEAGE-6
TEST_P(LineageGraph, all_ends_must_be_there_when_an_edge_is_added) {
  make_payloads(2);
  const auto named_in = [](const grpc::Status& status, const wire_core::PayloadID& id) {
    client::PayloadId named;
    std::copy(id.value().begin(), id.value().end(), named.bytes.begin());
    return status.error_details().find(named.to_string()) != std::string::npos;
  };
  wire_catalog::AddLineageRequest request;
  *request.mutable_child() = ids_[0];
  *request.add_parents()->mutable_parent() = ids_[1];
  *request.add_parents()->mutable_parent() = unknown();
  grpc::Status status = documents_->link(request);
  EXPECT_EQ(answer_of(status), "NOT_FOUND PAYLOAD_NOT_FOUND");
  EXPECT_TRUE(named_in(status, unknown())) << "which one";
  EXPECT_TRUE(up(0).empty()) << "half of it was done";
  const auto allocated = wire_->make(wire_core::TIER_RAM, false);
  *request.mutable_parents(1)->mutable_parent() = allocated;
  status = documents_->link(request);
  EXPECT_EQ(answer_of(status), "FAILED_PRECONDITION PAYLOAD_NOT_COMMITTED");
  EXPECT_TRUE(named_in(status, allocated));
  request.mutable_parents()->RemoveLast();
  *request.mutable_child() = unknown();
  EXPECT_EQ(answer_of(documents_->link(request)), "NOT_FOUND PAYLOAD_NOT_FOUND");
  request.mutable_parents(0)->mutable_parent()->set_value("short");
  *request.mutable_child() = ids_[0];
  EXPECT_EQ(answer_of(documents_->link(request)), "INVALID_ARGUMENT PAYLOAD_ID_MALFORMED");
  request.clear_parents();
  EXPECT_EQ(answer_of(documents_->link(request)), "INVALID_ARGUMENT NO_ITEMS");
  request.mutable_child()->clear_value();
  EXPECT_EQ(answer_of(documents_->link(request)), "INVALID_ARGUMENT PAYLOAD_ID_MALFORMED");
  wire_catalog::GetLineageRequest get;
  *get.mutable_id() = id_of("short");
  EXPECT_EQ(answer_of(documents_->lineage(get)), "INVALID_ARGUMENT PAYLOAD_ID_MALFORMED");
}

// LINEAGE-7
TEST_P(LineageGraph, a_payload_has_1024_edges_to_parents_and_a_call_256) {
  make_payloads(2);
  const auto request_of = [&](int first, int count) {
    wire_catalog::AddLineageRequest request;
    *request.mutable_child() = ids_[1];
    for (int at = first; at < first + count; ++at) {
      auto& edge = *request.add_parents();
      *edge.mutable_parent() = ids_[0];
      edge.set_role(std::to_string(at));
    }
    return request;
  };
  EXPECT_EQ(answer_of(documents_->link(request_of(0, 257))), "INVALID_ARGUMENT TOO_MANY_ITEMS");
  for (int first = 0; first < 1'024; first += 256) {
    ASSERT_EQ(answer_of(documents_->link(request_of(first, 256))), "OK");
  }
  EXPECT_EQ(answer_of(documents_->link(request_of(1'024, 1))), "RESOURCE_EXHAUSTED LINEAGE_FULL");
  EXPECT_EQ(answer_of(documents_->link(request_of(0, 256))), "OK") << "they are there already";
  EXPECT_EQ(documents_->lineage_of(ids_[1], true).edges_size(), 1'024);
  wire_catalog::AddLineageRequest request = request_of(0, 1);
  const std::string too_long = "INVALID_ARGUMENT TEXT_TOO_LONG";
  request.mutable_parents(0)->set_operation(std::string(1'025, 'x'));
  EXPECT_EQ(answer_of(documents_->link(request)), too_long);
  request = request_of(0, 1);
  request.mutable_parents(0)->set_role(std::string(1'025, 'x'));
  EXPECT_EQ(answer_of(documents_->link(request)), too_long);
  request = request_of(0, 1);
  request.mutable_parents(0)->set_parameters(std::string((64 << 10) + 1, 'x'));
  EXPECT_EQ(answer_of(documents_->link(request)), too_long);
}

// LINEAGE-8
TEST_P(LineageGraph, edges_stay_with_the_child_and_go_with_it) {
  make_payloads(3);
  EXPECT_EQ(link(1, 0), "OK");
  EXPECT_EQ(link(2, 1), "OK");
  EXPECT_EQ(answer_of(wire_->erase(ids_[0])), "OK");
  EXPECT_EQ(up(2), (Shape{"1>2@1", "0>1@2"})) << "where it came from stays true";
  EXPECT_EQ(down(0), (Shape{"0>1@1", "1>2@2"}));
  if (is_kept()) {
    kill_and_begin();
    EXPECT_EQ(up(2), (Shape{"1>2@1", "0>1@2"})) << "after a restart";
  }
  EXPECT_EQ(answer_of(wire_->erase(ids_[1])), "OK");
  EXPECT_EQ(up(2), (Shape{"1>2@1"}));
  EXPECT_TRUE(down(0).empty());
}

INSTANTIATE_TEST_SUITE_P(repositories, LineageGraph, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
