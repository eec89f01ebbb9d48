// perf_list: what a page of 100 costs with a million payloads against what it costs with a
// thousand: a random page, and one behind nine tenths of all; without a filter, with one on a tier,
// and with one that matches one payload in a thousand. Of the last there is but one payload among a
// thousand, so its full page is also compared with a full page of a thousand without a filter, and
// a page of one payload with a page of one.

#include <algorithm>
#include <cstdio>
#include <functional>
#include <random>
#include <vector>

#include "report.h"
#include "subject.h"

namespace pm::perf {
namespace {

constexpr int page_size = 100;
constexpr int batch_items = 1000;

// One kind of list, and where its pages begin.
struct List {
  const char* filter = "";
  const char* order_by = "";
  int page_size = perf::page_size;
  std::vector<std::string> tokens;
};

class Filled {
 public:
  Filled(std::unique_ptr<Subject> subject, std::size_t payloads) : subject_(std::move(subject)) {
    for (std::size_t made = 0; made < payloads; made += batch_items) fill();
    for (List* list : {&all, &tier, &rare, &rare_one, &by_size}) read_tokens(*list);
  }

  List all;
  List tier{"tier = ram", "", page_size, {}};
  List rare{"labels.rare = yes", "", page_size, {}};
  List rare_one{"labels.rare = yes", "", 1, {}};
  List by_size{"", "size_bytes", page_size, {}};

  // Seconds of each of some calls for random pages, of those behind `from` (0..1) of all.
  double p50_us(const List& list, double from, int& rows) {
    const int calls = quick() ? 200 : 1000;
    std::vector<double> seconds;
    const auto first = static_cast<std::size_t>(static_cast<double>(list.tokens.size()) * from);
    for (int call = 0; call < calls; ++call) {
      const std::size_t page = first + random_() % (list.tokens.size() - first);
      const wire::ListPayloadsRequest request = request_of(list, list.tokens[page]);
      const double start = now_seconds();
      const wire::ListPayloadsResponse response = subject_->list(request);
      seconds.push_back(now_seconds() - start);
      rows = std::max(rows, response.payloads_size());
    }
    return median(seconds) * 1e6;
  }

 private:
  static wire::ListPayloadsRequest request_of(const List& list, const std::string& token) {
    wire::ListPayloadsRequest request;
    request.set_filter(list.filter);
    request.set_order_by(list.order_by);
    request.set_page_size(list.page_size);
    request.set_page_token(token);
    return request;
  }

  void fill() {
    wire::BatchAllocateRequest allocations;
    for (int item = 0; item < batch_items; ++item) {
      wire::AllocatePayloadRequest& request = *allocations.add_items();
      request.set_size_bytes(1 + random_() % 4096);
      request.set_preferred_tier(payload::manager::core::v1::TIER_RAM);
      request.set_layout(wire::MEMORY_LAYOUT_SLAB);
      if (item == batch_items / 2) (*request.mutable_labels())["rare"] = "yes";
    }
    wire::BatchCommitRequest commits;
    const wire::BatchAllocateResponse made = subject_->allocate(allocations);
    for (const auto& outcome : made.outcomes()) {
      must(outcome.status().code() == 0, outcome.status().message());
      *commits.add_items()->mutable_id() = outcome.response().payload_descriptor().payload_id();
    }
    const wire::BatchCommitResponse committed = subject_->commit(commits);
    for (const auto& outcome : committed.outcomes()) {
      must(outcome.status().code() == 0, outcome.status().message());
    }
  }

  // Of the first 20,000 pages.
  void read_tokens(List& list) {
    constexpr std::size_t tokens_max = 20'000;
    std::string token;
    do {
      list.tokens.push_back(token);
      const wire::ListPayloadsResponse page = subject_->list(request_of(list, token));
      token = page.payloads_size() > 0 ? page.next_page_token() : "";
    } while (!token.empty() && list.tokens.size() < tokens_max);
  }

  std::unique_ptr<Subject> subject_;
  std::mt19937_64 random_{1};
};

struct Comparison {
  const char* name;
  List Filled::*ours;
  double from;
  List Filled::*reference;
  const char* reference_name;
};

void measure(const std::string& stem, std::unique_ptr<Subject> (*make)(std::size_t)) {
  const std::size_t many = quick() ? 100'000 : 1'000'000;
  constexpr std::size_t few = 1000;
  Filled large(make(many + 4096), many);
  Filled small(make(few + 4096), few);
  const Comparison comparisons[] = {
      {"any_page", &Filled::all, 0, &Filled::all, "any page of 1,000"},
      {"late_page", &Filled::all, 0.9, &Filled::all, "any page of 1,000"},
      {"tier_any_page", &Filled::tier, 0, &Filled::tier, "the same of 1,000"},
      {"tier_late_page", &Filled::tier, 0.9, &Filled::tier, "the same of 1,000"},
      {"label_full_page", &Filled::rare, 0, &Filled::all, "100 rows of 1,000, no filter"},
      {"label_one_row", &Filled::rare_one, 0, &Filled::rare_one, "the same of 1,000"},
      {"label_page", &Filled::rare, 0, &Filled::rare, "the same of 1,000, with 1 row"},
      {"size_page", &Filled::by_size, 0, &Filled::by_size, "the same of 1,000"},
  };
  for (const Comparison& each : comparisons) {
    Rounds p50;
    int rows = 0;
    int reference_rows = 0;
    p50.run(
        rounds(), [&] { return large.p50_us(large.*each.ours, each.from, rows); },
        [&] { return small.p50_us(small.*each.reference, 0, reference_rows); });
    Figure figure =
        p50.figure("list_" + stem + "_" + each.name, "us", each.reference_name, {Aim::at_most, 2});
    print(figure);
    if (rows == reference_rows) continue;
    // Pages of different length: what a row costs.
    figure.name += "_per_row";
    figure.value /= rows;
    figure.reference /= reference_rows;
    figure.ratio = figure.value / figure.reference;
    print(figure);
  }
}

}  // namespace
}  // namespace pm::perf

int main() {
  using namespace pm::perf;
  return main_of("perf_list", [] {
    measure("engine", &engine_in_this_process);
    measure("grpc", &host_over_grpc);
  });
}
