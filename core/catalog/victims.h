#pragma once

#include <array>
#include <cstddef>

#include "payload.h"
#include "slots.h"

namespace pm::catalog {

// The payloads of one tier that may leave: the lowest priority first, of one priority the least
// lately used. A list for each priority, linked through the heads, since whoever joins was used
// just now: every call is O(1) and a payload costs no memory besides its head.
class Victims {
 public:
  // The payload must not be among the victims of any tier. Its priority stays while it is.
  void push_back(Slots<Payload>& payloads, Slot slot) {
    Payload& payload = payloads[slot];
    List& list = list_of(payload);
    payload.victim = true;
    payload.victim_before = list.last;
    payload.victim_after = no_slot;
    (list.last == no_slot ? list.first : payloads[list.last].victim_after) = slot;
    list.last = slot;
  }

  // The payload must be among the victims of this tier.
  void remove(Slots<Payload>& payloads, Slot slot) {
    Payload& payload = payloads[slot];
    List& list = list_of(payload);
    const Slot before = payload.victim_before;
    const Slot after = payload.victim_after;
    (before == no_slot ? list.first : payloads[before].victim_after) = after;
    (after == no_slot ? list.last : payloads[after].victim_before) = before;
    payload.victim = false;
    payload.victim_before = no_slot;
    payload.victim_after = no_slot;
  }

  // no_slot: there is none.
  Slot first() const { return first_from(0); }
  Slot first_of(Priority priority) const {
    return lists_[static_cast<std::size_t>(priority)].first;
  }

  // The one behind `slot`, which must be among the victims of this tier.
  Slot after(const Slots<Payload>& payloads, Slot slot) const {
    const Payload& payload = payloads[slot];
    if (payload.victim_after != no_slot) return payload.victim_after;
    return first_from(static_cast<std::size_t>(payload.retention.priority) + 1);
  }

 private:
  struct List {
    Slot first = no_slot;
    Slot last = no_slot;
  };
  static constexpr std::size_t priorities = static_cast<std::size_t>(Priority::never) + 1;

  List& list_of(const Payload& payload) {
    return lists_[static_cast<std::size_t>(payload.retention.priority)];
  }
  Slot first_from(std::size_t priority) const {
    for (; priority < priorities; ++priority) {
      if (lists_[priority].first != no_slot) return lists_[priority].first;
    }
    return no_slot;
  }

  std::array<List, priorities> lists_;
};

}  // namespace pm::catalog
