"""The transport over the host's local socket, on an event loop."""

from __future__ import annotations

import asyncio
import os
import socket
import weakref
from typing import AsyncIterator

from . import _frames
from ._frames import Frame, Parser
from ._local import STREAM_CREDIT, again, unavailable
from .errors import DeadlineExceededError, PayloadManagerError, UnavailableError

_CONNECT_SECONDS = 5.0


class _AioLink:
    """One connection, until it breaks. Belongs to the loop that runs when it is made."""

    def __init__(self, path: str, made: socket.socket) -> None:
        self._address = "local:" + path
        self._socket = made
        self._loop = asyncio.get_running_loop()
        self._parser = Parser()
        self._pending: dict[int, asyncio.Queue[Frame | PayloadManagerError]] = {}
        self._last_call = 0
        self._unsent = bytearray()
        self.failure: PayloadManagerError | None = None
        self._greeted: asyncio.Future[None] = self._loop.create_future()
        # With the last view behind the loop's end, too. No __del__: the link is part of a cycle,
        # in which the socket's own end may come first.
        weakref.finalize(self, made.close)
        self._loop.add_reader(made, self._read)

    @staticmethod
    async def make(path: str) -> _AioLink:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        made.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(loop.sock_connect(made, path), _CONNECT_SECONDS)
        except (OSError, asyncio.TimeoutError) as error:
            made.close()
            raise unavailable("local:" + path, str(error) or "it does not answer") from None
        link = _AioLink(path, made)
        try:
            await asyncio.wait_for(link._greeted, _CONNECT_SECONDS)
        except asyncio.TimeoutError:
            link.end(unavailable("local:" + path, "it does not say hello"))
            raise unavailable("local:" + path, "it does not say hello") from None
        return link

    def begin(self) -> tuple[int, asyncio.Queue[Frame | PayloadManagerError]]:
        self._last_call += 1
        pending: asyncio.Queue[Frame | PayloadManagerError] = asyncio.Queue()
        self._pending[self._last_call] = pending
        return self._last_call, pending

    def send(self, data: bytes) -> None:
        """What the socket does not take now goes as soon as it does."""
        was_empty = not self._unsent
        self._unsent += data
        if was_empty:
            self._write()
            if self._unsent and self.failure is None:
                self._loop.add_writer(self._socket, self._write)

    def _write(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError as error:
            self.end(unavailable(self._address, error.strerror or str(error)))
            return
        self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            if not self._parser.receive(self._socket):
                raise unavailable(self._address, "it closed the connection")
            for frame in self._parser.frames():
                self._deliver(frame)
        except BlockingIOError:
            return
        except OSError as error:
            self.end(unavailable(self._address, error.strerror or str(error)))
        except PayloadManagerError as error:
            self.end(error)

    def _deliver(self, frame: Frame) -> None:
        if not self._greeted.done():
            _frames.check_hello(frame)
            self._greeted.set_result(None)
            return
        is_last = frame.kind != _frames.REPLY or bool(frame.flags & _frames.DONE)
        pending = self._pending.get(frame.call)
        if is_last:
            self._pending.pop(frame.call, None)
        if pending is not None:
            pending.put_nowait(frame)
            return
        for descriptor in frame.descriptors:
            os.close(descriptor)

    def give_up(self, call: int, pending: asyncio.Queue[Frame | PayloadManagerError]) -> None:
        """Nobody waits for the call any more. Does nothing where its last reply was taken."""
        while not pending.empty():
            frame = pending.get_nowait()
            for descriptor in frame.descriptors if isinstance(frame, Frame) else ():
                os.close(descriptor)
        if self._pending.pop(call, None) is not None and self.failure is None:
            self.send(_frames.pack(_frames.CANCEL, call))

    def end(self, failure: PayloadManagerError) -> None:
        if self.failure is not None:
            return
        self.failure = failure
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._parser.close()
        if not self._greeted.done():
            self._greeted.set_exception(failure)
        for pending in self._pending.values():
            pending.put_nowait(again(failure))
        self._pending.clear()

    def forget(self) -> None:
        # The loop's epoll is the parent's, too: its registration must not be touched.
        os.close(self._socket.detach())


class AioLocalTransport:
    """One event loop. A connection that broke is made again by the next call."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._link: _AioLink | None = None
        self._connecting = asyncio.Lock()

    async def call(self, path: str, request: bytes, seconds: float | None) -> bytes:
        value = 0 if seconds is None else max(int(seconds * 1e9), 1)
        frame = await self._exchange(_frames.CALL, path, request, value, 0, seconds)
        return frame.check()

    async def open_handle(self, what: int, id: bytes, seconds: float | None) -> int:
        frame = await self._exchange(_frames.OPEN, "", id, 0, what, seconds)
        frame.check()
        return frame.descriptors[0]

    async def stream(self, path: str, request: bytes) -> AsyncIterator[bytes]:
        link = await self._linked()
        call, pending = link.begin()
        link.send(
            _frames.pack(_frames.CALL, call, method=path, body=request, number=STREAM_CREDIT)
        )
        taken = 0
        try:
            while True:
                frame = await pending.get()
                if isinstance(frame, PayloadManagerError):
                    raise frame
                body = frame.check()
                if frame.flags & _frames.DONE:
                    return
                taken += 1
                if taken >= STREAM_CREDIT // 2:
                    link.send(_frames.pack(_frames.CREDIT, call, number=taken))
                    taken = 0
                yield body
        finally:
            link.give_up(call, pending)

    async def close(self) -> None:
        if self._link is not None:
            self._link.end(UnavailableError("the client was closed during the call"))

    def forget(self) -> None:
        if self._link is not None:
            self._link.forget()

    async def _exchange(
        self, kind: int, method: str, body: bytes, value: int, number: int, seconds: float | None
    ) -> Frame:
        link = await self._linked()
        call, pending = link.begin()
        link.send(_frames.pack(kind, call, method=method, body=body, value=value, number=number))
        try:
            frame = await asyncio.wait_for(pending.get(), seconds)
        except asyncio.TimeoutError:
            raise DeadlineExceededError(f"no answer within {seconds} s") from None
        finally:
            link.give_up(call, pending)
        if isinstance(frame, PayloadManagerError):
            raise frame
        return frame

    async def _linked(self) -> _AioLink:
        async with self._connecting:
            if self._link is None or self._link.failure is not None:
                self._link = await _AioLink.make(self._path)
            return self._link
