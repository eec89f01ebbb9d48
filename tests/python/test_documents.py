"""What the documents show runs as it stands there; types are what they say; packages install."""

import os
import pathlib
import re
import subprocess
import sys
import tarfile
import textwrap
import zipfile

import payload_manager
import pytest
from host import Host

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "sdk/client/python"


@pytest.fixture
def fresh_host(monkeypatch):
    made = Host()
    try:
        monkeypatch.setenv("PM_ADDRESS", made.start().address)
        yield made
    finally:
        made.remove()


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=120, **options)


def test_the_examples_of_the_readme_run_in_their_order(fresh_host, tmp_path):
    pytest.importorskip("fsspec", reason="fsspec is not installed (python3-fsspec)")
    blocks = re.findall(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)
    assert len(blocks) >= 7
    program = tmp_path / "readme.py"
    program.write_text("\n".join(blocks) + "\nprint(len(data))\n")
    done = run(sys.executable, program)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0 and done.stderr == ""


def test_the_example_program_runs(fresh_host):
    done = run(sys.executable, ROOT / "examples/python/frames.py", "--frames", "20")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "20 frames, seen by 2 viewers in place: all the same\n"


def mypy(*arguments, **options):
    pytest.importorskip("mypy", reason="mypy is not installed")
    cache = pathlib.Path(os.environ.get("PM_MYPY_CACHE", "/tmp/payload-manager-mypy"))
    return run(sys.executable, "-m", "mypy", "--cache-dir", cache, *arguments, **options)


def test_the_sources_are_typed_strictly():
    done = mypy("--config-file", PACKAGE / "pyproject.toml", PACKAGE / "src/payload_manager")
    assert done.returncode == 0, done.stdout


def test_users_types_are_checked_against_the_installed_package(tmp_path):
    (tmp_path / "user.py").write_text(textwrap.dedent("""
        import uuid
        from payload_manager import AsyncClient, Client, Item, Payload

        client = Client(deadline_seconds=1.5)
        id: uuid.UUID = client.put(b"x", tier="ram")
        payload: Payload = client.open(id)
        with client.open(str(id)) as again:
            size: int = again.nbytes
        for entry in client.stream("a/b").subscribe():
            name: uuid.UUID = entry.payload_id

        async def work(client: AsyncClient) -> bytes:
            async with client.open(id) as payload:
                await payload.close()
            return await client.get(id)

        client.open(1.5)
        client.create("ten")
        wrong: str = client.get(id)
        client.no_such_method()
    """))
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nstrict = true\n[mypy-numpy.*,torch.*,google.*,grpc.*]\nfollow_imports = skip\n"
        "ignore_missing_imports = true\n")
    done = mypy("--config-file", tmp_path / "mypy.ini", tmp_path / "user.py")
    lines = [int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line]
    assert lines == [18, 19, 20, 21], done.stdout


def test_the_package_carries_its_types_and_the_contract():
    installed = pathlib.Path(payload_manager.__file__).parent
    names = {path.name for path in installed.iterdir()}
    assert {"py.typed", "contract.pb", "_memory.pyi"} <= names
    assert not installed.is_relative_to(PACKAGE)


def test_a_wheel_is_built_from_the_sdist_alone(tmp_path):
    import shutil
    source = tmp_path / "checkout/sdk/client/python"
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    shutil.copytree(ROOT / "proto", tmp_path / "checkout/proto")
    done = run(sys.executable, "setup.py", "-q", "sdist", "-d", tmp_path, cwd=source)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path / "checkout")
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        assert any(name.endswith("services/v1/data_service.proto") for name in packed.getnames())
        packed.extractall(tmp_path / "unpacked")
    (folder,) = (tmp_path / "unpacked").iterdir()
    done = run(sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps",
               "--no-index", "-w", tmp_path, folder)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert "-abi3-" in wheel.name
    with zipfile.ZipFile(wheel) as packed:
        assert "payload_manager/contract.pb" in packed.namelist()


def test_messages_do_not_clash_with_others_of_the_same_files():
    script = textwrap.dedent("""
        from google.protobuf import descriptor_pb2, descriptor_pool
        file = descriptor_pb2.FileDescriptorProto(name="google/rpc/status.proto",
                                                  package="google.rpc")
        file.message_type.add(name="Status").field.add(name="other", number=1, type=9, label=1)
        descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
        import payload_manager
        print(payload_manager.errors.error_from(5, "x").code.name)
    """)
    done = run(sys.executable, "-c", script)
    assert (done.returncode, done.stdout) == (0, "NOT_FOUND\n"), done.stderr
