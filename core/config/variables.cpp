#include "core/config/variables.h"

#include <string_view>

namespace pm::config {
namespace {

class Expander {
 public:
  Expander(const Variables& variables, const Variables& environment, Errors& errors)
      : variables_(variables), environment_(environment), errors_(errors) {}

  void expand(Value& value, const std::string& key) {
    if (std::string* text = std::get_if<std::string>(&value.data)) {
      if (text->find('$') == std::string::npos) return;
      *text = replace(*text, value.origin, key);
      if (value.loose_text != nullptr) value.loose_text = std::make_shared<std::string>(*text);
    } else if (Array* items = value.array()) {
      for (std::size_t i = 0; i < items->size(); ++i) {
        expand((*items)[i], key + "[" + std::to_string(i) + "]");
      }
    } else if (Table* table = value.table()) {
      for (auto& [name, entry] : table->entries) {
        expand(entry, key.empty() ? name : key + "." + name);
      }
    }
  }

 private:
  std::string replace(std::string_view text, const Origin& origin, const std::string& key) {
    std::string out;
    while (!text.empty()) {
      const std::size_t at = text.find('$');
      out += text.substr(0, at);
      if (at == std::string_view::npos) break;
      text.remove_prefix(at + 1);
      if (text.starts_with('$')) {
        out += '$';
        text.remove_prefix(1);
        continue;
      }
      const std::size_t end = text.find('}');
      if (!text.starts_with('{') || end == std::string_view::npos) {
        errors_.add(origin, key, "a $ begins ${NAME}; write $$ for a $ that is meant as such");
        return out;
      }
      out += look_up(std::string(text.substr(1, end - 1)), origin, key);
      text.remove_prefix(end + 1);
    }
    return out;
  }

  std::string look_up(const std::string& name, const Origin& origin, const std::string& key) {
    const bool from_environment = name.starts_with("env:");
    const std::string wanted = from_environment ? name.substr(4) : name;
    for (const auto& [known, text] : from_environment ? environment_ : variables_) {
      if (known == wanted) return text;
    }
    if (from_environment) {
      errors_.add(origin, key, "the environment has no variable `" + wanted + "`");
      return {};
    }
    std::vector<std::string> names;
    for (const auto& known : variables_) names.push_back(known.first);
    names.push_back("env:NAME");
    errors_.add(origin, key, "unknown variable `${" + name + "}`" + suggest(name, names));
    return {};
  }

  const Variables& variables_;
  const Variables& environment_;
  Errors& errors_;
};

}  // namespace

void expand_variables(const Variables& variables, const Variables& environment,
                      const std::string& key, Value& value, Errors& errors) {
  Expander(variables, environment, errors).expand(value, key);
}

}  // namespace pm::config
