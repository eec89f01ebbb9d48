#include <cstring>

#include "rules.h"

// Rules about identity: a call reaches the one object that it names.

namespace pm::check {
namespace {

pm_status_t read_one(Bench& bench, const Object& object) {
  std::uint8_t byte = 0;
  std::uint64_t count = 0;
  return bench.read(object, 0, &byte, 1, count);
}

void second_allocate_is_refused(Bench& bench) {
  const Object object = bench.make_sealed(5000, 1);
  Object again = object;
  require_status(bench.allocate(again), PM_ALREADY_EXISTS, "allocate of an object that exists");
  again.length = 9000;
  require_status(bench.allocate(again), PM_ALREADY_EXISTS, "allocate with another length");
  bench.require_bytes(object, 1);
}

void generations_are_different_objects(Bench& bench) {
  const Object first = bench.make_sealed(5000, 1);
  Object second = first;
  second.id.generation = 2;
  require_status(bench.allocate(second), PM_OK, "allocate of another generation");
  bench.fill(second, 2);
  require_status(bench.seal(second), PM_OK, "seal");
  bench.require_bytes(first, 1);
  bench.require_bytes(second, 2);
  require_status(bench.remove(first), PM_OK, "remove");
  bench.require_bytes(second, 2);
}

// With no cookie, with one that fits another object, and with nonsense.
void unknown_object_is_not_found(Bench& bench) {
  const Object known = bench.make_sealed(5000, 1);
  Object unknown = known;
  unknown.id = new_id();
  require_status(read_one(bench, unknown), PM_NOT_FOUND, "read of an unknown object");
  require_status(bench.write(unknown, 0, "x", 1), PM_NOT_FOUND, "write of an unknown object");
  require_status(bench.seal(unknown), PM_NOT_FOUND, "seal of an unknown object");
  unknown.cookie = {};
  require_status(read_one(bench, unknown), PM_NOT_FOUND, "read with an empty cookie");
  unknown.cookie.length = PM_COOKIE_BYTES_MAX;
  std::memset(unknown.cookie.bytes, 0xFF, sizeof unknown.cookie.bytes);
  require_status(read_one(bench, unknown), PM_NOT_FOUND, "read with a foreign cookie");
  bench.require_bytes(known, 1);
}

void remove_of_unknown_object_is_not_found(Bench& bench) {
  const Object known = bench.make_sealed(5000, 1);
  Object unknown = known;
  unknown.id = new_id();
  require_status(bench.remove(unknown), PM_NOT_FOUND, "remove of an unknown object");
  bench.require_bytes(known, 1);
  require_status(bench.remove(known), PM_OK, "remove");
  require_status(bench.remove(known), PM_NOT_FOUND, "a second remove");
}

void removed_object_is_gone(Bench& bench) {
  const Object sealed = bench.make_sealed(5000, 1);
  require_status(bench.remove(sealed), PM_OK, "remove");
  require_status(read_one(bench, sealed), PM_NOT_FOUND, "read of a removed object");
  const Object unsealed = bench.make(5000);
  require_status(bench.remove(unsealed), PM_OK, "remove of an unsealed object");
  require_status(read_one(bench, unsealed), PM_NOT_FOUND, "read of a removed object");
  Object again = sealed;
  require_status(bench.allocate(again), PM_OK, "allocate of an object that was removed");
}

void late_remove_spares_newer_generation(Bench& bench) {
  const Object old = bench.make_sealed(5000, 1);
  require_status(bench.remove(old), PM_OK, "remove");
  Object newer = old;
  newer.id.generation = 2;
  require_status(bench.allocate(newer), PM_OK, "allocate of the next generation");
  bench.fill(newer, 2);
  require_status(bench.remove(old), PM_NOT_FOUND, "a late remove of the old generation");
  require_status(bench.seal(newer), PM_OK, "seal");
  require_status(bench.remove(old), PM_NOT_FOUND, "a late remove of the old generation");
  bench.require_bytes(newer, 2);
}

void sealed_object_is_not_written(Bench& bench) {
  const Object object = bench.make_sealed(5000, 1);
  require(bench.write(object, 0, "x", 1) != PM_OK, "write of a sealed object said OK");
  bench.require_bytes(object, 1);
}

// The host asks again when it did not hear of the first time.
void sealed_object_is_sealed_again(Bench& bench) {
  const Object object = bench.make_sealed(5000, 1);
  require_status(bench.seal(object), PM_OK, "a second seal");
  bench.require_bytes(object, 1);
}

}  // namespace

std::vector<Rule> object_rules() {
  return {
      {"TIER-20", "second_allocate_is_refused",
       "allocate of an object that exists is ALREADY_EXISTS and leaves it as it is.", needs_bytes,
       second_allocate_is_refused},
      {"TIER-21", "generations_are_different_objects",
       "Two generations of one payload are two objects.", needs_bytes,
       generations_are_different_objects},
      {"TIER-22", "unknown_object_is_not_found",
       "read, write and seal of an unknown object are NOT_FOUND, whatever the cookie says.",
       needs_bytes, unknown_object_is_not_found},
      {"TIER-23", "remove_of_unknown_object_is_not_found",
       "remove of an unknown object is NOT_FOUND and harms no other.", needs_bytes,
       remove_of_unknown_object_is_not_found},
      {"TIER-24", "removed_object_is_gone",
       "After remove, sealed or not, the object is unknown and may be allocated anew.", needs_bytes,
       removed_object_is_gone},
      {"TIER-25", "late_remove_spares_newer_generation",
       "A late remove of an older generation does not hit the newer object.", needs_bytes,
       late_remove_spares_newer_generation},
      {"TIER-26", "sealed_object_is_not_written", "A sealed object is not written again.",
       needs_bytes, sealed_object_is_not_written},
      {"TIER-27", "sealed_object_is_sealed_again", "seal of a sealed object is OK.", needs_bytes,
       sealed_object_is_sealed_again},
  };
}

}  // namespace pm::check
