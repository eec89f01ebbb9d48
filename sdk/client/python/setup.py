"""Builds what pyproject.toml cannot say: the extension, and the wire contract as data.

The contract is proto/ of the checkout, compiled by protoc to one descriptor set; no code is
generated, so no version of protobuf's generator has to fit the runtime's. An sdist carries a copy
of proto/.
"""

import pathlib
import shutil
import subprocess

from setuptools import Extension, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = pathlib.Path(__file__).resolve().parent
ROOTS = ["payload/manager/services/v1", "google/rpc"]  # What the rest is imported by.


def proto_directory():
    for folder in (HERE / "proto", HERE.parents[2] / "proto"):
        if (folder / ROOTS[0]).is_dir():
            return folder
    raise SystemExit(f"found no .proto files in {HERE}/proto or ../../../proto: build from a "
                     "checkout of payload-manager, or from an sdist")


def compile_contract(target):
    folder = proto_directory()
    protoc = shutil.which("protoc")
    if protoc is None:
        raise SystemExit("protoc is not installed: on Debian, apt-get install protobuf-compiler")
    sources = sorted(str(path.relative_to(folder))
                     for root in ROOTS for path in (folder / root).glob("*.proto"))
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([protoc, f"-I{folder}", "--include_imports",
                    f"--descriptor_set_out={target}", *sources], check=True)


class BuildWithContract(build_py):
    def run(self):
        super().run()
        base = HERE / "src" if getattr(self, "editable_mode", False) else self.build_lib
        compile_contract(pathlib.Path(base) / "payload_manager/contract.pb")


class SdistWithContract(sdist):
    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        folder = proto_directory()
        for path in folder.rglob("*.proto"):
            target = pathlib.Path(base_dir) / "proto" / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


setup(
    cmdclass={"build_py": BuildWithContract, "sdist": SdistWithContract},
    ext_modules=[Extension("payload_manager._memory", ["src/payload_manager/_memory.c"],
                           extra_compile_args=["-std=c17", "-Wall", "-Wextra"],
                           py_limited_api=True)],
    # Buffers are in Python's stable ABI since 3.11: one build serves all later versions.
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
