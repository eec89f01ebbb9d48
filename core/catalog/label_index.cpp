#include "label_index.h"

#include <functional>
#include <string_view>

#include "ids.h"

namespace pm::catalog {

std::uint64_t hash_of(const LabelTerm& term) {
  const std::hash<std::string_view> hash;
  const std::uint64_t key = hash_of(std::uint64_t{hash(term.key)});
  return term.value ? hash_of(key + hash(*term.value)) : key;
}

void LabelIndex::add(const Labels& labels, std::uint64_t order, Slot payload) {
  for (const Label& label : labels) {
    add({label.key, label.value}, order, payload);
    add({label.key, std::nullopt}, order, payload);
  }
}

void LabelIndex::remove(const Labels& labels, std::uint64_t order, Slot payload) {
  for (const Label& label : labels) {
    remove({label.key, label.value}, order, payload);
    remove({label.key, std::nullopt}, order, payload);
  }
}

void LabelIndex::add(const LabelTerm& term, std::uint64_t order, Slot payload) {
  Slot slot = slot_of_term_.find(term);
  if (slot == no_slot) {
    slot = terms_.add();
    terms_[slot].term = term;
    slot_of_term_.insert(slot);
  }
  ++terms_[slot].payloads;
  pairs_.insert({slot, order}, payload);
}

void LabelIndex::remove(const LabelTerm& term, std::uint64_t order, Slot payload) {
  const Slot slot = slot_of_term_.find(term);
  pairs_.remove({slot, order}, payload);
  if (--terms_[slot].payloads > 0) return;
  slot_of_term_.remove(slot);
  terms_.remove(slot);
}

std::uint64_t LabelIndex::count(const LabelTerm& term) const {
  const Slot slot = slot_of_term_.find(term);
  return slot != no_slot ? terms_[slot].payloads : 0;
}

LabelIndex::Cursor LabelIndex::at(const LabelTerm& term, std::uint64_t order) const {
  Cursor cursor;
  cursor.term_ = slot_of_term_.find(term);
  // A term that nobody has is no_slot, which no pair has: the walk ends at once.
  cursor.pairs_ = pairs_.at({cursor.term_, order});
  return cursor;
}

}  // namespace pm::catalog
