#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/plugin/plugin_set.h"
#include "engine.h"

namespace pm {

// What operators are told of the plugins found. `instances`: id of a plugin -> what runs of it;
// those have been loaded, and no code of the others is run. [control-thread]
std::vector<PluginFacts> plugin_facts(PluginSet& plugins,
                                      const std::multimap<std::string, std::string>& instances);

}  // namespace pm
