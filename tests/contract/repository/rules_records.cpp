#include <set>

#include "rules.h"
#include "store.h"

namespace pm::contract {

namespace {

constexpr std::uint64_t top_bit = std::uint64_t{1} << 63;

bool is_instance_id(const char* id) {
  const std::string text(id);
  return text.size() == 16 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

Verdict open_claims_a_larger_epoch(const Subject& subject) {
  std::uint64_t epoch = 0;
  std::set<std::string> instance_ids;
  for (int opening = 0; opening < 3; ++opening) {
    Store store(subject);
    PM_HOLDS(store.status() == PM_OK, "open failed: " + store.error());
    PM_HOLDS(store.state().epoch > (subject.is_persistent ? epoch : 0), "the epoch did not grow");
    PM_HOLDS(is_instance_id(store.state().instance_id), "the instance id is not 16 hex digits");
    PM_HOLDS(store.state().last_sequence == 0, "an empty store has a sequence");
    epoch = store.state().epoch;
    instance_ids.insert(store.state().instance_id);
  }
  PM_HOLDS(instance_ids.size() == (subject.is_persistent ? 1u : 3u),
           "the instance id belongs to the store and to no other");
  return {};
}

Verdict every_value_comes_back_as_it_went_in(const Subject& subject) {
  Store store(subject);
  const std::uint64_t unsigned_values[] = {0, 1, top_bit - 1, top_bit, top_bit + 1, UINT64_MAX};
  const std::int64_t signed_values[] = {0, 1, -1, INT64_MAX, INT64_MIN, INT64_MIN + 1};
  std::vector<Operation> operations;
  for (std::size_t i = 0; i < 6; ++i) {
    const std::string id(1, static_cast<char>(i));
    operations.push_back(
        put(thing, make_thing(id, unsigned_values[i], signed_values[i], "blob", "note")));
    operations.push_back(put(counter, make_counter(unsigned_values[i], i)));
  }
  PM_HOLDS(store.apply(operations) == PM_OK, "apply failed");
  for (const Operation& operation : operations) {
    const Found found = store.get(operation.kind, key_of(operation.record));
    PM_HOLDS(found.status == PM_OK && found.records.size() == 1, "a record is missing");
    PM_HOLDS(found.records[0] == operation.record, "a record came back changed");
  }
  // Fields may come in any order; they are handed back in the order of the schema.
  const Record whole = make_thing("turned", 7, -7, "b", "n");
  const Record turned(whole.rbegin(), whole.rend());
  PM_HOLDS(store.apply({put(thing, turned)}) == PM_OK, "fields in another order were refused");
  const Found found = store.get(thing, key_of(whole));
  PM_HOLDS(found.records.size() == 1 && found.records[0] == whole, "fields got mixed up");
  return {};
}

Verdict bytes_and_text_are_opaque(const Subject& subject) {
  Store store(subject);
  std::string large(1 << 20, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31 >> 3);
  const std::string with_nul("a\0b\0", 4);
  const std::string utf8("gr\xc3\xbc\xc3\x9f\0\xe2\x82\xac", 10);
  const std::vector<Record> records = {
      make_thing("", 1, 1, "", ""),
      make_thing(std::string(1, '\0'), 2, 2, std::string(3, '\0'), with_nul),
      make_thing(std::string(2, '\0'), 3, 3, "\xff\xfe", utf8),
      make_thing("large", 4, 4, large, std::string(100'000, 'x')),
      make_thing("\xff\x80", 5, 5, "'; DROP TABLE thing; --", "\"'%_\\"),
  };
  for (const Record& record : records)
    PM_HOLDS(store.apply({put(thing, record)}) == PM_OK, "apply failed");
  for (const Record& record : records) {
    const Found found = store.get(thing, key_of(record));
    PM_HOLDS(found.records.size() == 1 && found.records[0] == record, "bytes came back changed");
    const Found by_note =
        store.scan({thing, {{thing_note, PM_EQUAL, cell_of(record, thing_note)}}, 0, false, 0});
    PM_HOLDS(by_note.records.size() == 1 && by_note.records[0] == record,
             "a record is not found by its text");
  }
  return {};
}

Verdict put_replaces_the_whole_record(const Subject& subject) {
  Store store(subject);
  PM_HOLDS(store.apply({put(thing, make_thing("a", 1, -1, "blob", "note"))}) == PM_OK, "put");
  const Record partial = {{thing_id, bytes("a")}, {thing_delta, i64(5)}};
  PM_HOLDS(store.apply({put(thing, partial)}) == PM_OK, "a put with fields left out was refused");
  const Found found = store.get(thing, {{thing_id, bytes("a")}});
  PM_HOLDS(found.records.size() == 1, "the record is gone");
  PM_HOLDS(found.records[0] == make_thing("a", 0, 5, "", ""), "fields left out are not 0 or empty");
  const Found by_amount =
      store.scan({thing, {{thing_amount, PM_EQUAL, u64(1)}}, thing_amount, false, 0});
  PM_HOLDS(by_amount.records.empty(), "the old record is still found by its old value");
  PM_HOLDS(store.scan({thing, {}, 0, false, 0}).records.size() == 1, "there is more than one");
  return {};
}

Verdict delete_takes_the_record_and_no_other(const Subject& subject) {
  Store store(subject);
  PM_HOLDS(store.apply({put(thing, make_thing("a", 1)), put(thing, make_thing("ab", 1))}) == PM_OK,
           "put");
  PM_HOLDS(store.apply({remove(thing, {{thing_id, bytes("a")}})}) == PM_OK, "delete");
  PM_HOLDS(store.get(thing, {{thing_id, bytes("a")}}).status == PM_NOT_FOUND,
           "the record is still there");
  PM_HOLDS(store.get(thing, {{thing_id, bytes("ab")}}).status == PM_OK, "another one is gone");
  const Found by_amount =
      store.scan({thing, {{thing_amount, PM_EQUAL, u64(1)}}, thing_amount, false, 0});
  PM_HOLDS(by_amount.records.size() == 1, "an index still has the deleted record");
  PM_HOLDS(store.apply({remove(thing, {{thing_id, bytes("a")}})}) == PM_OK,
           "deleting what is not there is an error");
  return {};
}

Verdict compound_keys_count_in_all_their_fields(const Subject& subject) {
  Store store(subject);
  PM_HOLDS(store.apply({put(entry, make_entry("a", 1, "a1")), put(entry, make_entry("a", 2, "a2")),
                        put(entry, make_entry("b", 1, "b1"))}) == PM_OK,
           "put");
  PM_HOLDS(store.apply({put(entry, make_entry("a", 2, "again")),
                        remove(entry, key_of(make_entry("a", 1), 2))}) == PM_OK,
           "put and delete");
  PM_HOLDS(store.get(entry, key_of(make_entry("a", 1), 2)).status == PM_NOT_FOUND, "not deleted");
  const Found replaced = store.get(entry, key_of(make_entry("a", 2), 2));
  PM_HOLDS(replaced.records == Records{make_entry("a", 2, "again")}, "not replaced");
  PM_HOLDS(store.get(entry, key_of(make_entry("b", 1), 2)).status == PM_OK, "another one is gone");
  PM_HOLDS(store.get(entry, {{entry_stream, bytes("b")}}).status == PM_INVALID_ARGUMENT,
           "half a key was taken");
  const Record turned = {{entry_offset, u64(1)}, {entry_stream, bytes("b")}};
  PM_HOLDS(store.get(entry, turned).status == PM_OK, "key fields in another order were refused");
  return {};
}

Verdict get_refuses_what_the_schema_lacks(const Subject& subject) {
  Store store(subject);
  PM_HOLDS(store.apply({put(thing, make_thing("a"))}) == PM_OK, "put");
  const Record key = {{thing_id, bytes("a")}};
  PM_HOLDS(store.get(77, key).status == PM_INVALID_ARGUMENT, "an unknown kind");
  PM_HOLDS(!take_error().empty(), "an error came without words");
  PM_HOLDS(store.get(thing, {{77, bytes("a")}}).status == PM_INVALID_ARGUMENT, "an unknown field");
  PM_HOLDS(store.get(thing, {{thing_id, text("a")}}).status == PM_INVALID_ARGUMENT,
           "a key of another type");
  PM_HOLDS(store.get(thing, {}).status == PM_INVALID_ARGUMENT, "no key");
  PM_HOLDS(store.get(thing, {key[0], {thing_amount, u64(0)}}).status == PM_INVALID_ARGUMENT,
           "a field that is not of the key");
  return {};
}

}  // namespace pm::contract
