#include "rules.h"
#include "store.h"

namespace pm::contract {

Verdict last_operation_on_a_key_wins(const Subject& subject) {
  Store store(subject);
  const Record key_a = {{thing_id, bytes("a")}};
  const Record key_b = {{thing_id, bytes("b")}};
  PM_HOLDS(store.apply({put(thing, make_thing("a", 1)), put(thing, make_thing("a", 2)),
                        put(thing, make_thing("b", 3)), remove(thing, key_b), remove(thing, key_a),
                        put(thing, make_thing("a", 4))}) == PM_OK,
           "apply");
  PM_HOLDS(store.get(thing, key_a).records == Records{make_thing("a", 4)}, "an earlier put won");
  PM_HOLDS(store.get(thing, key_b).status == PM_NOT_FOUND, "an earlier put won over a delete");
  return {};
}

Verdict batch_with_a_bad_record_changes_nothing(const Subject& subject) {
  Store store(subject);
  PM_HOLDS(store.apply({put(thing, make_thing("old", 1))}) == PM_OK, "put");
  const Operation bad[] = {
      put(77, make_thing("a")),                                         // unknown kind
      put(thing, {{thing_id, bytes("a")}, {77, u64(1)}}),               // unknown field
      put(thing, {{thing_id, bytes("a")}, {thing_amount, i64(1)}}),     // other type
      put(thing, {{thing_amount, u64(1)}}),                             // no key
      put(thing, {}),                                                   // nothing at all
      put(entry, {{entry_stream, bytes("a")}}),                         // half a key
      put(thing, {{thing_id, bytes("a")}, {thing_id, bytes("b")}}),     // twice
      remove(thing, {{thing_id, bytes("a")}, {thing_amount, u64(1)}}),  // more than a key
      remove(thing, {}),                                                // no key
      {thing, make_thing("a"), 4},                                      // unknown operation
      {thing, make_thing("a"), 0},
  };
  for (const Operation& operation : bad) {
    const std::uint64_t sequence = store.next_sequence();
    take_error();
    const pm_status_t status =
        store.apply({put(thing, make_thing("new", 2)), remove(thing, {{thing_id, bytes("old")}}),
                     operation, put(thing, make_thing("newer", 3))});
    PM_HOLDS(status == PM_INVALID_ARGUMENT, "a bad record was not refused");
    PM_HOLDS(!take_error().empty(), "an error came without words");
    const Found all = store.scan({thing, {}, 0, false, 0});
    PM_HOLDS(all.records == Records{make_thing("old", 1)}, "part of the batch was applied");
    PM_HOLDS(store.next_sequence() == sequence, "the sequence moved");
  }
  PM_HOLDS(store.apply({put(thing, make_thing("old", 5))}) == PM_OK,
           "the refused batches used up the sequence");
  return {};
}

Verdict repeated_sequence_changes_nothing(const Subject& subject) {
  Store store(subject);
  const std::uint64_t epoch = store.state().epoch;
  PM_HOLDS(store.apply({put(thing, make_thing("a", 1))}) == PM_OK, "put");
  PM_HOLDS(store.apply({put(thing, make_thing("a", 2)), put(thing, make_thing("b", 2))}) == PM_OK,
           "put");
  const std::vector<Operation> first = {put(thing, make_thing("a", 1))};
  for (const std::uint32_t durability : {PM_DURABILITY_PROCESS, PM_DURABILITY_POWER}) {
    PM_HOLDS(store.apply_as(epoch, 1, first, durability) == PM_OK, "a repeat was refused");
    PM_HOLDS(
        store.apply_as(epoch, 2, {remove(thing, {{thing_id, bytes("b")}})}, durability) == PM_OK,
        "a repeat was refused");
    const Found all = store.scan({thing, {}, 0, false, 0});
    PM_HOLDS(all.records == (Records{make_thing("a", 2), make_thing("b", 2)}),
             "a repeat was applied again");
  }
  PM_HOLDS(store.apply({put(thing, make_thing("c", 3))}) == PM_OK, "the next one was refused");
  return {};
}

Verdict gap_in_the_sequence_is_refused(const Subject& subject) {
  Store store(subject);
  const std::uint64_t epoch = store.state().epoch;
  const std::vector<Operation> one = {put(thing, make_thing("a", 1))};
  for (const std::uint64_t sequence : {std::uint64_t{0}, std::uint64_t{2}, UINT64_MAX}) {
    take_error();
    PM_HOLDS(store.apply_as(epoch, sequence, one) == PM_INVALID_ARGUMENT, "a gap was taken");
    PM_HOLDS(!take_error().empty(), "an error came without words");
  }
  PM_HOLDS(store.scan({thing, {}, 0, false, 0}).records.empty(), "a refused batch was applied");
  PM_HOLDS(store.apply_as(epoch, 1, one) == PM_OK, "the first batch was refused");
  PM_HOLDS(store.apply_as(epoch, 3, one) == PM_INVALID_ARGUMENT, "a gap was taken");
  PM_HOLDS(store.apply_as(epoch, 2, one) == PM_OK, "the second batch was refused");
  return {};
}

Verdict other_epoch_is_refused(const Subject& subject) {
  Store store(subject);
  const std::uint64_t epoch = store.state().epoch;
  for (const std::uint64_t other : {epoch - 1, epoch + 1}) {
    take_error();
    PM_HOLDS(store.apply_as(other, 1, {put(thing, make_thing("a", 1))}) == PM_ABORTED,
             "a batch of another epoch was taken");
    PM_HOLDS(!take_error().empty(), "an error came without words");
  }
  PM_HOLDS(store.scan({thing, {}, 0, false, 0}).records.empty(), "a refused batch was applied");
  PM_HOLDS(store.apply({put(thing, make_thing("a", 1))}) == PM_OK, "the own epoch was refused");
  return {};
}

}  // namespace pm::contract
