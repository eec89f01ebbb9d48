"""The client for threads: with-blocks, views, iterators."""

from __future__ import annotations

import os
import uuid
from typing import Any, Generic, Iterable, Iterator, Mapping, Protocol, TypeVar

from . import _forks, _frames, _requests, pickling
from ._address import LOCAL, default_address
from ._contract import Message
from ._grpc import GrpcTransport, Tls
from ._leases import Held, Holding, Keeper, watch
from ._local import LocalTransport
from ._mapping import Mapper, not_reachable, open_location
from ._requests import Call, StreamName
from .errors import ClosedError, NotReachableError, PayloadManagerError, error_from
from .payload import Payload, WritablePayload
from .streams import Stream
from .types import Descriptor, IdLike, Stats, Summary, Tier

T = TypeVar("T")
_GIVE_BACK_SECONDS = 5.0


class _Stream(Protocol):
    def __next__(self) -> bytes: ...

    def cancel(self) -> None: ...


class _Transport(Protocol):
    def call(self, path: str, request: bytes, seconds: float | None) -> bytes: ...

    def stream(self, path: str, request: bytes) -> _Stream: ...

    def open_handle(self, what: int, id: bytes, seconds: float | None) -> int: ...

    def close(self) -> None: ...

    def forget(self) -> None: ...


def run_on(transport: _Transport, call: Call[T], seconds: float | None) -> T:
    data = transport.call(call.method.path, call.request.SerializeToString(), seconds)
    return call.reply(data)


class Connection:
    """What a Client and all that it handed out share; lives as long as any of them."""

    def __init__(self, address: str, seconds: float | None, tls: Tls) -> None:
        self.address = address
        self.seconds = seconds
        self.mapper = Mapper()
        self._made_in = _forks.generation()
        transport: _Transport
        if address.startswith(LOCAL):
            transport = LocalTransport(address[len(LOCAL) :])
        else:
            transport = GrpcTransport(address, tls)
        self._transport = transport

        def renew(held: Held, limit: float) -> int:
            return run_on(transport, _requests.renew(held.id, held.duration_ms), limit)

        def release(ended: list[Held], limit: float) -> None:
            for held in ended:
                if held.kind is Holding.ALLOCATION:
                    run_on(transport, _requests.abort(held.id), limit)
            leases = [held.id for held in ended if held.kind is Holding.LEASE]
            if leases:
                run_on(transport, _requests.release(leases), limit)

        self.keeper = Keeper(renew, release)
        _forks.guard(self)

    def __del__(self) -> None:
        # Not of the transport: views that outlive all others are still to be given back.
        if hasattr(self, "keeper"):
            self.keeper.close()

    def forget(self) -> None:
        self._transport.forget()

    @property
    def is_forked(self) -> bool:
        return self._made_in != _forks.generation()

    def run(self, call: Call[T], seconds: float | None = None) -> T:
        _forks.refuse(self._made_in)
        return run_on(self._transport, call, self.seconds if seconds is None else seconds)

    def stream(self, call: Call[T]) -> Replies[T]:
        _forks.refuse(self._made_in)
        replies = self._transport.stream(call.method.path, call.request.SerializeToString())
        return Replies(call, replies, self)

    def open_bytes(self, descriptor: Descriptor, what: int, id: bytes, allow_copy: bool) -> int:
        """By name; where that is not for us, from the host by the local socket."""
        try:
            is_written = what == _frames.ALLOCATED
            return open_location(descriptor.location, descriptor, writable=is_written)
        except NotReachableError as error:
            if self.address.startswith(LOCAL):
                try:
                    return self._transport.open_handle(what, id, self.seconds)
                except PayloadManagerError as refused:
                    more = f"; and the host gives no descriptor: {refused}"
                    error = NotReachableError(error.message + more, code=error.code)
            raise not_reachable(error, allow_copy) from None

    def give_back(self, held: Held) -> None:
        if held.made_in != _forks.generation():
            return  # The parent's; this process has unmapped what it had of it.
        self.keeper.forget(held)
        if held.kind is Holding.ALLOCATION:
            self.run(_requests.abort(held.id), _GIVE_BACK_SECONDS)
        elif not held.is_lost:
            self.run(_requests.release([held.id]), _GIVE_BACK_SECONDS)

    def commit(self, id: uuid.UUID, held: Held, request_id: str) -> Descriptor:
        descriptor = self.run(_requests.commit(id, request_id))
        held.is_closing = True  # From now on there is nothing to give back.
        self.keeper.forget(held)
        return descriptor


class Replies(Generic[T]):
    """What a streaming call brings, until close() or an error."""

    def __init__(self, call: Call[T], replies: _Stream, connection: Connection) -> None:
        self._call = call
        self._replies = replies
        self._connection = connection  # Kept while somebody listens.

    def __iter__(self) -> Replies[T]:
        return self

    def __next__(self) -> T:
        return self._call.reply(next(self._replies))

    def close(self) -> None:
        self._replies.cancel()

    def __enter__(self) -> Replies[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not self._connection.is_forked:
            self.close()


class Client:
    """A host's payloads. Any number of threads; a forked child is refused (ForkedError).

    `address`: "unix:/path" or "host:port" for gRPC, "local:/path" for the host's local socket; by
    default $PM_ADDRESS, or else payload-manager/payload-manager.sock below $XDG_RUNTIME_DIR where
    there is one, or else below /run. The connection is made by the first call, and again after it
    broke. `deadline_seconds` is each call's; None: any time.
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
        self._connection: Connection | None = Connection(
            address or default_address(), deadline_seconds, tls
        )

    @property
    def _live(self) -> Connection:
        if self._connection is None:
            raise ClosedError()
        return self._connection

    @property
    def address(self) -> str:
        return self._live.address

    def close(self) -> None:
        """Refuses further calls. Payloads and views that it handed out stay valid."""
        self._connection = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- bytes ----

    def create(
        self,
        size_bytes: int,
        *,
        tier: Tier | int | str = Tier.RAM,
        ttl_ms: int = 0,
        no_evict: bool = False,
        priority: str = "",
        layout: str = "segment",
        labels: Mapping[str, str] | None = None,
        request_id: str = "",
    ) -> WritablePayload:
        """Allocates memory to write into; `priority` is low, normal, high or never."""
        connection = self._live
        descriptor = connection.run(
            _requests.allocate(
                size_bytes, tier, ttl_ms, no_evict, priority, layout, labels, request_id
            )
        )
        id = descriptor.id.bytes
        held = Held(Holding.ALLOCATION, id)
        try:
            file = connection.open_bytes(descriptor, _frames.ALLOCATED, id, False)
            try:
                memory, region = connection.mapper.map_for_writing(descriptor, file)
            finally:
                os.close(file)
        except BaseException:
            connection.keeper.add(held)
            connection.keeper.ended(held)
            raise
        watch(connection.keeper, memory, held)
        return WritablePayload(descriptor, memory, held, region, connection)

    def open(
        self,
        id: IdLike,
        *,
        min_tier: Tier | int | str = Tier.UNSPECIFIED,
        lease_ms: int = 0,
        holder: str = "",
        allow_copy: bool = False,
    ) -> Payload:
        """Holds a payload in place and maps it for reading.

        The lease is renewed in the background until the last view has gone. `allow_copy`: bytes
        that this machine does not have may be copied from the host. No host can do so yet: then
        it is NotReachableError either way.
        """
        connection = self._live
        granted = connection.run(_requests.acquire(id, min_tier, lease_ms, holder))
        held = Held(Holding.LEASE, granted.id, granted.duration_ms)
        descriptor = granted.descriptor
        try:
            file = connection.open_bytes(descriptor, _frames.LEASED, granted.id, allow_copy)
            try:
                memory = connection.mapper.map_for_reading(descriptor, file)
            finally:
                os.close(file)
        except BaseException:
            connection.keeper.add(held)
            connection.keeper.ended(held)
            raise
        watch(connection.keeper, memory, held)
        return Payload(descriptor, memory, held, connection)

    def put(self, data: Any, **options: Any) -> uuid.UUID:
        """Stores a copy of anything with a buffer; `options` are create()'s."""
        with memoryview(data) as source, source.cast("B") as octets:
            with self.create(octets.nbytes, **options) as target:
                target[:] = octets
                return target.commit()

    def get(self, id: IdLike, **options: Any) -> bytes:
        """A copy of the bytes; `options` are open()'s."""
        with self.open(id, **options) as payload:
            return bytes(payload)

    # ---- payloads ----

    def delete(self, id: IdLike, *, force: bool = False) -> None:
        """AbortedError (PAYLOAD_LEASED) while it is leased, unless forced."""
        self._live.run(_requests.delete(id, force))

    def resolve(self, id: IdLike) -> Descriptor:
        """Where it is at this moment; promises nothing."""
        return self._live.run(_requests.resolve(id))

    def promote(
        self, id: IdLike, tier: Tier | int | str, *, drop_source: bool = False
    ) -> Descriptor:
        return self._live.run(_requests.promote(id, tier, drop_source))

    def spill(
        self, id: IdLike, tier: Tier | int | str = Tier.DISK, *, wait_for_leases: bool = False
    ) -> None:
        result = self._live.run(_requests.spill(id, tier, wait_for_leases))
        if not result.ok:
            error = error_from(result.error_code, result.error_message)
            error.reason = result.error_reason
            raise error

    def pin(self, id: IdLike, duration_ms: int = 0) -> None:
        """Keeps it on its tier; 0: until unpin()."""
        self._live.run(_requests.pin(id, duration_ms))

    def unpin(self, id: IdLike) -> None:
        self._live.run(_requests.unpin(id))

    def update_labels(
        self, id: IdLike, set: Mapping[str, str] = {}, *, remove: Iterable[str] = ()
    ) -> dict[str, str]:
        """All labels that it has then."""
        return self._live.run(_requests.update_labels(id, set, remove))

    def list(
        self,
        *,
        tier: Tier | int | str = Tier.UNSPECIFIED,
        filter: str = "",
        order_by: str = "",
        page_size: int = 0,
    ) -> Iterator[Summary]:
        """Every payload, page by page; `filter` as in ListPayloads: 'labels.run = "7"'."""
        token = ""
        while True:
            page = self._live.run(_requests.list_page(tier, filter, order_by, page_size, token))
            yield from page.payloads
            if not page.next_page_token or page.next_page_token == token:
                return
            token = page.next_page_token

    def stats(self) -> Stats:
        return self._live.run(_requests.stats())

    # ---- the rest ----

    def stream(self, name: str) -> Stream:
        """The stream "name", or "namespace/name"."""
        return Stream(self._live, StreamName.parse(name))

    def call(self, method: str, request: Message | None = None, **fields: Any) -> Message:
        """Any method of the contract, for what has no function here, with its messages.

        client.call("PayloadCatalogService/Prefetch", id={"value": id.bytes}, target_tier=2)
        """
        return self._live.run(_requests.generic(method, request, fields))

    def dumps(self, value: Any, **options: Any) -> bytes:
        """Pickles `value`; large buffers in it (NumPy arrays, ...) become payloads.

        `options` are create()'s, and `inline_bytes_max`: buffers up to it stay in the pickle. Who
        loads may delete the payloads (payload_ids() names them) when nobody needs the pickle more.
        """
        return pickling.dumps(self, value, **options)

    def loads(self, data: bytes) -> Any:
        """What dumps() pickled; its buffers are views of the payloads, read-only and not copied.

        As with every pickle: only of those whom you trust.
        """
        return pickling.loads(self, data)

    @staticmethod
    def payload_ids(data: bytes) -> tuple[uuid.UUID, ...]:
        """The payloads that a pickle of dumps() refers to."""
        return pickling.payload_ids(data)
