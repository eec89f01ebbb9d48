#include "rules.h"

#include <cstdlib>

namespace pm::frontend_contract {

const std::vector<Rule>& rules() {
  static const std::vector<Rule> all = [] {
    std::vector<Rule> result;
    for (const auto& part : {call_rules(), stream_rules(), service_rules(), lifecycle_rules(),
                             socket_rules(), security_rules(), session_rules()}) {
      result.insert(result.end(), part.begin(), part.end());
    }
    return result;
  }();
  return all;
}

const Rule& rule(const std::string& number) {
  for (const auto& candidate : rules()) {
    if (number == candidate.number) return candidate;
  }
  std::abort();  // A test names a rule that there is not.
}

}  // namespace pm::frontend_contract
