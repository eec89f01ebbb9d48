#!/usr/bin/env python3
"""Plants one violation of each rule of tidy.py in a tree of its own, and expects it to be found."""

import pathlib
import tempfile
import unittest

import tidy

HEADER = "#pragma once\n"
CLEAN = {
    "sdk/include/pm/tier.h": HEADER + "struct t {\n  // Reads.\n  // [worker]\n"
                             "  int (*read)(const struct t* tier,\n              int count);\n};\n",
    "sdk/include/pm/cpp/result.hpp": HEADER,
    "sdk/client/cpp/client.h": HEADER + '#include <pm/cpp/result.hpp>\n',
    "sdk/ctl/main.cpp": '#include "client.h"\n#include "payload/manager/core/v1/types.pb.h"\n',
    "core/catalog/catalog.h": HEADER + '#include <map>\n#include "ids.h"\n',
    "core/catalog/ids.h": HEADER,
    "core/ledger/ledger.h": HEADER + '#include "core/catalog/catalog.h"\n',
    "core/mover/mover.h": HEADER,
    "core/api/engine.h": HEADER + '#include "core/ledger/ledger.h"\n',
    "core/config/config.h": HEADER,
    "core/plugin/plugin_set.h": HEADER,
    "pm-host/main.cpp": '#include "core/api/engine.h"\nint main() { return 0; }\n',
    "plugins/tier-a/plugin.cpp": '#include <pm/tier.h>\n#include "store.h"\n',
    "plugins/tier-a/store.h": HEADER,
    "plugins/tier-b/plugin.c": "#include <pm/tier.h>\n",
    "examples/plugins/tier-c/tier.c": "#include <pm/tier.h>\n",
    "tests/unit/test.cpp": '#include "core/api/engine.h"\n#include "core/catalog/catalog.h"\n',
    "README.md": "line\n" * 100,
    "build/generated.cpp": "x" * 200 + "\n",
}


def function(lines, head="int f(int x)"):
    return head + " {\n" + "  x += 1;\n" * (lines - 2) + "}\n"


class Tidy(unittest.TestCase):
    def violations(self, changes):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (CLEAN | changes).items():
                path = pathlib.Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return tidy.check(folder)

    def finds(self, name, text, expected):
        found, _ = self.violations({name: text})
        self.assertEqual(len(found), 1, found)
        self.assertIn(expected, found[0])
        self.assertTrue(found[0].startswith(name), found[0])

    def accepts(self, name, text):
        found, _ = self.violations({name: text})
        self.assertEqual(found, [])

    def test_a_clean_tree_has_no_violation(self):
        found, pointers = self.violations({})
        self.assertEqual(found, [])
        self.assertEqual(pointers, 1)

    def test_who_may_include_whom(self):
        wrong = {
            "plugins/tier-b/plugin.c": '#include "../tier-a/store.h"\n',
            "plugins/tier-a/plugin.cpp": '#include "core/catalog/catalog.h"\n',
            "examples/plugins/tier-c/tier.c": '#include "sdk/client/cpp/client.h"\n',
            "sdk/ctl/main.cpp": '#include "core/ledger/ledger.h"\n',
            "sdk/client/cpp/client.h": HEADER + "#include <pm/tier.h>\n",
            "sdk/include/pm/tier.h": HEADER + '#include "core/catalog/ids.h"\n',
            "core/catalog/ids.h": HEADER + "#include <pm/tier.h>\n",
            "core/ledger/ledger.h": HEADER + '#include "core/mover/mover.h"\n',
            "core/mover/mover.h": HEADER + '#include "core/ledger/ledger.h"\n',
            "core/config/config.h": HEADER + '#include "core/api/engine.h"\n',
            "core/plugin/plugin_set.h": HEADER + '#include "core/config/config.h"\n',
            "core/api/engine.h": HEADER + '#include "core/config/config.h"\n',
            "pm-host/main.cpp": '#include "core/ledger/ledger.h"\n',
        }
        for name, text in wrong.items():
            with self.subTest(name=name):
                self.finds(name, text, "includes:")

    def test_libraries_that_a_folder_must_not_see(self):
        self.finds("core/catalog/ids.h", HEADER + "#include <unistd.h>\n", "<unistd.h>")
        self.finds("core/catalog/ids.h", HEADER + "#include <boost/json.hpp>\n", "boost")
        self.finds("core/mover/mover.h", HEADER + "#include <sqlite3.h>\n", "<sqlite3.h>")
        self.finds("core/api/engine.h", HEADER + "#include <grpcpp/server.h>\n", "grpcpp")
        self.finds("pm-host/main.cpp", "#include <google/protobuf/message.h>\n", "google")

    def test_lengths(self):
        self.accepts("core/mover/a.cpp", "int x;\n" * 500)
        self.finds("core/mover/a.cpp", "int x;\n" * 501, "file: 501 lines")
        self.accepts("core/mover/a.cpp", "// " + "x" * 97 + "\n")
        self.finds("core/mover/a.cpp", "// " + "x" * 98 + "\n", "column: 101 columns")
        self.accepts("core/mover/a.cpp", 'auto s = R"(\n' + "x" * 200 + '\n)";\n')
        self.finds("README.md", "line\n" * 101, "readme: at most 100")
        found, _ = self.violations({"pm-host/a.cpp": "int a;\n" * 400,
                                    "pm-host/b.cpp": "int b;\n" * 400})
        self.assertEqual(found, ["pm-host: host: 802 lines, at most 500"])

    def test_functions(self):
        heads = ["int f(int x)", "void C::f(int x) const noexcept", "auto g(int x) -> int",
                 "C::C(int x) : x_(x), y_(1)", "static void f(int x,\n              int y)"]
        for head in heads:
            with self.subTest(head=head):
                lines = 70 - head.count("\n")
                self.accepts("core/mover/a.cpp", function(lines, head))
                self.finds("core/mover/a.cpp", function(72, head), "function: ")
        self.accepts("core/mover/a.cpp", function(200, "namespace a"))
        self.accepts("core/mover/a.cpp", function(200, "class A : public B"))
        self.finds("core/mover/a.cpp", function(72).replace("x += 1;", "f('{', \"}\");  // {", 1),
                   "function: 72")

    def test_thread_tags(self):
        good = CLEAN["sdk/include/pm/tier.h"]
        self.finds("sdk/include/pm/tier.h", good.replace("  // [worker]\n", ""), "thread: ")
        self.finds("sdk/include/pm/tier.h", good.replace("[worker]", "[some-thread]"), "`read`")
        self.finds("sdk/include/pm/tier.h", good.replace("  // Reads.\n  // [worker]\n", ""),
                   "thread: ")
        self.finds("sdk/include/pm/tier.h", good.replace("[worker]", "[worker] Or not."), "thread")
        self.finds("sdk/include/pm/tier.h", good + "typedef void (*pm_on_t)(void* data);\n",
                   "`pm_on_t`")

    def test_nothing_is_left_for_later(self):
        for word in ("TO" + "DO", "FIX" + "ME"):
            self.finds("core/mover/a.cpp", f"// {word}: later\n", "todo: ")
            self.finds("README.md", f"{word}\n", "todo: ")


if __name__ == "__main__":
    unittest.main()
