#include <algorithm>

#include "rules.h"

// Rules about the life of a host: what the next one finds. A restart here is destroy() and
// create() with the same identity, configuration and medium.

namespace pm::check {
namespace {

void sealed_bytes_survive(Bench& bench) {
  std::vector<Object> objects;
  for (const std::uint64_t length : {1u, 4096u, 4097u, 300000u}) {
    objects.push_back(bench.make_sealed(length, static_cast<unsigned>(length)));
  }
  bench.restart();
  std::uint64_t charged = 0;
  for (auto& object : objects) {
    const std::uint64_t before = object.bytes_charged;
    object.bytes_charged = 0;
    require_status(bench.adopt(object), PM_OK, "adopt of a sealed object");
    require(object.bytes_charged == before, "adopt charges other than allocate did");
    bench.require_bytes(object, static_cast<unsigned>(object.length));
    charged += object.bytes_charged;
  }
  require(bench.usage().bytes_used == charged && bench.usage().objects == objects.size(),
          "usage after adopt is not what was adopted");
  for (const auto& object : objects) require_status(bench.remove(object), PM_OK, "remove");
  require(bench.usage().bytes_used == 0 && bench.usage().objects == 0,
          "usage is not zero after everything adopted was removed");
}

void adopt_of_unknown_object_is_not_found(Bench& bench) {
  Object gone = bench.make_sealed(5000, 1);
  const Object other = bench.make_sealed(5000, 2);
  require_status(bench.remove(gone), PM_OK, "remove");
  bench.restart();
  require_status(bench.adopt(gone), PM_NOT_FOUND, "adopt of a removed object");
  Object unknown = other;
  unknown.id = new_id();
  require_status(bench.adopt(unknown), PM_NOT_FOUND, "adopt of an unknown object");
}

void adopt_of_another_length_is_data_loss(Bench& bench) {
  Object object = bench.make_sealed(5000, 1);
  bench.restart();
  for (const std::uint64_t length : {4999u, 5001u, 1u, 100000u}) {
    Object wrong = object;
    wrong.length = length;
    require_status(bench.adopt(wrong), PM_DATA_LOSS,
                   "adopt with " + std::to_string(length) + " of 5000 bytes");
  }
  require_status(bench.adopt(object), PM_OK, "adopt");
  bench.require_bytes(object, 1);
}

void unsealed_object_is_not_adopted(Bench& bench) {
  Object object = bench.make(5000);
  bench.fill(object, 1);
  bench.restart();
  const pm_status_t status = bench.adopt(object);
  require(status == PM_NOT_FOUND || status == PM_DATA_LOSS,
          "adopt of an object that was never sealed said " + std::to_string(status));
}

void unsealed_object_is_found_and_removed(Bench& bench) {
  const Object object = bench.make(5000);
  bench.fill(object, 1);
  bench.restart();
  const auto found = bench.list();
  require(found.size() == 1, "enumerate does not list an unsealed object of an earlier life");
  require(same_object(found[0].object, object.id), "enumerate lists another object");
  require(found[0].sealed == 0, "enumerate calls an unsealed object sealed");
  require_status(bench.remove({found[0].object, found[0].cookie, found[0].length, 0}), PM_OK,
                 "remove of what enumerate listed");
  require(bench.list().empty(), "enumerate lists a removed object");
  require(bench.usage().bytes_used == 0 && bench.usage().objects == 0,
          "usage is not zero after the last object was removed");
}

void require_list(const Bench& bench, const std::vector<Object>& objects) {
  const auto found = bench.list();
  require(found.size() == objects.size(), "enumerate lists " + std::to_string(found.size()) +
                                              " objects, expected " +
                                              std::to_string(objects.size()));
  for (const auto& object : objects) {
    const auto match = std::find_if(found.begin(), found.end(), [&](const pm_tier_object_t& one) {
      return same_object(one.object, object.id);
    });
    require(match != found.end(), "enumerate leaves an object out");
    require(match->size >= sizeof(pm_tier_object_t), "enumerate gives a struct that is too short");
    require(match->sealed == 1, "enumerate calls a sealed object unsealed");
    require(match->length == object.length && match->bytes_charged == object.bytes_charged,
            "enumerate gives another length or charge");
  }
}

void enumerate_lists_exactly(Bench& bench) {
  require_list(bench, {});
  std::vector<Object> objects;
  for (unsigned i = 0; i < 20; ++i) objects.push_back(bench.make_sealed(1 + i * 1777, i));
  require_list(bench, objects);
  for (unsigned i = 0; i < 10; ++i) {
    require_status(bench.remove(objects.back()), PM_OK, "remove");
    objects.pop_back();
  }
  require_list(bench, objects);
  if (bench.outlives_the_host()) {
    bench.restart();
    require_list(bench, objects);
  }
}

void enumerate_stops_when_told(Bench& bench) {
  for (unsigned i = 0; i < 5; ++i) bench.make_sealed(100, i);
  unsigned visits = 0;
  const auto visit = [](void* data, const pm_tier_object_t*) {
    return ++*static_cast<unsigned*>(data) < 2;
  };
  require_status(bench.enumeration()->enumerate(bench.tier(), nullptr, visit, &visits), PM_OK,
                 "enumerate");
  require(visits == 2,
          "enumerate visited " + std::to_string(visits) + " objects, told to end at 2");
}

void another_instance_sees_nothing(Bench& bench) {
  const Object object = bench.make_sealed(5000, 1);
  Bench other(bench.subject());
  require(other.list().empty(), "another host's instance lists this one's objects");
  Object claimed = object;
  require_status(other.adopt(claimed), PM_NOT_FOUND, "adopt by another host's instance");
  require(other.remove(object) == PM_NOT_FOUND, "another host's instance removed the object");
  bench.require_bytes(object, 1);
}

}  // namespace

std::vector<Rule> life_rules() {
  return {
      {"TIER-30", "sealed_bytes_survive",
       "With SURVIVES_PROCESS a sealed object is adopted by the next life, bytes and charge.",
       needs_bytes | needs_survival, sealed_bytes_survive},
      {"TIER-31", "adopt_of_unknown_object_is_not_found",
       "adopt of an object that is not there is NOT_FOUND.", needs_bytes | needs_survival,
       adopt_of_unknown_object_is_not_found},
      {"TIER-32", "adopt_of_another_length_is_data_loss",
       "adopt of an object that has another length is DATA_LOSS.", needs_bytes | needs_survival,
       adopt_of_another_length_is_data_loss},
      {"TIER-33", "unsealed_object_is_not_adopted",
       "An object that was never sealed is not adopted.", needs_bytes | needs_survival,
       unsealed_object_is_not_adopted},
      {"TIER-34", "unsealed_object_is_found_and_removed",
       "enumerate shows what an earlier life left unsealed, so that the host can remove it.",
       needs_bytes | needs_survival | needs_enumeration, unsealed_object_is_found_and_removed},
      {"TIER-35", "enumerate_lists_exactly",
       "enumerate shows every object once, with length, charge and seal, and no other.",
       needs_bytes | needs_enumeration, enumerate_lists_exactly},
      {"TIER-36", "enumerate_stops_when_told", "enumerate ends when its visitor says false.",
       needs_bytes | needs_enumeration, enumerate_stops_when_told},
      {"TIER-37", "another_instance_sees_nothing",
       "An instance of another host neither lists nor adopts nor removes these objects.",
       needs_bytes | needs_enumeration, another_instance_sees_nothing},
  };
}

}  // namespace pm::check
