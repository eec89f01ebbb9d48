#include "explain_words.h"

#include <time.h>

#include <array>

#include "reasons.h"

namespace pm::api {

using catalog::Cause;
using catalog::Event;
using catalog::EventKind;
using catalog::EvictionPlan;
using catalog::Explanation;
using catalog::Phase;

namespace {

std::string count_text(std::uint64_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

// "tier shm", or "no tier".
std::string tier_text(const TierTable& tiers, catalog::TierIndex tier) {
  return tier == catalog::no_tier ? std::string("no tier") : "tier " + tiers.name(tier);
}

// "the payload is leased; wait until ..." of reasons.cpp, with its name.
std::string reason_text(catalog::Reason reason) {
  const ReasonText& text = text_of(reason);
  return std::string(text.name) + " (" + text.message + ")";
}

bool is_faster(const TierTable& tiers, catalog::TierIndex tier, catalog::TierIndex other) {
  return tiers.all()[tier].rank < tiers.all()[other].rank;
}

class Facts {
 public:
  Facts(const TierTable& tiers, const Explanation& explanation)
      : tiers_(tiers), is_(explanation), view_(explanation.view) {}

  std::vector<std::string> take() {
    state();
    copies();
    doing();
    retention();
    ends();
    eviction();
    return std::move(facts_);
  }

 private:
  void say(std::string sentence) { facts_.push_back(std::move(sentence) + "."); }
  std::string name(catalog::TierIndex tier) const { return tier_text(tiers_, tier); }

  void state() {
    if (view_.phase == Phase::lost) {
      say("It is lost: it was committed, and no good copy of it is left; delete it");
    }
    if (view_.phase == Phase::allocated) {
      say("It is not committed: nobody may read it, and it is not moved");
    }
  }

  void copies() {
    for (const Explanation::CopyFacts& copy : is_.copies) {
      if (copy.leases > 0) {
        say(count_text(copy.leases, "lease holds", "leases hold") + " its copy on " +
            name(copy.tier) + lease_end(copy));
      }
      if (copy.bad) {
        say("Its copy on " + name(copy.tier) +
            " is bad: its bytes are not what was committed, and it is never read");
      }
      if (copy.tier_failed) {
        say("The " + name(copy.tier) +
            " has failed: nothing is committed on it or moved to it before an operator has looked "
            "into it");
      }
    }
  }

  std::string lease_end(const Explanation::CopyFacts& copy) const {
    if (copy.leases_end_at_ns != 0) {
      return ", until " + time_text(copy.leases_end_at_ns) + " unless released or renewed";
    }
    return "; each ends within " + std::to_string(is_.lease_max_ns / 1'000'000'000) +
           " s unless it is renewed";
  }

  void doing() {
    if (is_.doing == Explanation::Doing::sealing) say("It is being committed");
    if (is_.doing != Explanation::Doing::moving) return;
    std::string sentence =
        is_.waits == Explanation::Waits::no ? "It is being moved to " : "It is to be moved to ";
    sentence += name(is_.target);
    if (is_.eviction) sentence += " to make room";
    if (is_.waits == Explanation::Waits::for_leases) sentence += ", once its leases have ended";
    if (is_.waits == Explanation::Waits::for_room) sentence += ", once there is room";
    if (is_.callers > 0) {
      sentence += "; " + count_text(is_.callers, "caller waits", "callers wait") + " for it";
    }
    say(std::move(sentence));
  }

  void retention() {
    const catalog::Retention& retention = view_.retention;
    if (view_.additions.pinned) {
      const std::int64_t end = view_.additions.pin_expires_at_ns;
      say("It is pinned to its tier until " + (end != 0 ? time_text(end) : "it is unpinned"));
    }
    if (retention.no_evict) say("It was allocated with no_evict: it never leaves its tier unasked");
    if (retention.priority == catalog::Priority::never) {
      say("Its eviction priority is NEVER: it never leaves its tier unasked");
    }
    if (retention.priority == catalog::Priority::low) {
      say("Its eviction priority is LOW: it leaves before others");
    }
    if (retention.priority == catalog::Priority::high) {
      say("Its eviction priority is HIGH: it leaves after others");
    }
    if (retention.require_durable) {
      say("It requires a durable copy: it is never left on tiers that do not survive loss of "
          "power");
    }
    if (retention.min_residency != catalog::no_tier) {
      say("It may not be moved to a tier slower than " + tiers_.name(retention.min_residency));
    }
    if (retention.spill_target != catalog::no_tier) {
      say("Its own spill target is " + name(retention.spill_target));
    }
  }

  void ends() {
    if (view_.expires_at_ns != 0) {
      say("Its time to live ends at " + time_text(view_.expires_at_ns));
    } else if (is_.given_up_at_ns != 0) {
      say("It is given up at " + time_text(is_.given_up_at_ns) + " unless it is committed");
    }
  }

  void eviction() {
    if (view_.phase != Phase::committed) return;
    const EvictionPlan& plan = is_.plan;
    const std::string when = "If " + name(view_.tier) + " needed room, ";
    if (!is_.among_victims) return say(when + "it would stay now, as it is held or protected");
    switch (plan.kind) {
      case EvictionPlan::Kind::drops_copy:
        return say(when + "its copy there would be dropped, and the one on " + name(plan.target) +
                   " kept");
      case EvictionPlan::Kind::moves:
        return say(when + "it would be moved to " + name(plan.target));
      case EvictionPlan::Kind::is_deleted:
        return say(when + "it would be deleted, as its " + name(plan.target) + " keeps no bytes");
      case EvictionPlan::Kind::stays: break;
    }
    if (plan.target == catalog::no_tier) {
      return say(when + "it would stay, as neither it nor its tier has a spill target");
    }
    say(when + "it would stay, as it cannot go to " + name(plan.target) + ": " +
        reason_text(plan.why));
  }

  const TierTable& tiers_;
  const Explanation& is_;
  const catalog::View& view_;
  std::vector<std::string> facts_;
};

std::string move_words(const TierTable& tiers, const Event& event) {
  if (event.cause == Cause::scrub) {
    if (event.why != catalog::Reason::none) {
      return "a scrub found that a copy is bad, and another one took its place";
    }
    return "a good copy stands again where a scrub had found a bad one";
  }
  if (event.cause == Cause::fault) {
    return "a copy was found to be bad or gone, and another one took its place";
  }
  if (event.cause == Cause::policy) {
    if (event.from == event.tier) return "a policy wanted a second copy of it";
    return "a policy moved it from " + tier_text(tiers, event.from) + " to " +
           tier_text(tiers, event.tier);
  }
  if (event.from == event.tier) return "a request gave up its slower copies";
  return "a request, or a lease with min_tier, moved it from " + tier_text(tiers, event.from) +
         " to " + tier_text(tiers, event.tier);
}

// Why it was to be moved.
const char* mover_words(Cause cause) {
  if (cause == Cause::scrub) return "in place of a bad copy";
  if (cause == Cause::policy) return "by a policy";
  return cause == Cause::room ? "to make room" : "by request";
}

std::string evict_words(const TierTable& tiers, const Event& event) {
  if (event.tier != catalog::no_tier) {
    return tier_text(tiers, event.from) + " needed room: it left for " +
           tier_text(tiers, event.tier);
  }
  return tier_text(tiers, event.from) +
         " needed room: it was deleted, as its spill target keeps "
         "no bytes";
}

}  // namespace

std::string time_text(std::int64_t wall_ns) {
  const auto seconds = static_cast<time_t>(wall_ns / 1'000'000'000);
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), length};
}

std::vector<std::string> facts_of(const TierTable& tiers, const Explanation& explanation) {
  return Facts(tiers, explanation).take();
}

const char* decision_kind(const TierTable& tiers, const Event& event) {
  switch (event.kind) {
    case EventKind::allocated: return "allocate";
    case EventKind::committed: return "commit";
    case EventKind::leased: return "lease";
    case EventKind::evicted: return "evict";
    case EventKind::expired: return "expire";
    case EventKind::deleted: return "delete";
    case EventKind::lost: return "lose";
    case EventKind::updated: return "update";
    case EventKind::refused: return "refuse";
    case EventKind::moved: break;
    case EventKind::none: return "";
  }
  if (event.cause == Cause::scrub) {
    return event.why != catalog::Reason::none ? "drop" : "repair";
  }
  if (event.cause == Cause::policy && event.from == event.tier) return "copy";
  if (event.cause == Cause::fault || event.from == event.tier) return "drop";
  return is_faster(tiers, event.tier, event.from) ? "promote" : "spill";
}

std::string decision_words(const TierTable& tiers, const Event& event) {
  switch (event.kind) {
    case EventKind::allocated:
      return (event.rule != 0 ? "a policy chose " : "a request asked for ") +
             tier_text(tiers, event.tier);
    case EventKind::committed: return "a request published what was written";
    case EventKind::moved: return move_words(tiers, event);
    case EventKind::evicted: return evict_words(tiers, event);
    case EventKind::expired: return "its time to live ended";
    case EventKind::deleted: return "a request deleted it";
    case EventKind::lost:
      return event.cause == Cause::scrub ? "a scrub found that its last good copy is bad or gone"
                                         : "its last copy was found to be bad or gone";
    case EventKind::updated:
      return event.cause == Cause::policy ? "a policy lets it live longer"
                                          : "a request changed its labels or its pin";
    case EventKind::refused:
      return std::string(mover_words(event.cause)) + " it was to be moved to " +
             tier_text(tiers, event.target) + ", which was not done: " + reason_text(event.why);
    case EventKind::leased:
    case EventKind::none: break;
  }
  return {};
}

}  // namespace pm::api
