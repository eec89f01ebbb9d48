"""The client for asyncio: the same as Client, with awaits."""

from __future__ import annotations

import os
import uuid
from typing import (
    Any,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Generic,
    Iterable,
    Mapping,
    Protocol,
    TypeVar,
)

from . import _frames, _requests
from ._address import default_address
from ._aio import AioConnection
from ._contract import Message
from ._grpc import Tls
from ._leases import Held, Holding, watch
from ._memory import Memory, Region
from ._requests import StreamName
from .errors import ClosedError, NotFoundError, error_from
from .payload import View, Writable
from .streams import AsyncStream
from .types import Descriptor, IdLike, Stats, Summary, Tier


class AsyncPayload(View):
    """A payload that is held in place for reading. Its bytes never change."""

    def __init__(
        self, descriptor: Descriptor, memory: Memory, held: Held, connection: AioConnection
    ) -> None:
        super().__init__(descriptor, memory, held)
        self._connection = connection

    @property
    def is_held(self) -> bool:
        """False when the lease has ended under it: the host went away for longer than it ran."""
        return not self.closed and not self._held.is_lost

    async def close(self) -> None:
        """Ends the lease; with views in use, the last of them will."""
        if not self.closed and self._let_go():
            await self._connection.give_back(self._held)

    async def __aenter__(self) -> AsyncPayload:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncWritablePayload(Writable):
    """An allocation that nobody can read yet. Unless it is committed, its end deletes it."""

    def __init__(
        self,
        descriptor: Descriptor,
        memory: Memory,
        held: Held,
        region: Region,
        connection: AioConnection,
    ) -> None:
        super().__init__(descriptor, memory, held, region)
        self._connection = connection

    async def commit(self, *, request_id: str = "") -> uuid.UUID:
        """As WritablePayload.commit()."""
        if self.closed:
            raise ValueError("the payload is committed or discarded already")
        self._descriptor = await self._connection.commit(self.id, self._held, request_id)
        self._cut_off()
        return self.id

    async def discard(self) -> None:
        if self.closed:
            return
        self._cut_off()
        try:
            await self._connection.give_back(self._held)
        except NotFoundError:
            pass  # It expired before.

    async def __aenter__(self) -> AsyncWritablePayload:
        return self

    async def __aexit__(self, *raised: object) -> None:
        try:
            await self.discard()
        except Exception:
            if raised[0] is None:
                raise


class _Entered(Protocol):
    async def __aexit__(self, *raised: object) -> None: ...


H = TypeVar("H", bound=_Entered)


class Opening(Generic[H]):
    """To be awaited, or entered by `async with`."""

    def __init__(self, make: Callable[[], Awaitable[H]]) -> None:
        self._make = make
        self._made: H | None = None

    def __await__(self) -> Generator[Any, None, H]:
        return self._make().__await__()

    async def __aenter__(self) -> H:
        self._made = made = await self._make()
        return made

    async def __aexit__(self, *raised: object) -> None:
        made, self._made = self._made, None
        if made is not None:
            await made.__aexit__(*raised)


class AsyncClient:
    """A host's payloads, on one event loop: the one that runs when it is made.

    Addresses and options are those of Client. Leases are renewed while the loop runs.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        deadline_seconds: float | None = 30.0,
        tls_ca_file: str = "",
        tls_certificate_file: str = "",
        tls_key_file: str = "",
    ) -> None:
        tls = Tls(tls_ca_file, tls_certificate_file, tls_key_file)
        self._connection: AioConnection | None = AioConnection(
            address or default_address(), deadline_seconds, tls
        )

    @property
    def _live(self) -> AioConnection:
        if self._connection is None:
            raise ClosedError()
        return self._connection

    @property
    def address(self) -> str:
        return self._live.address

    async def close(self) -> None:
        """Refuses further calls. Payloads and views that it handed out stay valid."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ---- bytes ----

    def create(self, size_bytes: int, **options: Any) -> Opening[AsyncWritablePayload]:
        """Allocates memory to write into; `options` are those of Client.create()."""
        return Opening(lambda: self._create(size_bytes, **options))

    def open(self, id: IdLike, **options: Any) -> Opening[AsyncPayload]:
        """Holds a payload and maps it for reading; `options` are those of Client.open()."""
        return Opening(lambda: self._open(id, **options))

    async def _create(self, size_bytes: int, **options: Any) -> AsyncWritablePayload:
        connection = self._live
        descriptor = await connection.run(_requests.allocate(size_bytes, **options))
        id = descriptor.id.bytes
        held = Held(Holding.ALLOCATION, id)
        connection.keeper.add(held)
        try:
            file = await connection.open_bytes(descriptor, _frames.ALLOCATED, id, False)
            try:
                memory, region = connection.mapper.map_for_writing(descriptor, file)
            finally:
                os.close(file)
        except BaseException:
            connection.keeper.ended(held)
            raise
        watch(connection.keeper, memory, held)
        return AsyncWritablePayload(descriptor, memory, held, region, connection)

    async def _open(
        self,
        id: IdLike,
        *,
        min_tier: Tier | int | str = Tier.UNSPECIFIED,
        lease_ms: int = 0,
        holder: str = "",
        allow_copy: bool = False,
    ) -> AsyncPayload:
        connection = self._live
        granted = await connection.run(_requests.acquire(id, min_tier, lease_ms, holder))
        held = Held(Holding.LEASE, granted.id, granted.duration_ms)
        descriptor = granted.descriptor
        try:
            file = await connection.open_bytes(descriptor, _frames.LEASED, granted.id, allow_copy)
            try:
                memory = connection.mapper.map_for_reading(descriptor, file)
            finally:
                os.close(file)
        except BaseException:
            connection.keeper.add(held)
            connection.keeper.ended(held)
            raise
        watch(connection.keeper, memory, held)
        return AsyncPayload(descriptor, memory, held, connection)

    async def put(self, data: Any, **options: Any) -> uuid.UUID:
        """Stores a copy of anything with a buffer; `options` are create()'s."""
        with memoryview(data) as source, source.cast("B") as octets:
            async with self.create(octets.nbytes, **options) as target:
                target[:] = octets
                return await target.commit()

    async def get(self, id: IdLike, **options: Any) -> bytes:
        """A copy of the bytes; `options` are open()'s."""
        async with self.open(id, **options) as payload:
            return bytes(payload)

    # ---- payloads ----

    async def delete(self, id: IdLike, *, force: bool = False) -> None:
        await self._live.run(_requests.delete(id, force))

    async def resolve(self, id: IdLike) -> Descriptor:
        return await self._live.run(_requests.resolve(id))

    async def promote(
        self, id: IdLike, tier: Tier | int | str, *, drop_source: bool = False
    ) -> Descriptor:
        return await self._live.run(_requests.promote(id, tier, drop_source))

    async def spill(
        self, id: IdLike, tier: Tier | int | str = Tier.DISK, *, wait_for_leases: bool = False
    ) -> None:
        result = await self._live.run(_requests.spill(id, tier, wait_for_leases))
        if not result.ok:
            error = error_from(result.error_code, result.error_message)
            error.reason = result.error_reason
            raise error

    async def pin(self, id: IdLike, duration_ms: int = 0) -> None:
        await self._live.run(_requests.pin(id, duration_ms))

    async def unpin(self, id: IdLike) -> None:
        await self._live.run(_requests.unpin(id))

    async def update_labels(
        self, id: IdLike, set: Mapping[str, str] = {}, *, remove: Iterable[str] = ()
    ) -> dict[str, str]:
        return await self._live.run(_requests.update_labels(id, set, remove))

    async def list(
        self,
        *,
        tier: Tier | int | str = Tier.UNSPECIFIED,
        filter: str = "",
        order_by: str = "",
        page_size: int = 0,
    ) -> AsyncIterator[Summary]:
        """Every payload, page by page: `async for summary in client.list()`."""
        token = ""
        while True:
            call = _requests.list_page(tier, filter, order_by, page_size, token)
            page = await self._live.run(call)
            for summary in page.payloads:
                yield summary
            if not page.next_page_token or page.next_page_token == token:
                return
            token = page.next_page_token

    async def stats(self) -> Stats:
        return await self._live.run(_requests.stats())

    def stream(self, name: str) -> AsyncStream:
        """The stream "name", or "namespace/name"."""
        return AsyncStream(self._live, StreamName.parse(name))

    async def call(self, method: str, request: Message | None = None, **fields: Any) -> Message:
        """Any method of the contract; see Client.call()."""
        return await self._live.run(_requests.generic(method, request, fields))
