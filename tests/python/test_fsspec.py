"""payload:// for fsspec."""

import uuid

import pytest

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (python3-fsspec)")


@pytest.fixture
def files(client):
    return fsspec.filesystem("payload", client=client, skip_instance_cache=True)


@pytest.fixture
def root():
    return f"fs-{uuid.uuid4()}"


def test_the_protocol_is_known_to_fsspec(host, root):
    url = f"payload://{root}/a.bin"
    with fsspec.open(url, "wb", address=host.address) as file:
        file.write(b"through fsspec")
    with fsspec.open(url, "rb", address=host.address) as file:
        assert file.read() == b"through fsspec"


def test_files_are_written_read_listed_and_removed(files, root, client):
    for name, content in {"a": b"one", "b/c": b"twenty", "b/d": b"3"}.items():
        with files.open(f"payload://{root}/{name}", "wb") as file:
            file.write(content[:1])
            file.write(content[1:])
    assert files.ls(root, detail=False) == [f"{root}/a", f"{root}/b"]
    kinds = {entry["name"]: (entry["type"], entry["size"]) for entry in files.ls(root)}
    assert kinds == {f"{root}/a": ("file", 3), f"{root}/b": ("directory", 0)}
    assert files.find(root) == [f"{root}/a", f"{root}/b/c", f"{root}/b/d"]
    assert files.cat(f"{root}/b/c") == b"twenty" and files.size(f"{root}/b/c") == 6
    assert files.cat_file(f"{root}/b/c", 2, -1) == b"ent"
    assert files.isdir(f"{root}/b") and files.isfile(f"{root}/a") and root in files.ls("", False)
    info = files.info(f"{root}/a")
    assert info["tier"] == "ram" and files.cat(info["id"]) == b"one"
    assert files.info(info["id"])["size"] == 3
    files.rm(f"{root}/b", recursive=True)
    assert files.find(root) == [f"{root}/a"]
    files.rm(info["id"])
    assert not files.exists(f"{root}/a")


def test_reading_seeks_and_holds_a_lease_until_close(files, root, leases):
    content = bytes(range(256)) * 100
    files.pipe(f"{root}/x", content)
    before = leases()
    with files.open(f"{root}/x", "rb") as file:
        assert leases() == before + 1
        assert file.seek(1000) == 1000 and file.read(5) == content[1000:1005]
        assert file.seek(-3, 2) == len(content) - 3 and file.read() == content[-3:]
        assert file.read(1) == b""
    assert leases() == before


def test_writing_again_replaces(files, root, client):
    files.pipe(f"{root}/x", b"old")
    old = files.info(f"{root}/x")["id"]
    files.pipe(f"{root}/x", b"newer")
    assert files.cat(f"{root}/x") == b"newer"
    assert not files.exists(old)
    with pytest.raises(FileExistsError):
        files.open(f"{root}/x", "xb")


def test_what_cannot_be_is_refused(files, root):
    with pytest.raises(FileNotFoundError):
        files.info(f"{root}/none")
    with pytest.raises(FileNotFoundError):
        files.open(str(uuid.uuid4()), "rb")
    with pytest.raises(FileNotFoundError):
        files.ls(f"{root}/none")
    with pytest.raises(PermissionError, match="never change"):
        files.open(str(uuid.uuid4()), "wb")
    with pytest.raises(ValueError, match="255"):
        files.open("x" * 300, "wb")
    with pytest.raises(ValueError, match="mode"):
        files.open(f"{root}/x", "ab")


def test_a_block_that_fails_stores_nothing(files, root):
    with pytest.raises(ZeroDivisionError):
        with files.open(f"{root}/x", "wb") as file:
            file.write(b"half")
            1 // 0
    assert not files.exists(f"{root}/x")


def test_names_with_quotes_and_large_files_come_back(files, root):
    content = bytes(range(256)) * 70_000
    name = f'{root}/a "quoted" \\ name'
    with files.open(name, "wb") as file:
        for start in range(0, len(content), 1 << 20):
            file.write(content[start:start + (1 << 20)])
    assert files.cat(name) == content
    files.rm(name)


def test_payloads_without_a_name_are_at_the_root_by_their_ids(files, client):
    id = client.put(b"unnamed")
    assert str(id) in files.ls("", detail=False)
    assert files.cat(f"payload://{id}") == b"unnamed"


def test_a_transaction_stores_all_at_its_end(files, root):
    with files.transaction:
        with files.open(f"{root}/x", "wb") as file:
            file.write(b"later")
        assert not files.exists(f"{root}/x")
    assert files.cat(f"{root}/x") == b"later"
