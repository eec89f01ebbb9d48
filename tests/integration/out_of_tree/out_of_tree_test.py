#!/usr/bin/env python3
"""Builds examples/plugins/tier-c the way a third party does, and shows it to pm-host.

Installs the component `sdk` to a prefix of its own, copies the plugin's sources away from the
project, configures and builds them against the prefix and nothing else, drops the result into
BUILD/out_of_tree/plugins, and checks that `pm-host --list-plugins` shows it, that --check-config
takes a configuration that uses it, and that it refuses a wrong one.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

CONFIG = """
[plugins]
directories = ["{plugins}"]
[repository]
plugin = "org.example.none"
[[tier]]
name = "folder"
plugin = "org.example.tier-c"
number = 100
[tier.config]
{config}
"""


def run(command, expected=0):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if result.returncode != expected:
        sys.exit(f"{command} ended with {result.returncode}, not {expected}\n"
                 f"{result.stdout}{result.stderr}")
    return result


def expect(text, part):
    if part not in text:
        sys.exit(f"expected `{part}` in:\n{text}")


def build_plugin(options, scratch):
    prefix = scratch / "prefix"
    run([options.cmake, "--install", options.build, "--component", "sdk", "--prefix", prefix])
    source = scratch / "tier-c"
    shutil.copytree(options.source, source)
    run([options.cmake, "-S", source, "-B", scratch / "build", "-G", "Ninja",
         f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Release",
         "-DCMAKE_C_FLAGS=-Werror"])
    run([options.cmake, "--build", scratch / "build"])
    # Nothing of the project but the prefix was seen.
    project = str(options.source.parents[2])
    for depends in (scratch / "build").rglob("*.d"):
        if project in depends.read_text():
            sys.exit(f"{depends} names files of {project}")
    return scratch / "build" / "tier-c.so"


def install_plugin(options, built):
    plugins = options.build / "out_of_tree" / "plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    plugins.chmod(0o755)
    target = plugins / "tier-c.so"
    target.unlink(missing_ok=True)  # A host may have it mapped.
    shutil.copyfile(built, target)
    target.chmod(0o644)
    return plugins


def check(options, scratch, plugins, config):
    """What pm-host says about a configuration with this [tier.config]."""
    file = scratch / "host.toml"
    file.write_text(CONFIG.format(plugins=plugins, config=config))
    listing = run([options.host, "--config", file, "--list-plugins"]).stdout
    expect(listing, "org.example.tier-c")
    expect(listing, str(plugins / "tier-c.so"))
    # The repository is not there, so the check fails in any case, and names each mistake.
    return run([options.host, "--config", file, "--check-config"], expected=2).stderr


def main():
    parser = argparse.ArgumentParser()
    for name in ("cmake", "build", "source", "host"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("PM_") and "__" in name]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="pm-out-of-tree-") as folder:
        scratch = pathlib.Path(folder)
        plugins = install_plugin(options, build_plugin(options, scratch))
        right = check(options, scratch, plugins, 'directory = "/srv/x"\ncapacity_bytes = "1MiB"')
        expect(right, "host.toml:5: repository.plugin: there is no plugin `org.example.none`")
        expect(right, "1 error(s)")
        wrong = check(options, scratch, plugins, 'directory = "srv"\ncapacity = 3')
        expect(wrong, 'host.toml:11: tier.folder.config.directory: is "srv"; it must be text that')
        expect(wrong, "host.toml:12: tier.folder.config.capacity: unknown key; did you mean "
                      "`capacity_bytes`?")
    print(f"org.example.tier-c is built, listed and checked; it stays in {plugins}")


if __name__ == "__main__":
    main()
