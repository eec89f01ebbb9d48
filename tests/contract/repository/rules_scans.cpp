#include <algorithm>
#include <random>

#include "rules.h"
#include "store.h"

namespace pm::contract {

namespace {

constexpr std::uint64_t top_bit = std::uint64_t{1} << 63;

constexpr std::uint32_t comparisons[] = {PM_EQUAL, PM_LESS, PM_LESS_EQUAL, PM_GREATER,
                                         PM_GREATER_EQUAL};

bool holds(const Cell& cell, const Condition& condition) {
  const int result = compare(cell, condition.cell);
  switch (condition.comparison) {
    case PM_EQUAL: return result == 0;
    case PM_LESS: return result < 0;
    case PM_LESS_EQUAL: return result <= 0;
    case PM_GREATER: return result > 0;
    default: return result >= 0;
  }
}

// What the scan must find among `records`, which are those of its kind.
std::vector<Record> expected(std::vector<Record> records, const Scan& scan, std::size_t key_count) {
  std::erase_if(records, [&](const Record& record) {
    return !std::all_of(scan.conditions.begin(), scan.conditions.end(), [&](const auto& condition) {
      return holds(cell_of(record, condition.field), condition);
    });
  });
  std::sort(records.begin(), records.end(), [&](const Record& a, const Record& b) {
    int result = scan.order_field == 0
                     ? 0
                     : compare(cell_of(a, scan.order_field), cell_of(b, scan.order_field));
    for (std::size_t k = 0; k < key_count && result == 0; ++k)
      result = compare(a[k].cell, b[k].cell);
    return scan.descending ? result > 0 : result < 0;
  });
  if (scan.limit != 0 && records.size() > scan.limit) records.resize(scan.limit);
  return records;
}

std::vector<Operation> puts(std::uint32_t kind, const std::vector<Record>& records) {
  std::vector<Operation> result;
  for (const Record& record : records) result.push_back(put(kind, record));
  return result;
}

// Every field has equal values and values on both sides of a change of sign.
std::vector<Record> sample_things() {
  return {make_thing("d", top_bit, INT64_MIN, "x", "b"),
          make_thing("a", 0, 0, std::string(1, '\0'), "a"),
          make_thing("ab", UINT64_MAX, -1, "", "b"),
          make_thing(std::string("a\0", 2), 5, 5, "\xff", ""),
          make_thing("\xff", top_bit - 1, INT64_MAX, "x", "a"),
          make_thing("", 5, -1, "xy", std::string("a\0b", 3)),
          make_thing("b", top_bit + 1, 0, "\x7f", "ab"),
          make_thing("c", 5, 5, "\x80", "b")};
}

}  // namespace

Verdict scan_goes_by_key(const Subject& subject) {
  Store store(subject);
  const std::vector<Record> counters = {make_counter(top_bit, 1), make_counter(UINT64_MAX, 2),
                                        make_counter(0, 3), make_counter(7, 4),
                                        make_counter(top_bit - 1, 5)};
  const std::vector<Record> entries = {make_entry("b", 0),       make_entry("a", top_bit),
                                       make_entry("a", 3),       make_entry("a", UINT64_MAX),
                                       make_entry("b", top_bit), make_entry("", 9)};
  PM_HOLDS(store.apply(puts(thing, sample_things())) == PM_OK, "put");
  PM_HOLDS(store.apply(puts(counter, counters)) == PM_OK, "put");
  PM_HOLDS(store.apply(puts(entry, entries)) == PM_OK, "put");
  for (const bool descending : {false, true}) {
    const Scan things{thing, {}, 0, descending, 0};
    PM_HOLDS(store.scan(things).records == expected(sample_things(), things, 1),
             "bytes are ordered byte by byte, a prefix first");
    const Scan numbers{counter, {}, 0, descending, 0};
    PM_HOLDS(store.scan(numbers).records == expected(counters, numbers, 1),
             "numbers are ordered as unsigned");
    const Scan both{entry, {}, 0, descending, 0};
    PM_HOLDS(store.scan(both).records == expected(entries, both, 2),
             "the first key field decides, then the second");
  }
  return {};
}

Verdict scan_goes_by_another_field_both_ways(const Subject& subject) {
  Store store(subject);
  PM_HOLDS(store.apply(puts(thing, sample_things())) == PM_OK, "put");
  for (const std::uint32_t field : {thing_amount, thing_delta, thing_blob, thing_note})
    for (const bool descending : {false, true}) {
      const Scan scan{thing, {}, field, descending, 0};
      PM_HOLDS(store.scan(scan).records == expected(sample_things(), scan, 1),
               "field " + std::to_string(field) + (descending ? " descending" : " ascending"));
    }
  return {};
}

Verdict each_comparison_selects_its_records(const Subject& subject) {
  Store store(subject);
  PM_HOLDS(store.apply(puts(thing, sample_things())) == PM_OK, "put");
  for (const std::uint32_t comparison : comparisons)
    for (const Record& sample : sample_things())
      for (const FieldValue& value : sample)
        for (const std::uint32_t order : {std::uint32_t{0}, value.field}) {
          const Scan scan{thing, {{value.field, comparison, value.cell}}, order, false, 0};
          PM_HOLDS(store.scan(scan).records == expected(sample_things(), scan, 1),
                   "field " + std::to_string(value.field) + ", comparison " +
                       std::to_string(comparison) + ", order " + std::to_string(order));
        }
  return {};
}

Verdict all_conditions_hold_together(const Subject& subject) {
  Store store(subject);
  PM_HOLDS(store.apply(puts(thing, sample_things())) == PM_OK, "put");
  const Scan range{thing,
                   {{thing_amount, PM_GREATER, u64(0)}, {thing_amount, PM_LESS, u64(top_bit)}},
                   thing_amount,
                   false,
                   0};
  PM_HOLDS(store.scan(range).records == expected(sample_things(), range, 1), "a range");
  const Scan two_fields{
      thing, {{thing_amount, PM_EQUAL, u64(5)}, {thing_delta, PM_GREATER, i64(-1)}}, 0, true, 0};
  PM_HOLDS(store.scan(two_fields).records == expected(sample_things(), two_fields, 1),
           "two fields");
  const Scan nothing{thing,
                     {{thing_note, PM_EQUAL, text("a")}, {thing_note, PM_EQUAL, text("b")}},
                     thing_note,
                     false,
                     0};
  const Found found = store.scan(nothing);
  PM_HOLDS(found.status == PM_OK && found.records.empty(), "one field cannot have two values");
  return {};
}

Verdict limit_ends_a_scan(const Subject& subject) {
  Store store(subject);
  PM_HOLDS(store.apply(puts(thing, sample_things())) == PM_OK, "put");
  for (const std::uint32_t order :
       {std::uint32_t{0}, std::uint32_t{thing_amount}, std::uint32_t{thing_blob}})
    for (const bool descending : {false, true})
      for (const std::uint64_t limit : {1u, 3u, 5u, 8u, 9u}) {
        const Scan scan{thing, {}, order, descending, limit};
        PM_HOLDS(store.scan(scan).records == expected(sample_things(), scan, 1),
                 "limit " + std::to_string(limit));
      }
  const Scan beyond{thing, {}, 0, false, UINT64_MAX};
  PM_HOLDS(store.scan(beyond).records.size() == 8, "a limit that no store reaches");
  return {};
}

Verdict visitor_ends_a_scan(const Subject& subject) {
  Store store(subject);
  PM_HOLDS(store.apply(puts(thing, sample_things())) == PM_OK, "put");
  for (const std::uint32_t order :
       {std::uint32_t{0}, std::uint32_t{thing_amount}, std::uint32_t{thing_blob}})
    for (std::size_t wanted = 1; wanted <= 8; ++wanted) {
      std::size_t calls = 0;
      const pm_status_t status =
          store.scan({thing, {}, order, false, 0}, [&](const Record&) { return ++calls < wanted; });
      PM_HOLDS(status == PM_OK, "ending a scan is no error");
      PM_HOLDS(calls == wanted, "visited " + std::to_string(calls) + ", told to end after " +
                                    std::to_string(wanted));
    }
  return {};
}

Verdict scan_refuses_what_the_schema_lacks(const Subject& subject) {
  Store store(subject);
  PM_HOLDS(store.apply({put(thing, make_thing("a"))}) == PM_OK, "put");
  const Scan bad[] = {
      {77, {}, 0, false, 0},                                     // unknown kind
      {thing, {{77, PM_EQUAL, u64(1)}}, 0, false, 0},            // unknown field
      {thing, {{thing_amount, PM_EQUAL, i64(1)}}, 0, false, 0},  // other type
      {thing, {{thing_amount, 0, u64(1)}}, 0, false, 0},         // unknown comparisons
      {thing, {{thing_amount, 6, u64(1)}}, 0, false, 0},
      {thing, {}, 77, false, 0},  // unknown order
  };
  for (const Scan& scan : bad) {
    take_error();
    const Found found = store.scan(scan);
    PM_HOLDS(found.status == PM_INVALID_ARGUMENT && found.records.empty(),
             "a scan that asks for what is not there");
    PM_HOLDS(!take_error().empty(), "an error came without words");
  }
  return {};
}

// Random puts and deletes in few values, so that records meet, and random scans over them.
Verdict scans_agree_with_a_model(const Subject& subject) {
  Store store(subject);
  std::mt19937_64 random(20260101);
  const std::uint64_t numbers[] = {0, 1, 2, top_bit - 1, top_bit, UINT64_MAX};
  const auto number = [&] { return numbers[random() % 6]; };
  const auto word = [&] {
    return std::string(random() % 3, static_cast<char>('a' + random() % 2));
  };
  const auto random_thing = [&] {
    return make_thing(std::string(1, static_cast<char>(random() % 200)) + word(), number(),
                      static_cast<std::int64_t>(number()), word(), word());
  };
  std::vector<Record> model;
  for (int round = 0; round < 40; ++round) {
    std::vector<Operation> operations;
    for (int i = 0; i < 30; ++i) {
      const bool deletes = !model.empty() && random() % 3 == 0;
      const Record record = deletes ? model[random() % model.size()] : random_thing();
      std::erase_if(model, [&](const Record& other) { return other[0] == record[0]; });
      if (!deletes) model.push_back(record);
      operations.push_back(deletes ? remove(thing, key_of(record)) : put(thing, record));
    }
    PM_HOLDS(store.apply(operations) == PM_OK, "apply");
    for (int i = 0; i < 20; ++i) {
      Scan scan{thing,
                {},
                static_cast<std::uint32_t>(random() % 6),
                random() % 2 == 0,
                random() % 3 == 0 ? random() % 20 : 0};
      for (std::uint64_t conditions = random() % 4; conditions > 0; --conditions) {
        const FieldValue value = random_thing()[random() % 5];
        scan.conditions.push_back({value.field, comparisons[random() % 5], value.cell});
      }
      const Found found = store.scan(scan);
      PM_HOLDS(found.status == PM_OK && found.records == expected(model, scan, 1),
               "round " + std::to_string(round) + ", scan " + std::to_string(i));
    }
  }
  return {};
}

}  // namespace pm::contract
