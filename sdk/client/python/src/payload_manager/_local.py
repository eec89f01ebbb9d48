"""The transport over the host's local socket, for threads.

There is no thread that reads: of those who wait for a reply, one reads for all and wakes the
others. So a client with one thread waits for nothing but the host.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections import deque
from typing import Iterator

from . import _frames
from ._frames import Frame, Parser
from .errors import DeadlineExceededError, PayloadManagerError, UnavailableError, error_from

_CONNECT_SECONDS = 5.0
STREAM_CREDIT = 64


class _Pending:
    """A call under way, and what has come of it."""

    def __init__(self) -> None:
        self.frames: deque[Frame] = deque()
        self.is_given_up = False


def unavailable(address: str, why: str) -> UnavailableError:
    return UnavailableError(f"the host at {address} is not there: {why}")


def again(failure: PayloadManagerError) -> PayloadManagerError:
    """A copy for each who waits: an exception that is raised collects its traceback."""
    return error_from(failure.code, failure.message)


class _Link:
    """One connection, until it breaks. Guarded by the lock that it is given."""

    def __init__(self, path: str, lock: threading.Condition) -> None:
        self._lock = lock
        self._address = "local:" + path
        self._sending = threading.Lock()
        self._parser = Parser()
        self._pending: dict[int, _Pending] = {}
        self._last_call = 0
        self._is_reading = False
        self.failure: PayloadManagerError | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.settimeout(_CONNECT_SECONDS)
            self._socket.connect(path)
            _frames.check_hello(self._first_frame())
            self._socket.setblocking(False)
        except OSError as error:
            self.close()
            raise unavailable(self._address, error.strerror or str(error)) from None
        except PayloadManagerError:
            self.close()
            raise

    def _first_frame(self) -> Frame:
        while True:
            if not self._parser.receive(self._socket):
                raise unavailable(self._address, "it closed the connection")
            for frame in self._parser.frames():
                return frame

    def close(self) -> None:
        self._socket.close()
        self._parser.close()

    def end(self) -> None:
        """Also for those who wait."""
        self._break(UnavailableError("the client was closed during the call"))
        try:
            self._socket.shutdown(socket.SHUT_RDWR)  # Wakes the one who reads.
        except OSError:
            pass
        self.close()

    def is_alive(self) -> bool:
        """Notices the end of a connection on which nobody waits."""
        with self._lock:
            may_read = self.failure is None and not self._is_reading
            self._is_reading = self._is_reading or may_read
        if may_read:
            self._read(0.0)
        return self.failure is None

    def begin(self) -> tuple[int, _Pending]:
        with self._lock:
            if self.failure is not None:
                raise again(self.failure)
            self._last_call += 1
            pending = self._pending[self._last_call] = _Pending()
            return self._last_call, pending

    def send(self, data: bytes) -> None:
        """Takes in replies meanwhile, where the host does not read on before it has written."""
        rest = memoryview(data)
        with self._sending:
            while rest:
                try:
                    rest = rest[self._socket.send(rest) :]
                except BlockingIOError:
                    self._wait_for_room()
                except OSError as error:
                    failure = unavailable(self._address, error.strerror or str(error))
                    self._break(failure)
                    raise failure from None

    def _wait_for_room(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT | select.POLLIN)
        if not any(events & select.POLLOUT for _, events in poll.poll(100)):
            self.is_alive()

    def receive(self, pending: _Pending, until: float | None) -> Frame:
        """The next frame of the call; TimeoutError when none has come by then."""
        while True:
            left = None if until is None else until - time.monotonic()
            with self._lock:
                if pending.frames:
                    return pending.frames.popleft()
                if self.failure is not None:
                    raise again(self.failure)
                if left is not None and left <= 0:
                    raise TimeoutError
                if self._is_reading:
                    self._lock.wait(left)
                    continue
                self._is_reading = True
            self._read(left)

    def _read(self, seconds: float | None) -> None:
        """Reads once for all; the caller has set `_is_reading`."""
        failure: PayloadManagerError | None = None
        frames: list[Frame] = []
        try:
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            if poll.poll(None if seconds is None else max(seconds, 0) * 1000):
                if not self._parser.receive(self._socket):
                    failure = unavailable(self._address, "it closed the connection")
                frames.extend(self._parser.frames())
        except BlockingIOError:
            pass
        except (OSError, ValueError) as error:
            failure = unavailable(self._address, str(error))
        except PayloadManagerError as error:
            failure = error
        finally:
            with self._lock:
                self._is_reading = False
                for frame in frames:
                    self._deliver(frame)
                self._lock.notify_all()
        if failure is not None:
            self._break(failure)

    def _deliver(self, frame: Frame) -> None:
        pending = self._pending.get(frame.call)
        if pending is None or pending.is_given_up:
            for descriptor in frame.descriptors:
                os.close(descriptor)
        else:
            pending.frames.append(frame)
        if frame.kind != _frames.REPLY or frame.flags & _frames.DONE:
            self._pending.pop(frame.call, None)

    def give_up(self, call: int, pending: _Pending) -> None:
        """Nobody waits for the call any more. Does nothing where its last reply was taken."""
        with self._lock:
            if pending.is_given_up:
                return
            pending.is_given_up = True
            left = list(pending.frames)
            pending.frames.clear()
            is_over = self._pending.get(call) is not pending or self.failure is not None
        for frame in left:
            for descriptor in frame.descriptors:
                os.close(descriptor)
        if is_over:
            return
        try:
            self.send(_frames.pack(_frames.CANCEL, call))
        except PayloadManagerError:
            pass  # The end of the connection cancels as well.

    def _break(self, failure: PayloadManagerError) -> None:
        with self._lock:
            if self.failure is None:
                self.failure = failure
            self._pending.clear()
            self._lock.notify_all()


class LocalTransport:
    """Any number of threads. A connection that broke is made again by the next call."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Condition()
        self._connecting = threading.Lock()
        self._link: _Link | None = None

    def call(self, path: str, request: bytes, seconds: float | None) -> bytes:
        value = 0 if seconds is None else max(int(seconds * 1e9), 1)
        return self._exchange(_frames.CALL, path, request, value, 0, seconds).check()

    def open_handle(self, what: int, id: bytes, seconds: float | None) -> int:
        frame = self._exchange(_frames.OPEN, "", id, 0, what, seconds)
        frame.check()
        return frame.descriptors[0]

    def stream(self, path: str, request: bytes) -> LocalStream:
        link = self._linked()
        call, pending = link.begin()
        link.send(
            _frames.pack(_frames.CALL, call, method=path, body=request, number=STREAM_CREDIT)
        )
        return LocalStream(link, call, pending)

    def close(self) -> None:
        with self._connecting:
            link, self._link = self._link, None
        if link is not None:
            link.end()

    def __del__(self) -> None:
        link = getattr(self, "_link", None)
        if link is not None:
            link.close()

    def forget(self) -> None:
        """Of a forked child: lets the session end with the parent."""
        if self._link is not None:
            self._link.close()

    def _exchange(
        self, kind: int, method: str, body: bytes, value: int, number: int, seconds: float | None
    ) -> Frame:
        until = None if seconds is None else time.monotonic() + seconds
        link = self._linked()
        call, pending = link.begin()
        link.send(_frames.pack(kind, call, method=method, body=body, value=value, number=number))
        try:
            return link.receive(pending, until)
        except TimeoutError:
            link.give_up(call, pending)
            raise DeadlineExceededError(f"no answer within {seconds:g} s") from None
        except BaseException:  # KeyboardInterrupt, say.
            link.give_up(call, pending)
            raise

    def _linked(self) -> _Link:
        link = self._link
        if link is not None and link.is_alive():
            return link
        with self._connecting:
            if self._link is None or self._link.failure is not None:
                broken, self._link = self._link, None
                self._link = _Link(self._path, self._lock)
                if broken is not None:
                    broken.close()
            return self._link


class LocalStream:
    """The replies of one call; it lets more come as they are taken."""

    def __init__(self, link: _Link, call: int, pending: _Pending) -> None:
        self._link = link
        self._call = call
        self._pending = pending
        self._taken = 0
        self._is_over = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._is_over:
            raise StopIteration
        try:
            frame = self._link.receive(self._pending, None)
        except PayloadManagerError:
            self._is_over = True
            raise
        if frame.flags & _frames.DONE:
            self._is_over = True
            frame.check()
            raise StopIteration
        self._taken += 1
        if self._taken >= STREAM_CREDIT // 2:
            self._link.send(_frames.pack(_frames.CREDIT, self._call, number=self._taken))
            self._taken = 0
        return frame.check()

    def cancel(self) -> None:
        self._is_over = True
        self._link.give_up(self._call, self._pending)
