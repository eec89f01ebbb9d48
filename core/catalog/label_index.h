#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "extras.h"
#include "hash_table.h"
#include "ordered_index.h"
#include "slots.h"

namespace pm::catalog {

// What payloads are looked up by: a label, or any label of a key.
struct LabelTerm {
  std::string key;
  std::optional<std::string> value;  // Nothing: whatever it is.
  friend bool operator==(const LabelTerm&, const LabelTerm&) = default;
};
std::uint64_t hash_of(const LabelTerm& term);

// Finds the payloads that have a label, in the order of their making. A term is kept once for all
// payloads that have it, and each of them costs 20 bytes and little more for it.
class LabelIndex {
 public:
  using Pairs = OrderedIndexOf<WideKey>;

  // `order` and `payload` together must not be in the index (must be, with the same labels).
  void add(const Labels& labels, std::uint64_t order, Slot payload);
  void remove(const Labels& labels, std::uint64_t order, Slot payload);

  // Payloads that have it.
  std::uint64_t count(const LabelTerm& term) const;

  // Walks the payloads that have a term; valid until the index changes.
  class Cursor {
   public:
    // The next payload made later (earlier), or no_slot.
    Slot forward() { return take(pairs_.forward()); }
    Slot backward() { return take(pairs_.backward()); }

   private:
    friend LabelIndex;
    Slot take(const std::optional<Pairs::Entry>& entry) const {
      return entry && entry->key.high == term_ ? entry->slot : no_slot;
    }
    Pairs::Cursor pairs_;
    Slot term_ = no_slot;
  };
  // In front of every payload whose order is not smaller.
  Cursor at(const LabelTerm& term, std::uint64_t order) const;

  std::uint64_t size() const { return pairs_.size(); }

 private:
  struct Term {
    LabelTerm term;
    std::uint64_t payloads = 0;
    Slot hash_next = no_slot;
    const LabelTerm& key() const { return term; }
  };

  void add(const LabelTerm& term, std::uint64_t order, Slot payload);
  void remove(const LabelTerm& term, std::uint64_t order, Slot payload);

  Slots<Term> terms_;
  HashTable<Term> slot_of_term_{terms_};
  Pairs pairs_;  // (term, order) -> payload
};

}  // namespace pm::catalog
