// Scripts with which a shell completes verbs and options.

#include <ostream>

#include "text.h"
#include "verbs.h"

namespace pm::ctl {
namespace {

// The words that may follow "payloadctl" and the words so far, a line for each such beginning.
void print_table(std::ostream& out) {
  out << "_payloadctl_words() {\n  case \"$1\" in\n";
  std::string first;
  for (const Verb& verb : verbs()) {
    const std::string word = verb.name.substr(0, verb.name.find(' '));
    if (first.find(' ' + word + ' ') == std::string::npos) first += ' ' + word + ' ';
  }
  out << "    '') echo '" << first << "' ;;\n";
  for (const Verb& verb : verbs()) {
    out << "    '" << verb.name << "') echo '";
    for (const std::string& option : option_names(verb)) out << " --" << option;
    for (const Verb& other : verbs()) {
      if (other.name.rfind(verb.name + ' ', 0) == 0) {
        out << ' ' << other.name.substr(verb.name.size() + 1);
      }
    }
    out << "' ;;\n";
  }
  std::string groups;
  for (const Verb& verb : verbs()) {
    const std::size_t space = verb.name.find(' ');
    if (space == std::string::npos) continue;
    const std::string group = verb.name.substr(0, space);
    bool is_verb = groups.find(' ' + group + ' ') != std::string::npos;
    for (const Verb& other : verbs()) is_verb = is_verb || other.name == group;
    if (is_verb) continue;
    groups += ' ' + group + ' ';
    out << "    '" << group << "') echo '";
    for (const Verb& other : verbs()) {
      if (other.name.rfind(group + ' ', 0) == 0) out << ' ' << other.name.substr(space + 1);
    }
    out << "' ;;\n";
  }
  out << "  esac\n}\n";
}

constexpr const char* function_text = R"sh(_payloadctl() {
  local current=${COMP_WORDS[COMP_CWORD]} words='' word known
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) continue ;; esac
    known=$(_payloadctl_words "${words:+$words }$word")
    [ -n "$known" ] && words="${words:+$words }$word"
  done
  COMPREPLY=($(compgen -W "$(_payloadctl_words "$words")" -- "$current"))
  [ -n "${COMPREPLY[*]}" ] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -o default -F _payloadctl payloadctl
)sh";

}  // namespace

int run_completion(const Context& context) {
  const std::string shell = context.arguments.text("shell");
  if (shell != "bash" && shell != "zsh") {
    return context.refuse(
        {Code::invalid_argument, "completion: '" + shell + "' is not a shell: give bash or zsh"});
  }
  if (shell == "zsh") context.out << "autoload -U +X bashcompinit && bashcompinit\n";
  context.out << "# payloadctl completion; source it: source <(payloadctl completion " << shell
              << ")\n";
  print_table(context.out);
  context.out << function_text;
  return exit_ok;
}

}  // namespace pm::ctl
