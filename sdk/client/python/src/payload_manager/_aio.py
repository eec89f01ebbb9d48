"""What an AsyncClient shares with all that it hands out: a transport, a mapper, a keeper."""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from typing import Any, AsyncIterator, Awaitable, Callable, Coroutine, Protocol, TypeVar

from . import _forks, _frames, _requests
from ._address import LOCAL
from ._grpc import AioGrpcTransport, Tls
from ._leases import Held, Holding, log
from ._local_aio import AioLocalTransport
from ._mapping import Mapper, not_reachable, open_location
from ._requests import Call
from .errors import NotReachableError, PayloadManagerError
from .types import Descriptor

T = TypeVar("T")
CALL_SECONDS = 5.0


class _AioTransport(Protocol):
    async def call(self, path: str, request: bytes, seconds: float | None) -> bytes: ...

    def stream(self, path: str, request: bytes) -> AsyncIterator[bytes]: ...

    async def open_handle(self, what: int, id: bytes, seconds: float | None) -> int: ...

    def close(self) -> Coroutine[Any, Any, None]: ...

    def forget(self) -> None: ...


class AioKeeper:
    """Renews and gives back while the loop runs. What outlives the loop ends by its time."""

    def __init__(self, connection: AioConnection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._held: dict[bytes, Held] = {}
        self._timers: dict[bytes, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, held: Held) -> None:
        self._held[held.id] = held
        self._arm(held)

    def ended(self, held: Held) -> None:
        """From finalizers: of any thread, and when the loop may be closed already."""
        try:
            self._loop.call_soon_threadsafe(self._start, self._give_back, held)
        except RuntimeError:
            pass

    def forget(self, held: Held) -> None:
        self._held.pop(held.id, None)
        timer = self._timers.pop(held.id, None)
        if timer is not None:
            timer.cancel()

    async def finish(self) -> None:
        """Waits for what is being given back; the rest goes on until its own end, or the loop's."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=CALL_SECONDS)

    @property
    def is_idle(self) -> bool:
        return not self._held and not self._tasks

    def _arm(self, held: Held) -> None:
        if held.due != math.inf:
            delay = max(held.due - time.monotonic(), 0.0)
            self._timers[held.id] = self._loop.call_later(delay, self._start, self._renew, held)

    def _start(self, work: Callable[[Held], Awaitable[None]], held: Held) -> None:
        async def run() -> None:
            await work(held)

        task = self._loop.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._connection.close_if_idle()

    async def _give_back(self, held: Held) -> None:
        if held.id not in self._held:
            return
        self.forget(held)
        try:
            await self._connection.give_back(held)
        except PayloadManagerError as error:
            log.debug("not given back, so it ends by itself: %s", error)

    async def _renew(self, held: Held) -> None:
        if held.id not in self._held:
            return
        asked_at = time.monotonic()
        try:
            call = _requests.renew(held.id, held.duration_ms)
            held.renewed(await self._connection.run(call, CALL_SECONDS), asked_at)
        except PayloadManagerError as error:
            if held.failed(error):
                self.forget(held)
                return
        if held.id in self._held:
            self._arm(held)


class AioConnection:
    """What an AsyncClient and all that it handed out share."""

    def __init__(self, address: str, seconds: float | None, tls: Tls) -> None:
        self.address = address
        self.seconds = seconds
        self.mapper = Mapper()
        self._made_in = _forks.generation()
        self._is_closing = False
        self._end: asyncio.Task[None] | None = None
        self._transport: _AioTransport
        if address.startswith(LOCAL):
            self._transport = AioLocalTransport(address[len(LOCAL) :])
        else:
            self._transport = AioGrpcTransport(address, tls)
        self.keeper = AioKeeper(self)
        _forks.guard(self)

    def forget(self) -> None:
        self._transport.forget()

    async def run(self, call: Call[T], seconds: float | None = None) -> T:
        _forks.refuse(self._made_in)
        limit = self.seconds if seconds is None else seconds
        request = call.request.SerializeToString()
        return call.reply(await self._transport.call(call.method.path, request, limit))

    async def stream(self, call: Call[T]) -> AsyncIterator[T]:
        _forks.refuse(self._made_in)
        request = call.request.SerializeToString()
        async for data in self._transport.stream(call.method.path, request):
            yield call.reply(data)

    async def open_bytes(
        self, descriptor: Descriptor, what: int, id: bytes, allow_copy: bool
    ) -> int:
        try:
            is_written = what == _frames.ALLOCATED
            return open_location(descriptor.location, descriptor, writable=is_written)
        except NotReachableError as error:
            if self.address.startswith(LOCAL):
                try:
                    return await self._transport.open_handle(what, id, self.seconds)
                except PayloadManagerError as refused:
                    more = f"; and the host gives no descriptor: {refused}"
                    error = NotReachableError(error.message + more, code=error.code)
            raise not_reachable(error, allow_copy) from None

    async def give_back(self, held: Held) -> None:
        if held.made_in != _forks.generation():
            return
        self.keeper.forget(held)
        if held.kind is Holding.ALLOCATION:
            await self.run(_requests.abort(held.id), CALL_SECONDS)
        elif not held.is_lost:
            await self.run(_requests.release([held.id]), CALL_SECONDS)

    async def commit(self, id: uuid.UUID, held: Held, request_id: str) -> Descriptor:
        descriptor = await self.run(_requests.commit(id, request_id))
        held.is_closing = True
        self.keeper.forget(held)
        return descriptor

    async def close(self) -> None:
        self._is_closing = True
        await self.keeper.finish()
        self.close_if_idle()
        if self._end is not None:
            await self._end

    def close_if_idle(self) -> None:
        """Views that are still in use keep the connection, until the last of them has gone."""
        if self._is_closing and self._end is None and self.keeper.is_idle:
            self._end = asyncio.get_running_loop().create_task(self._transport.close())
