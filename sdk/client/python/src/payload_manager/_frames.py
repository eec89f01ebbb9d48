"""The frames of the local socket, as sdk/local/frames.h has them."""

from __future__ import annotations

import array
import os
import socket
import struct
from typing import Iterator, NamedTuple

from .errors import InternalError, error_from

PROTOCOL_VERSION = 1
HELLO_MAGIC = 0x314C41434F4C4D50  # "PMLOCAL1"

CALL, CANCEL, CREDIT, OPEN = 1, 2, 3, 4
HELLO, REPLY, HANDLE, ATTACHED = 16, 17, 18, 19
LEASED, ALLOCATED = 0, 1  # What an OPEN asks for.
DONE = 1  # Of a reply: it is the call's last one.

_HEADER = struct.Struct("=IBBHQQII")
_BODY_BYTES_MAX = 64 << 20
_DESCRIPTORS_MAX = 2
_READ_BYTES = 1 << 16


class Frame(NamedTuple):
    kind: int
    flags: int
    call: int
    value: int
    number: int
    text_bytes: int
    body: bytes
    descriptors: tuple[int, ...]

    def check(self) -> bytes:
        """The reply's protobuf, or the error that it is."""
        text = self.body[: self.text_bytes]
        end = self.text_bytes + self.value
        if self.number != 0:
            details = self.body[self.text_bytes : end]
            raise error_from(self.number, text.decode("utf-8", "replace"), details)
        return self.body[end:]


def pack(
    kind: int,
    call: int,
    *,
    method: str = "",
    body: bytes = b"",
    value: int = 0,
    number: int = 0,
) -> bytes:
    name = method.encode()
    length = len(name) + len(body)
    if length > _BODY_BYTES_MAX:
        raise error_from(8, f"a request of {length} bytes is longer than {_BODY_BYTES_MAX}")
    return _HEADER.pack(length, kind, 0, len(name), call, value, number, 0) + name + body


def check_hello(frame: Frame) -> None:
    if frame.kind != HELLO or frame.call != HELLO_MAGIC:
        raise InternalError("what listens there is no host of Payload Manager")
    if frame.value != PROTOCOL_VERSION:
        raise InternalError(
            f"the host speaks version {frame.value} of the local protocol, this client"
            f" {PROTOCOL_VERSION}; install fitting versions"
        )


class Parser:
    """Cuts what a socket brings into frames, and gives descriptors to the frames they came with.

    Linux never delivers descriptors of two messages by one recvmsg, and delivers them with the
    first byte they came with at the latest: so they belong to frames in the order of both.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._descriptors: list[int] = []

    def receive(self, from_socket: socket.socket) -> bool:
        """Reads once; false at the connection's end. May raise BlockingIOError and OSError."""
        room = socket.CMSG_SPACE(_DESCRIPTORS_MAX * array.array("i").itemsize)
        flags = socket.MSG_CMSG_CLOEXEC
        data, controls, _, _ = from_socket.recvmsg(_READ_BYTES, room, flags)
        for level, kind, content in controls:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers = array.array("i")
                numbers.frombytes(content[: len(content) // numbers.itemsize * numbers.itemsize])
                self._descriptors.extend(numbers)
        self._bytes += data
        return bool(data)

    def frames(self) -> Iterator[Frame]:
        while len(self._bytes) >= _HEADER.size:
            length, kind, flags, _, call, value, number, text_bytes = _HEADER.unpack_from(
                self._bytes
            )
            if length > _BODY_BYTES_MAX or text_bytes > length:
                raise InternalError("the host sent a frame that cannot be")
            if kind != HELLO and value > length - text_bytes:
                raise InternalError("the host sent a frame that cannot be")
            end = _HEADER.size + length
            if len(self._bytes) < end:
                return
            body = bytes(self._bytes[_HEADER.size : end])
            del self._bytes[:end]
            wanted = {HANDLE: 1, ATTACHED: 2}.get(kind, 0) if number == 0 else 0
            if wanted > len(self._descriptors):
                raise InternalError("the host promised a file descriptor and sent none")
            taken = tuple(self._descriptors[:wanted])
            del self._descriptors[:wanted]
            yield Frame(kind, flags, call, value, number, text_bytes, body, taken)

    def close(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()
