"""Pickles whose large buffers are payloads (pickle protocol 5, PEP 574).

A pickle is the magic, how many payloads, their ids, and the pickle of the rest.
"""

from __future__ import annotations

import pickle
import struct
import uuid
from typing import TYPE_CHECKING, Any

from .errors import PayloadManagerError

if TYPE_CHECKING:
    from .client import Client

_HEAD = struct.Struct("<8sI")
_MAGIC = b"PMPICKL1"
_ID_BYTES = 16


def dumps(client: Client, value: Any, *, inline_bytes_max: int = 4096, **options: Any) -> bytes:
    ids: list[uuid.UUID] = []

    def store(buffer: pickle.PickleBuffer) -> bool:
        """True: the buffer stays in the pickle."""
        with memoryview(buffer) as view:
            # No payload is empty, and views that are not contiguous cannot be put as they are.
            if view.nbytes <= max(inline_bytes_max, 0) or not view.contiguous:
                return True
        with buffer.raw() as octets:
            ids.append(client.put(octets, **options))
        return False

    try:
        rest = pickle.dumps(value, protocol=5, buffer_callback=store)
    except BaseException:
        for id in ids:
            try:
                client.delete(id)
            except PayloadManagerError:
                pass  # What went wrong first is told; the host may be gone.
        raise
    return _HEAD.pack(_MAGIC, len(ids)) + b"".join(id.bytes for id in ids) + rest


def payload_ids(data: bytes) -> tuple[uuid.UUID, ...]:
    return _split(data)[0]


def loads(client: Client, data: bytes) -> Any:
    ids, rest = _split(data)
    return pickle.loads(rest, buffers=[client.open(id).view() for id in ids])


def _split(data: bytes) -> tuple[tuple[uuid.UUID, ...], memoryview]:
    view = memoryview(data)
    if view.nbytes < _HEAD.size or bytes(view[:8]) != _MAGIC:
        raise ValueError("this is no pickle of dumps(): it begins otherwise")
    count = _HEAD.unpack_from(view)[1]
    end = _HEAD.size + count * _ID_BYTES
    if view.nbytes < end:
        raise ValueError(f"the pickle is cut off: it should name {count} payloads")
    places = range(_HEAD.size, end, _ID_BYTES)
    ids = tuple(uuid.UUID(bytes=bytes(view[place : place + _ID_BYTES])) for place in places)
    return ids, view[end:]
