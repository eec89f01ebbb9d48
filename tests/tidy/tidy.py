#!/usr/bin/env python3
"""Checks the rules of the house that a compiler does not know.

Usage: tidy.py ROOT      prints each violation as FILE:LINE: RULE: what; exits 1 when there is one

includes    who may include whom, by folder (table MAY_INCLUDE)
file        a file has at most 500 lines
function    a function has at most 70 lines (found by counting braces; good enough)
column      a line has at most 100 columns (lines of a raw string are data, and may be longer)
thread      each function pointer of the C ABI says which threads may call it
todo        nothing is left for later in a comment
readme      README.md has at most 100 lines
host        pm-host has at most 500 lines in all, blank ones not counted
"""

import pathlib
import re
import sys

SOURCE = {".c", ".cpp", ".h", ".hpp"}
TEXT = SOURCE | {".py", ".sh", ".cmake", ".proto", ".lua", ".sql"}
SKIPPED = {"build", ".git", "__pycache__", "node_modules"}

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
README_LINES_MAX = 100
HOST_LINES_MAX = 500

# Of a folder: the folders of the project that it may include. The longest folder that fits counts.
# What is not listed (tests) may include anything; a folder may always include itself.
SDK = "sdk/include"
MAY_INCLUDE = {
    SDK: [],
    "sdk/checksum": [SDK + "/pm/cpp"],
    "sdk/local": [],
    "sdk/client/cpp": [SDK + "/pm/cpp", "sdk/checksum", "sdk/local", "proto"],
    "sdk/client/python": [],
    "sdk/ctl": [SDK + "/pm/cpp", "sdk/client/cpp", "core/catalog", "core/policy",
                "core/simulate", "proto"],
    "sdk/check": [SDK],
    "core/catalog": [],
    "core/observe": [SDK],
    "core/config": [SDK],
    "core/plugin": [SDK, "core/observe"],
    "core/directory": [SDK, "sdk/local", "core/catalog", "core/observe"],
    "core/policy": [SDK, "core/catalog", "core/observe"],
    "core/simulate": [SDK, "core/catalog", "core/observe", "core/policy"],
    "core/ledger": [SDK, "core/catalog", "core/observe", "core/plugin"],
    "core/mover": [SDK, "sdk/checksum", "core/catalog", "core/observe", "core/plugin"],
    "core/scrub": [SDK, "core/catalog", "core/ledger", "core/mover", "core/observe"],
    "core/api": [SDK, "core/catalog", "core/directory", "core/ledger", "core/mover",
                 "core/observe", "core/plugin", "core/policy", "core/scrub", "proto"],
    "pm-host": [SDK, "core/api", "core/config", "core/observe", "core/plugin"],
    "examples/plugins": [SDK],
    "examples": [SDK + "/pm/cpp", "sdk/client/cpp", "proto"],
    "plugins": [SDK],
    "plugins/frontend-local": [SDK, "sdk/local"],
}
# Folders whose members are strangers to each other.
APART = ["plugins", "examples/plugins"]

# Headers of a system or of a library that a folder must not see, whatever the build would allow.
FORBIDDEN = {
    "core/catalog": re.compile(r"(?!pm/)[a-z0-9_]+[/.].*"),  # All but the standard library's.
    "core": re.compile(r"(grpc|sqlite3|libpq|cuda|curl|boost/(asio|beast)).*"),
    "pm-host": re.compile(r"(grpc|google/|sqlite3|libpq|cuda|curl).*"),
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
FUNCTION_POINTER = re.compile(r"\(\s*\*\s*(\w+)\s*\)\s*\(")
THREAD_TAG = re.compile(r"\[(control-thread|worker|thread-safe)\]\s*(\*/)?\s*$")
LATER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")


class Tree:
    """The files of a project, and what is wrong with them."""

    def __init__(self, root):
        self.root = root
        self.violations = []
        self.files = sorted(
            path for path in root.rglob("*")
            if path.is_file() and not SKIPPED.intersection(path.relative_to(root).parts[:-1]))

    def name(self, path):
        return path.relative_to(self.root).as_posix()

    def report(self, path, line, rule, what):
        self.violations.append(f"{self.name(path)}:{line}: {rule}: {what}")


def fits(name, folder):
    return name == folder or name.startswith(folder + "/")


def longest(name, folders):
    return max((folder for folder in folders if fits(name, folder)), key=len, default=None)


def room_of(name):
    """The folder within which a file may include freely."""
    apart = longest(name, APART)
    if apart:
        return "/".join(name.split("/")[:apart.count("/") + 2])
    return longest(name, MAY_INCLUDE)


def resolve(tree, path, header):
    """The file of the project that `header` means, or None for one of the system."""
    for base in (path.parent, tree.root, tree.root / SDK, tree.root / "core",
                 tree.root / "sdk/client/cpp", tree.root / "proto"):
        found = (base / header).resolve()
        if found.is_file() and found.is_relative_to(tree.root.resolve()):
            return found.relative_to(tree.root.resolve()).as_posix()
    if re.match(r"(payload/manager|google/rpc)/.*\.pb\.h$", header):
        return "proto/" + header
    return None


def check_includes(tree):
    for path in tree.files:
        name = tree.name(path)
        room = room_of(name)
        if path.suffix not in SOURCE or room is None:
            continue
        allowed = MAY_INCLUDE[longest(name, MAY_INCLUDE)]
        for number, line in enumerate(read_lines(path), 1):
            match = INCLUDE.match(line)
            if match is None:
                continue
            header = match.group(2)
            target = resolve(tree, path, header)
            if target is None:
                check_library(tree, path, number, header)
            elif not fits(target, room) and not any(fits(target, f) for f in allowed):
                tree.report(path, number, "includes",
                            f"{room} must not see {target}; it may see "
                            f"{', '.join(allowed) or 'nothing of the project'}")


def check_library(tree, path, number, header):
    for folder, forbidden in FORBIDDEN.items():
        if fits(tree.name(path), folder) and forbidden.fullmatch(header):
            tree.report(path, number, "includes", f"{folder} must not see <{header}>")


def read_lines(path):
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


RAW_STRING = re.compile(r'R"([^(\s]{0,16})\(.*?\)\1"', re.S)


def raw_string_lines(path):
    """The numbers of the lines that a raw string literal covers."""
    text = path.read_text(encoding="utf-8", errors="replace")
    covered = set()
    for match in RAW_STRING.finditer(text):
        first = text.count("\n", 0, match.start()) + 1
        covered.update(range(first, first + match.group().count("\n") + 1))
    return covered


def check_sizes(tree):
    host_lines = 0
    for path in tree.files:
        if path.suffix not in TEXT:
            continue
        lines = read_lines(path)
        if fits(tree.name(path), "pm-host"):
            host_lines += sum(1 for line in lines if line.strip())
        if len(lines) > FILE_LINES_MAX:
            tree.report(path, len(lines), "file", f"{len(lines)} lines, at most {FILE_LINES_MAX}")
        data = raw_string_lines(path) if path.suffix in SOURCE else set()
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX and number not in data:
                tree.report(path, number, "column", f"{len(line)} columns, at most {COLUMNS_MAX}")
    if host_lines > HOST_LINES_MAX:
        tree.violations.append(f"pm-host: host: {host_lines} lines, at most {HOST_LINES_MAX}")


def blank_out(text):
    """The same text with comments, strings and characters replaced by blanks."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"([^(\s]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
        r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


# What stands before the brace of a body: a closing parenthesis and what may follow it.
FUNCTION_HEAD = re.compile(
    r"\)(?:const|noexcept|override|final|mutable|&|\s)*(?:->[^()]*|:[^?]*)?$")
CONTROL = re.compile(r"\b(if|for|while|switch|catch|do|else)\b[^;{}]*$")


def function_lengths(text):
    """Yields (first line, lines) of each body that looks like a function's."""
    text = blank_out(text)
    open_bodies = []
    head_start = 0
    for match in re.finditer(r"[{};]", text):
        if match.group() == "{":
            head = text[head_start:match.start()].rstrip()
            is_function = bool(FUNCTION_HEAD.search(head)) and not CONTROL.search(head)
            open_bodies.append((is_function, text.count("\n", 0, match.start()) + 1))
        elif match.group() == "}" and open_bodies:
            is_function, first = open_bodies.pop()
            if is_function:
                yield first, text.count("\n", 0, match.start()) + 2 - first
        head_start = match.end()


def check_functions(tree):
    for path in tree.files:
        if path.suffix not in SOURCE:
            continue
        for first, lines in function_lengths(path.read_text(encoding="utf-8", errors="replace")):
            if lines > FUNCTION_LINES_MAX:
                tree.report(path, first, "function",
                            f"{lines} lines, at most {FUNCTION_LINES_MAX}")


def comment_before(lines, index):
    """The last line of the comment right before line `index` of a list, or ''."""
    # A declaration that has broken over lines begins after the last `;`, `{` or comment.
    while index > 0:
        before = lines[index - 1].strip()
        if before.startswith("//") or before.endswith("*/"):
            return before
        if before == "" or before[-1] in ";{}":
            return ""
        index -= 1
    return ""


def check_thread_tags(tree):
    counted = 0
    for path in tree.files:
        if path.suffix != ".h" or not fits(tree.name(path), SDK + "/pm"):
            continue
        lines = read_lines(path)
        for index, line in enumerate(lines):
            code = line.split("//")[0]
            match = FUNCTION_POINTER.search(code)
            if match is None:
                continue
            counted += 1
            if not THREAD_TAG.search(comment_before(lines, index)):
                tree.report(path, index + 1, "thread",
                            f"the comment before `{match.group(1)}` must end with "
                            "[control-thread], [worker] or [thread-safe]")
    return counted


def check_left_for_later(tree):
    for path in tree.files:
        if path.suffix not in TEXT and path.suffix != ".md" and path.name != "CMakeLists.txt":
            continue
        for number, line in enumerate(read_lines(path), 1):
            if LATER.search(line):
                tree.report(path, number, "todo", "do it, or open an issue")


def check_readme(tree):
    readme = tree.root / "README.md"
    if readme.is_file() and len(read_lines(readme)) > README_LINES_MAX:
        tree.report(readme, README_LINES_MAX + 1, "readme", f"at most {README_LINES_MAX} lines")


def check(root):
    """Returns the violations in the tree at `root`, and how many function pointers it has."""
    tree = Tree(pathlib.Path(root))
    check_includes(tree)
    check_sizes(tree)
    check_functions(tree)
    pointers = check_thread_tags(tree)
    check_left_for_later(tree)
    check_readme(tree)
    return tree.violations, pointers


def main():
    violations, pointers = check(sys.argv[1])
    for violation in violations:
        print(violation)
    print(f"{len(violations)} violations; {pointers} function pointers have a thread tag")
    sys.exit(1 if violations or pointers == 0 else 0)


if __name__ == "__main__":
    main()
