#include "rules.h"
#include "store.h"

// Deleting by the first fields of a key.

namespace pm::contract {

namespace {

constexpr std::uint64_t top_bit = std::uint64_t{1} << 63;

Records all_edges(Store& store) { return store.scan({edge, {}, 0, false, 0}).records; }

// By the index, which must have forgotten what was deleted.
Records edges_of_parent(Store& store, const std::string& parent) {
  return store.scan({edge, {{edge_parent, PM_EQUAL, bytes(parent)}}, 0, false, 0}).records;
}

}  // namespace

Verdict delete_prefix_takes_all_that_begin_with_it_and_no_other(const Subject& subject) {
  Store store(subject);
  const std::string with_nul("a\0", 2);
  const Records edges = {make_edge("", "p", 0),        make_edge("a", "", 3),
                         make_edge("a", "p", 0),       make_edge("a", "p", top_bit - 1),
                         make_edge("a", "p", top_bit), make_edge("a", "p", UINT64_MAX),
                         make_edge("a", "pp", 1),      make_edge(with_nul, "p", 1),
                         make_edge("ab", "p", 1),      make_edge("b", "p", 1)};
  std::vector<Operation> puts;
  for (const Record& record : edges) puts.push_back(put(edge, record));
  PM_HOLDS(store.apply(puts) == PM_OK, "put");
  PM_HOLDS(all_edges(store).size() == edges.size(), "a record is missing");

  const Record two = {{edge_child, bytes("a")}, {edge_parent, bytes("p")}};
  PM_HOLDS(store.apply({remove_prefix(edge, two)}) == PM_OK, "a prefix of two fields");
  Records left = {edges[0], edges[1], edges[6], edges[7], edges[8], edges[9]};
  PM_HOLDS(all_edges(store) == left, "two fields took too much or too little");
  PM_HOLDS(edges_of_parent(store, "p") == (Records{edges[0], edges[7], edges[8], edges[9]}),
           "an index does not agree");

  PM_HOLDS(store.apply({remove_prefix(edge, {{edge_child, bytes("a")}})}) == PM_OK, "one field");
  left = {edges[0], edges[7], edges[8], edges[9]};
  PM_HOLDS(all_edges(store) == left, "one field took too much or too little");
  PM_HOLDS(edges_of_parent(store, "pp").empty(), "an index still has what was deleted");
  PM_HOLDS(store.apply({remove_prefix(edge, {{edge_child, bytes("a")}})}) == PM_OK,
           "deleting what is not there is an error");
  PM_HOLDS(store.apply({remove_prefix(edge, {{edge_child, bytes("")}})}) == PM_OK, "empty bytes");
  PM_HOLDS(all_edges(store) == (Records{edges[7], edges[8], edges[9]}), "empty bytes take all");

  // Many, so that a tree of pages loses whole pages; and another kind with the same key stays.
  std::vector<Operation> many = {put(entry, make_entry("many", 1, "kept"))};
  for (std::uint64_t n = 0; n < 2'000; ++n) many.push_back(put(edge, make_edge("many", "p", n)));
  PM_HOLDS(store.apply(many) == PM_OK, "put");
  PM_HOLDS(all_edges(store).size() == 2'003, "a record is missing");
  PM_HOLDS(store.apply({remove_prefix(edge, {{edge_child, bytes("many")}})}) == PM_OK, "many");
  PM_HOLDS(all_edges(store) == (Records{edges[7], edges[8], edges[9]}), "not all, or too many");
  PM_HOLDS(store.scan({entry, {}, 0, false, 0}).records.size() == 1, "another kind lost a record");
  return {};
}

Verdict delete_prefix_takes_its_turn_in_the_batch(const Subject& subject) {
  Store store(subject);
  const Record prefix = {{entry_stream, bytes("a")}};
  PM_HOLDS(store.apply({put(entry, make_entry("a", 1, "old"))}) == PM_OK, "put");
  PM_HOLDS(store.apply({put(entry, make_entry("a", 2, "before")), remove_prefix(entry, prefix),
                        put(entry, make_entry("a", 3, "after")),
                        put(entry, make_entry("a", 1, "again"))}) == PM_OK,
           "apply");
  PM_HOLDS(store.scan({entry, {}, 0, false, 0}).records ==
               (Records{make_entry("a", 1, "again"), make_entry("a", 3, "after")}),
           "what came before is there, or what came after is gone");
  return {};
}

Verdict delete_prefix_refuses_what_is_no_prefix(const Subject& subject) {
  Store store(subject);
  const Record whole = make_edge("a", "p", 1);
  PM_HOLDS(store.apply({put(edge, whole), put(thing, make_thing("a"))}) == PM_OK, "put");
  const Operation bad[] = {
      remove_prefix(edge, {}),                                                    // all of it
      remove_prefix(edge, key_of(whole, 3)),                                      // a whole key
      remove_prefix(edge, {{edge_parent, bytes("p")}}),                           // not the first
      remove_prefix(edge, {{edge_child, bytes("a")}, {edge_number, u64(1)}}),     // a gap
      remove_prefix(edge, {{edge_child, bytes("a")}, {edge_child, bytes("a")}}),  // twice
      remove_prefix(edge, {{edge_child, text("a")}}),                             // other type
      remove_prefix(edge, {{77, bytes("a")}}),                                    // unknown field
      remove_prefix(thing, {{thing_id, bytes("a")}}),  // a key that has one field alone
      remove_prefix(77, {{edge_child, bytes("a")}}),   // unknown kind
  };
  for (const Operation& operation : bad) {
    take_error();
    PM_HOLDS(store.apply({put(entry, make_entry("b", 1)), operation}) == PM_INVALID_ARGUMENT,
             "what is no prefix was taken");
    PM_HOLDS(!take_error().empty(), "an error came without words");
    PM_HOLDS(all_edges(store) == Records{whole}, "a refused batch was applied");
    PM_HOLDS(store.scan({entry, {}, 0, false, 0}).records.empty(), "a refused batch was applied");
    PM_HOLDS(store.get(thing, {{thing_id, bytes("a")}}).status == PM_OK, "a record is gone");
  }
  return {};
}

}  // namespace pm::contract
