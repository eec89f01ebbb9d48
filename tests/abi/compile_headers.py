#!/usr/bin/env python3
"""Compiles each header of the SDK alone, in every language and compiler that plugin authors use.

Usage: compile_headers.py INCLUDE_DIRECTORY

C headers (.h) as C11, C17, C++17 and C++20, C++ headers (.hpp) as C++17 and C++20, each with gcc
and with clang, all warnings on and being errors. Fails with what the compiler said, when no header
is found, or when a header that is wrong on purpose is let through.
"""

import concurrent.futures
import pathlib
import subprocess
import sys
import tempfile

FLAGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-fsyntax-only"]
C_COMPILERS = [("gcc", "c11"), ("gcc", "c17"), ("clang", "c11"), ("clang", "c17")]
CPP_COMPILERS = [("g++", "c++17"), ("g++", "c++20"), ("clang++", "c++17"), ("clang++", "c++20")]


def jobs_for(header):
    cpp = [(compiler, "c++", standard, header) for compiler, standard in CPP_COMPILERS]
    if header.suffix == ".hpp":
        return cpp
    return cpp + [(compiler, "c", standard, header) for compiler, standard in C_COMPILERS]


def compile_alone(include, job):
    """Returns what the compiler said about a file that includes the header and nothing else."""
    compiler, language, standard, header = job
    # Twice, as a header must bear to be included again.
    line = f'#include "{header}"\n'
    command = [compiler, "-x", language, f"-std={standard}", f"-I{include}", *FLAGS, "-"]
    result = subprocess.run(command, input=line * 2, capture_output=True, text=True)
    return "" if result.returncode == 0 else f"{' '.join(command)}: {header}\n{result.stderr}"


def failures(include):
    headers = sorted(include.rglob("*.h")) + sorted(include.rglob("*.hpp"))
    jobs = [job for header in headers for job in jobs_for(header)]
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        said = list(pool.map(lambda job: compile_alone(include, job), jobs))
    return len(headers), len(jobs), [text for text in said if text]


def catches_a_wrong_header():
    """A check that cannot fail would prove nothing: these must not compile."""
    wrong = {
        "missing_include.h": "static inline uint32_t f(void) { return 0; }\n",
        "narrowing.h": "static inline unsigned char f(int x) { return x; }\n",
        "no_guard.h": "struct s { int x; };\n",
        "only_c.h": "#pragma once\nstatic inline int f(void) { int class = 1; return class; }\n",
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, text in wrong.items():
            (pathlib.Path(folder) / name).write_text(text)
        _, _, said = failures(pathlib.Path(folder))
        return all(any(name in text for text in said) for name in wrong)


def main():
    include = pathlib.Path(sys.argv[1]).resolve()
    if not catches_a_wrong_header():
        sys.exit("a header that is wrong on purpose was let through")
    headers, jobs, said = failures(include)
    if headers == 0:
        sys.exit(f"no header under {include}")
    if said:
        sys.exit("\n".join(said))
    print(f"{headers} headers compile alone, {jobs} compilations")


if __name__ == "__main__":
    main()
