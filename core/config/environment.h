#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/config/value.h"

namespace pm::config {

// Puts what the variables PM_SECTION__KEY say into `root`. Names are the keys in upper case with
// `__` between them; a tier or frontend is named after its section, with _ for -:
// PM_TIER__SHM__CONFIG__CAPACITY_BYTES. Other variables, also PM_ ones without __, are not for us.
// Whether keys exist and values fit is checked later, like those of a file.
void apply_environment(const std::vector<std::pair<std::string, std::string>>& environment,
                       Value& root, Errors& errors);

// Sets one key from outside the file; `origin` names the variable or option.
void override_text(Table& table, std::string_view key, const std::string& text, Origin origin);

}  // namespace pm::config
