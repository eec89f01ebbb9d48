#include "rules.h"
#include "store.h"

namespace pm::contract {

Verdict reopening_keeps_everything(const Subject& subject) {
  const std::vector<Record> things = {make_thing("a", UINT64_MAX, INT64_MIN, "blob", "note"),
                                      make_thing("b", 2, 3, std::string(70'000, '\0'), "")};
  {
    Store store(subject);
    PM_HOLDS(store.apply({put(thing, things[0]), put(thing, make_thing("gone"))}) == PM_OK, "put");
    PM_HOLDS(store.apply({put(thing, things[1]), put(entry, make_entry("s", 1, "body")),
                          remove(thing, {{thing_id, bytes("gone")}})},
                         PM_DURABILITY_POWER) == PM_OK,
             "put");
  }
  for (int opening = 0; opening < 2; ++opening) {
    Store store(subject);
    PM_HOLDS(store.status() == PM_OK, "open failed: " + store.error());
    PM_HOLDS(store.scan({thing, {}, 0, false, 0}).records == things, "things changed");
    PM_HOLDS(store.scan({entry, {}, 0, false, 0}).records == Records{make_entry("s", 1, "body")},
             "entries changed");
    const Scan by_amount{thing, {{thing_amount, PM_EQUAL, u64(2)}}, thing_amount, false, 0};
    PM_HOLDS(store.scan(by_amount).records == Records{things[1]}, "an index was lost");
  }
  return {};
}

Verdict sequence_goes_on_in_the_next_epoch(const Subject& subject) {
  std::uint64_t first_epoch = 0;
  {
    Store store(subject);
    first_epoch = store.state().epoch;
    for (std::uint64_t i = 1; i <= 3; ++i)
      PM_HOLDS(store.apply({put(thing, make_thing("a", i))}) == PM_OK, "put");
  }
  Store store(subject);
  PM_HOLDS(store.status() == PM_OK, "open failed: " + store.error());
  PM_HOLDS(store.state().last_sequence == 3, "the last sequence is not the one applied");
  const std::uint64_t epoch = store.state().epoch;
  const std::vector<Operation> late_batch = {put(thing, make_thing("a", 99))};
  PM_HOLDS(store.apply_as(first_epoch, 4, late_batch) == PM_ABORTED,
           "a batch of the epoch before was taken");
  PM_HOLDS(store.apply_as(epoch, 1, late_batch) == PM_INVALID_ARGUMENT, "the sequence began anew");
  PM_HOLDS(store.apply_as(epoch, 5, late_batch) == PM_INVALID_ARGUMENT, "a gap was taken");
  PM_HOLDS(store.get(thing, {{thing_id, bytes("a")}}).records == Records{make_thing("a", 3)},
           "a refused batch was applied");
  PM_HOLDS(store.apply_as(epoch, 4, late_batch) == PM_OK, "the next sequence was refused");
  return {};
}

Verdict older_store_gains_fields_and_indexes(const Subject& subject) {
  {
    Store store(subject, schema_1());
    PM_HOLDS(store.apply({put(thing, make_thing("a", 1, 2, "blob", "note"))}) == PM_OK, "put");
  }
  Record old = make_thing("a", 1, 2, "blob", "note");
  old.push_back({thing_extra, u64(0)});
  old.push_back({thing_label, text("")});
  Record fresh = make_thing("b", 1);
  fresh.push_back({thing_extra, u64(UINT64_MAX)});
  fresh.push_back({thing_label, text("label")});
  for (int opening = 0; opening < 2; ++opening) {
    Store store(subject, schema_2());
    PM_HOLDS(store.status() == PM_OK, "an older store was not opened: " + store.error());
    PM_HOLDS(store.get(thing, {{thing_id, bytes("a")}}).records == Records{old},
             "an old record lacks the new fields, 0 or empty");
    PM_HOLDS(store.apply({put(thing, fresh), put(late, make_counter(1, 2))}) == PM_OK,
             "the new fields and kinds cannot be written");
    const Scan by_extra{thing, {{thing_extra, PM_GREATER, u64(0)}}, thing_extra, false, 0};
    PM_HOLDS(store.scan(by_extra).records == Records{fresh}, "the new index does not work");
    PM_HOLDS(store.get(late, {{counter_number, u64(1)}}).status == PM_OK, "a new kind is lost");
  }
  return {};
}

Verdict newer_store_is_refused(const Subject& subject) {
  {
    Store store(subject, schema_2());
    PM_HOLDS(store.apply({put(late, make_counter(1, 2))}) == PM_OK, "put");
  }
  {
    Store store(subject, schema_1());
    PM_HOLDS(store.status() == PM_FAILED_PRECONDITION, "a newer store was opened");
    PM_HOLDS(store.error().find('1') != std::string::npos &&
                 store.error().find('2') != std::string::npos,
             "the words do not name both versions: " + store.error());
  }
  Store store(subject, schema_2());
  PM_HOLDS(store.status() == PM_OK, "the refusal did harm: " + store.error());
  PM_HOLDS(store.get(late, {{counter_number, u64(1)}}).status == PM_OK, "a record is lost");
  return {};
}

Verdict store_serves_one_instance_at_a_time(const Subject& subject) {
  {
    Store holder(subject);
    PM_HOLDS(holder.apply({put(thing, make_thing("a", 1))}) == PM_OK, "put");
    {
      Store second(subject);
      PM_HOLDS(second.status() == PM_ABORTED, "two instances have one store");
      PM_HOLDS(!second.error().empty(), "an error came without words");
    }
    PM_HOLDS(holder.apply({put(thing, make_thing("a", 2))}) == PM_OK,
             "the refused instance did harm");
  }
  Store next(subject);
  PM_HOLDS(next.status() == PM_OK, "the store was not let go: " + next.error());
  PM_HOLDS(next.get(thing, {{thing_id, bytes("a")}}).records == Records{make_thing("a", 2)},
           "a record is lost");
  return {};
}

}  // namespace pm::contract
