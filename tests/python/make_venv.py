#!/usr/bin/env python3
"""Installs the Python client into a virtual environment of its own, with Debian's modules in sight.

    make_venv.py --root PROJECT --target DIRECTORY

Does nothing, quickly, when the sources are those that are installed. The package is built from a
copy of sdk/client/python and proto/ in their places, so nothing is written into the checkout.
"""

import argparse
import hashlib
import pathlib
import shutil
import subprocess
import sys
import venv

PACKAGE = "sdk/client/python"
SKIPPED = {"build", "dist", "__pycache__"}


def sources(root):
    for folder in (PACKAGE, "proto"):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and not SKIPPED.intersection(path.relative_to(root).parts):
                yield path


def fingerprint(root):
    digest = hashlib.sha256(sys.version.encode() + pathlib.Path(__file__).read_bytes())
    for path in sources(root):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--target", type=pathlib.Path, required=True)
    options = parser.parse_args()
    stamp = options.target / "installed"
    wanted = fingerprint(options.root)
    if stamp.is_file() and stamp.read_text() == wanted:
        print("the installed package is this one")
        return
    shutil.rmtree(options.target, ignore_errors=True)
    venv.create(options.target / "venv", system_site_packages=True, with_pip=True)
    copy = options.target / "source"
    for path in sources(options.root):
        place = copy / path.relative_to(options.root)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    subprocess.run([options.target / "venv/bin/python", "-m", "pip", "install", "-q",
                    "--no-build-isolation", "--no-deps", "--no-index", copy / PACKAGE], check=True)
    stamp.write_text(wanted)


if __name__ == "__main__":
    main()
