"""payload:// for fsspec: payloads as files.

A path is a payload's id, or a name: a payload with the label `path`. Writing to a name stores a
payload with that label, and replaces the one that had it; ids cannot be written, as payloads never
change. Directories are what names have before their slashes; payloads without a name are at the
root, by their ids.

    fsspec.open("payload://runs/7/weights.bin", "wb")
    pandas.read_parquet("payload://tables/today", storage_options={"address": "unix:/run/..."})
"""

from __future__ import annotations

import io
import tempfile
import uuid
from typing import Any

from fsspec.spec import AbstractFileSystem

from .client import Client
from .errors import NotFoundError
from .types import Summary

LABEL = "path"
_SPOOL_BYTES = 16 << 20  # More than so many go to a temporary file until the size is known.
_COPY_BYTES = 1 << 20
_NAME_BYTES_MAX = 255


class PayloadFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """`address` and the other options are those of Client; `create`, of Client.create()."""

    protocol = "payload"
    root_marker = ""

    def __init__(
        self,
        address: str | None = None,
        *,
        create: dict[str, Any] | None = None,
        client: Client | None = None,
        **options: Any,
    ) -> None:
        names = ("deadline_seconds", "tls_ca_file", "tls_certificate_file", "tls_key_file")
        given = {name: options.pop(name) for name in names if name in options}
        super().__init__(**options)
        self._client = client if client is not None else Client(address, **given)
        self._create = dict(create or {})

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        return str(path).removeprefix("payload://").strip("/")

    # ---- looking ----

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        path = self._strip_protocol(path)
        below = path + "/" if path else ""
        found: dict[str, dict[str, Any]] = {}
        for summary in self._summaries("" if not path else f"labels.{LABEL}:*"):
            name = summary.labels.get(LABEL) or str(summary.id)
            if name == path:
                return [_entry(summary, name)] if detail else [name]
            if not name.startswith(below):
                continue
            head, slash, _rest = name[len(below) :].partition("/")
            if slash:
                folder = below + head
                found[folder] = {"name": folder, "size": 0, "type": "directory"}
            else:
                found.setdefault(name, _entry(summary, name))
        if not found and path:
            return [self._only(path, detail)]
        entries = [found[name] for name in sorted(found)]
        return entries if detail else [entry["name"] for entry in entries]

    def _only(self, path: str, detail: bool) -> Any:
        entry = self.info(path)
        return entry if detail else entry["name"]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        if not path:
            return {"name": "", "size": 0, "type": "directory"}
        try:
            return self._info_of_id(uuid.UUID(path), path)
        except ValueError:
            pass
        for summary in self._named(path):
            return _entry(summary, path)
        if any(
            name.startswith(path + "/")
            for name in (each.labels[LABEL] for each in self._summaries(f"labels.{LABEL}:*"))
        ):
            return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    def created(self, path: str) -> Any:
        return self.info(path)["created"]

    def modified(self, path: str) -> Any:
        return self.info(path)["created"]  # Payloads never change.

    def _info_of_id(self, id: uuid.UUID, path: str) -> dict[str, Any]:
        try:
            found = self._client.resolve(id)
        except NotFoundError:
            raise FileNotFoundError(path) from None
        return {
            "name": path,
            "size": found.size_bytes,
            "type": "file",
            "id": str(id),
            "tier": found.tier.name.lower(),
            "created": found.created_at,
        }

    def _summaries(self, filter: str) -> list[Summary]:
        # What is still being written is no file yet.
        return [each for each in self._client.list(filter=filter) if each.state.name != "ALLOCATED"]

    def _named(self, path: str) -> list[Summary]:
        quoted = path.replace("\\", "\\\\").replace('"', '\\"')
        return self._summaries(f'labels.{LABEL} = "{quoted}"')

    def _id(self, path: str) -> uuid.UUID:
        info = self.info(path)
        if info["type"] == "directory":
            raise IsADirectoryError(path)
        return uuid.UUID(info["id"])

    # ---- reading ----

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: Any
    ) -> bytes:
        try:
            with self._client.open(self._id(path)) as payload:
                return bytes(payload[start:end])
        except NotFoundError:
            raise FileNotFoundError(path) from None

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        path = self._strip_protocol(path)
        if mode == "rb":
            try:
                return io.BufferedReader(Reader(self._client, self._id(path)))
            except NotFoundError:
                raise FileNotFoundError(path) from None
        if mode in ("wb", "xb"):
            if mode == "xb" and self._named(path):
                raise FileExistsError(path)
            return Writer(self, path, bool(options.get("autocommit", True)))
        raise ValueError(f"mode {mode!r}: payloads are read ('rb') or written anew ('wb', 'xb')")

    # ---- writing ----

    def pipe_file(self, path: str, value: bytes, **_: Any) -> None:
        with Writer(self, self._strip_protocol(path), True) as writer:
            writer.write(value)

    def store(self, path: str, source: Any, size: int) -> uuid.UUID:
        """Stores `size` bytes of the file `source` under a name, in place of what had it."""
        before = self._named(path)
        options = dict(self._create)
        options["labels"] = {**options.get("labels", {}), LABEL: path}
        with self._client.create(size, **options) as target:
            with target.view() as view:
                place = 0
                while place < size:
                    count = source.readinto(view[place : place + _COPY_BYTES])
                    if not count:
                        raise OSError(f"the file ended at byte {place} of {size}")
                    place += count
            id = target.commit()
        for summary in before:
            self._delete(summary.id)
        return id

    def rm_file(self, path: str) -> None:
        path = self._strip_protocol(path)
        id = self._id(path)
        named = [summary.id for summary in self._named(path)]
        for each in named or [id]:
            self._delete(each)

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        paths = self.expand_path(path, recursive=recursive, maxdepth=maxdepth)
        # Directories go with what is in them.
        for each in [each for each in paths if not recursive or self.isfile(each)]:
            self.rm_file(each)

    _rm = rm_file

    def _delete(self, id: uuid.UUID) -> None:
        try:
            self._client.delete(id)
        except NotFoundError:
            pass  # Somebody else has deleted it.

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        """Directories are there as soon as something is in them."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Directories are there as soon as something is in them."""

    def rmdir(self, path: str) -> None:
        """Directories are gone as soon as nothing is in them."""


class Reader(io.RawIOBase):
    """A payload as a raw file; its lease ends with close()."""

    def __init__(self, client: Client, id: uuid.UUID) -> None:
        super().__init__()
        self._payload = client.open(id)
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: len(self._payload)}[whence]
        if base + offset < 0:
            raise ValueError(f"cannot seek to {base + offset}")
        self._place = base + offset
        return self._place

    def readinto(self, target: Any) -> int:
        with memoryview(target) as view, view.cast("B") as octets:
            part = self._payload[self._place : self._place + octets.nbytes]
            octets[: part.nbytes] = part
            self._place += part.nbytes
            return int(part.nbytes)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._payload.close()


class Writer(io.BufferedIOBase):
    """Collects what is written, as a payload needs its size first; close() stores it.

    Left by an exception, its `with` block stores nothing.
    """

    def __init__(self, files: PayloadFileSystem, path: str, autocommit: bool) -> None:
        super().__init__()
        self._spool = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)
        _check_name(path)
        self._files = files
        self._path = path
        self._autocommit = autocommit
        self.id: uuid.UUID | None = None  # Of what was stored.

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._spool.write(data)

    def tell(self) -> int:
        return self._spool.tell()

    def commit(self) -> None:
        """Stores it; fsspec's transactions call it behind close()."""
        size = self._spool.tell()
        if size == 0:
            self._spool.close()
            raise OSError(f"{self._path}: a payload has at least one byte")
        self._spool.seek(0)
        self.id = self._files.store(self._path, self._spool, size)
        self._spool.close()

    def discard(self) -> None:
        self._spool.close()

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        if self._autocommit and not self._spool.closed:
            self.commit()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.discard()
        self.close()

    def __del__(self) -> None:
        # Whoever forgets to close a file has not said that it is whole.
        self._spool.close()


def _check_name(path: str) -> None:
    try:
        uuid.UUID(path)
    except ValueError:
        if not path or len(path.encode()) > _NAME_BYTES_MAX:
            raise ValueError(
                f"{path[:64]!r}: a name has from 1 to {_NAME_BYTES_MAX} bytes of UTF-8"
            ) from None
        return
    raise PermissionError(f"{path} is an id: payloads never change; write to a name")


def _entry(summary: Summary, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "size": summary.size_bytes,
        "type": "file",
        "id": str(summary.id),
        "tier": summary.tier.name.lower(),
        "created": summary.created_at,
    }
