#!/usr/bin/env python3
"""Holds docs/CONTRACT.md against the code and the tests.

Usage: contract.py ROOT            prints each violation; exits 1 when there is one
       contract.py ROOT --write    writes the table of reasons anew

guarantee   each guarantee (**NAME-n**) is cited in a test, and what a test cites is there
table       the table of reasons is what core/api/reasons.cpp says
reached     each reason is met by an integration test, as the client sees it
"""

import pathlib
import re
import sys

GUARANTEE = re.compile(r"\*\*([A-Z]+-\d+)\*\*")
CITATION = re.compile(r"//.*?\b((?:[A-Z]+-\d+)(?:,? (?:and )?[A-Z]+-\d+)*)")
NAME = re.compile(r"[A-Z]+-\d+")
REASON = re.compile(r'\{Code::(\w+), "([A-Z0-9_]+)",((?:\s*"[^"]*")+)\}')
TABLE = re.compile(r"^\| Reason \|.*?(?:\n(?!\|)|\Z)", re.MULTILINE | re.DOTALL)

# What no test can bring about through the wire without breaking the host: who shows it instead.
SHOWN_BY_UNIT_TESTS = {
    "STORAGE_ERROR",   # A tier's own code goes to the client with it.
    "METHOD_UNKNOWN",  # A frontend answers what the contract does not have.
    "CANCELLED",       # Who cancels hears of it from its own side.
    "CONFLICT",        # Others must come between, three times.
}


def tests_of(root, *folders):
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in {".cpp", ".py", ".sh", ".h"} and "build" not in path.parts:
                yield path


def check_guarantees(root, text, problems):
    names = GUARANTEE.findall(text)
    for name in {name for name in names if names.count(name) > 1}:
        problems.append(f"docs/CONTRACT.md: guarantee: {name} stands there twice")
    families = {name.rsplit("-", 1)[0] for name in names}
    cited = {}
    for path in tests_of(root, "tests/unit", "tests/integration", "tests/contract", "tests/perf",
                         "tests/clients", "tests/local"):
        for line_number, line in enumerate(path.read_text().splitlines(), 1):
            match = CITATION.search(line)
            for name in NAME.findall(match.group(0)) if match else []:
                if name.rsplit("-", 1)[0] in families:
                    cited.setdefault(name, f"{path.relative_to(root)}:{line_number}")
    for name in names:
        if name not in cited:
            problems.append(f"docs/CONTRACT.md: guarantee: no test cites {name}")
    for name, where in sorted(cited.items()):
        if name not in names:
            problems.append(f"{where}: guarantee: {name} is not in docs/CONTRACT.md")


def reasons_of(root):
    source = (root / "core/api/reasons.cpp").read_text()
    for code, name, words in REASON.findall(source):
        yield code.upper(), name, "".join(re.findall(r'"([^"]*)"', words))


def table_of(root):
    rows = ["| Reason | Code | What happened, and what to do |", "|---|---|---|"]
    rows += [f"| `{name}` | {code} | {words} |" for code, name, words in sorted(
        reasons_of(root), key=lambda reason: reason[1])]
    return "\n".join(rows) + "\n"


def check_reasons(root, text, problems):
    if table_of(root) not in text:
        problems.append("docs/CONTRACT.md: table: it is not what core/api/reasons.cpp says; run "
                        "tests/tidy/contract.py . --write")
    wire = "".join(path.read_text() for path in tests_of(root, "tests/integration", "tests/local"))
    alone = "".join(path.read_text() for path in tests_of(root, "tests/unit"))
    for code, name, _ in reasons_of(root):
        if f"{code} {name}" in wire:
            continue
        if name in SHOWN_BY_UNIT_TESTS and (name in alone or f"Reason::{name.lower()}" in alone):
            continue
        problems.append(f"core/api/reasons.cpp: reached: no test meets '{code} {name}'")


def write_table(root):
    path = root / "docs/CONTRACT.md"
    text = path.read_text()
    table = table_of(root)
    if TABLE.search(text):
        text = TABLE.sub(lambda _: table, text)
    else:
        text = text.rstrip("\n") + "\n\n" + table
    path.write_text(text)


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    if "--write" in sys.argv:
        write_table(root)
    text = (root / "docs/CONTRACT.md").read_text()
    problems = []
    check_guarantees(root, text, problems)
    check_reasons(root, text, problems)
    print("\n".join(problems))
    print(f"{len(problems)} violations of the contract's book-keeping")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
