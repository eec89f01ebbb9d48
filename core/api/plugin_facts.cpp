#include "plugin_facts.h"

namespace pm {

namespace {

// "tier" of "pm.tier/1".
std::string short_kind(const std::string& kind) {
  const std::size_t begin = kind.find('.') + 1;
  return kind.substr(begin, kind.find('/') - begin);
}

}  // namespace

std::vector<PluginFacts> plugin_facts(PluginSet& plugins,
                                      const std::multimap<std::string, std::string>& instances) {
  std::vector<PluginFacts> all;
  for (const PluginFile& file : plugins.files().found) {
    PluginFacts& facts = all.emplace_back();
    facts.id = file.identity.id;
    facts.kind = short_kind(file.identity.kind);
    facts.path = file.path.string();
    const auto [begin, end] = instances.equal_range(facts.id);
    for (auto one = begin; one != end; ++one) facts.instances.push_back(one->second);
    if (facts.instances.empty()) continue;
    if (const auto library = plugins.load(facts.id, file.identity.kind); library.ok()) {
      facts.name = library->descriptor().name;
      facts.version = library->descriptor().version;
    }
  }
  return all;
}

}  // namespace pm
