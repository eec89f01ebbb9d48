#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/config/value.h"

namespace pm::config {

using Variables = std::vector<std::pair<std::string, std::string>>;

// Replaces ${NAME} by a variable's value, ${env:NAME} by one of the environment, and $$ by $, in
// every text within `value`, once (what was put in is not looked at again). Adds an error for a
// variable that does not exist, a ${ without its }, and a lone $.
void expand_variables(const Variables& variables, const Variables& environment,
                      const std::string& key, Value& value, Errors& errors);

}  // namespace pm::config
